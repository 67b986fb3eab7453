"""Importing any table of persons as a population, with a mapping file for its columns.

A mapping is YAML: where the weight is, and for each column of the schema (or of your own) the
column it comes from and a recode table. Columns that a mapping leaves out are missing for
everybody. Shapes: N persons.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from census_data.population import Population
from census_data.schema import BY_NAME, MISSING, NOT_IN_UNIVERSE
from census_data.sources.tables import CsvForm, read_blocks
from census_data.store import Facts, assembled
from plenary.errors import DataError
from plenary.hashing import content_hash
from plenary.preferences import FloatArray, IntArray
from plenary.table_files import LARGEST_EXACT, NO_VALUES, cell_text, finite
from plenary.untrusted import Unreadable, read_file

UNSTATED = "not stated"


class MappedColumn(BaseModel):
    """One column of the population."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str = Field(description="column of your file")
    kind: Literal["category", "number"] | None = Field(
        default=None, description="needed for names outside the schema"
    )
    recode: dict[str, str] | None = Field(
        default=None, description="code in your file -> label; None: the codes are the labels"
    )
    missing: tuple[str, ...] = Field(default=("",), description="codes for a missing answer")
    not_in_universe: tuple[str, ...] = Field(
        default=(), description="codes for people to whom the question does not apply"
    )


class PopulationMapping(BaseModel):
    """A file of persons mapped to the schema."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(description="survey and publisher")
    licence: str = Field(default=UNSTATED, description="terms of use of the figures")
    universe: str = Field(description="whom the weighted rows represent")
    year: int = Field(description="year of the survey")
    weight: str = Field(description="column of your file: persons that a row represents")
    columns: dict[str, MappedColumn] = Field(
        min_length=1, description="column of the population -> where it comes from"
    )
    bands: dict[str, tuple[int, ...]] = Field(
        default={}, description="number -> lower edges of the bands used for comparison"
    )
    encoding: str = Field(default="utf8", description="encoding of a CSV file")
    delimiter: str | None = Field(
        default=None,
        pattern=r"^[!#-/:-@\[-`{-~\t ]$",
        description="of a CSV file; None: comma, semicolon or tab, whichever splits the header",
    )


class _Unreadable(Exception):
    """A text that has no code: what it is, and the end of the message after the place."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class _Coder:
    """Turns the texts of one column into codes, one distinct text at a time."""

    def __init__(self, name: str, spec: MappedColumn) -> None:
        self.name = name
        self.number = _kind(name, spec) == "number"
        self.labels = [] if self.number else _first_labels(name, spec)
        self._spec = spec
        self._places = {label: k for k, label in enumerate(self.labels)}
        self._known = {
            **dict.fromkeys(spec.missing, MISSING),
            **dict.fromkeys(spec.not_in_universe, NOT_IN_UNIVERSE),
        }
        self._blocks: list[IntArray] = []
        self._rows = 0

    def take(self, column: pa.Array) -> None:
        """Code the next block; DataError names the row of a text that has no code."""
        encoded = column.dictionary_encode(null_encoding="encode")
        places = encoded.indices.to_numpy(zero_copy_only=False)
        values = encoded.dictionary.to_pylist()
        codes = np.empty(len(values), dtype=np.int64)
        for at, value in enumerate(values):
            try:
                codes[at] = self._found(value)
            except _Unreadable as error:
                row = self._rows + int(np.flatnonzero(places == at)[0]) + 1
                raise DataError(
                    f"{error.what} in column {self._spec.column!r}, row {row!r}{error.remedy}"
                ) from error
        self._blocks.append(codes[places])
        self._rows += len(places)

    def _found(self, value: object) -> int:
        """Code of a value, cached."""
        try:
            text = cell_text(value).strip()
        except Unreadable as error:
            raise _Unreadable(f"{error},", "") from error
        if text not in self._known:
            self._known[text] = self._number(text) if self.number else self._code(text)
        return self._known[text]

    def values(self) -> IntArray:
        """Codes or numbers of everybody [N]."""
        return np.concatenate(self._blocks) if self._blocks else np.array([], dtype=np.int64)

    def _code(self, text: str) -> int:
        elsewhere = "missing or not_in_universe"
        if self._spec.recode is not None:
            if text not in self._spec.recode:
                raise _Unreadable(
                    f"unknown code {text!r}",
                    f"; add it to the recode table of {self.name!r}, which has "
                    f"{', '.join(map(repr, list(self._spec.recode)[:12]))}, or to {elsewhere}",
                )
            return self._places[self._spec.recode[text]]
        if text not in self._places:
            if text.casefold() in NO_VALUES:
                raise _Unreadable(f"{text!r}", f", is not a label; name it under {elsewhere}")
            _check_label(self.name, text)
            self._places[text] = len(self.labels)
            self.labels.append(text)
        return self._places[text]

    def _number(self, text: str) -> int:
        remedy = f"name it under missing or not_in_universe of {self.name!r}"
        try:
            found = finite(text)
        except Unreadable as error:
            raise _Unreadable(f"{text!r}", f", is not a number; {remedy}") from error
        if self.name in BY_NAME:
            low, high = BY_NAME[self.name].bounds
            if not low <= found <= high:
                raise _Unreadable(
                    f"{self.name} {text!r}",
                    f", is not between {low} and {high}; {remedy}, or drop the row",
                )
        if round(found) in (NOT_IN_UNIVERSE, MISSING):
            raise _Unreadable(f"number {text!r}", f", would be read as no answer; {remedy}")
        if abs(found) >= LARGEST_EXACT:
            raise _Unreadable(f"number {text!r}", f", is too large; {remedy}")
        return round(found)


def unstated(mapping: PopulationMapping) -> tuple[str, ...]:
    """A warning if the mapping does not say under what licence the figures may be used."""
    if mapping.licence.strip() not in ("", UNSTATED):
        return ()
    return (
        "the mapping states no licence, so nobody can tell whether the figures, and what is made "
        "of them, may be passed on; add a line such as licence: CC-BY-4.0",
    )


def read_mapping(path: Path) -> PopulationMapping:
    """Read a mapping file; DataError names the entry that is wrong."""
    return read_file(PopulationMapping, path, "mapping", DataError)


def import_table(path: Path, mapping: PopulationMapping) -> Population:
    """The persons of a .csv, .csv.gz, .zip or .parquet file.

    Raises DataError for an absent column, a code without a label, an invalid number, a weight that
    is absent or not positive, and a file that cannot be read.
    """
    coders = {name: _Coder(name, spec) for name, spec in mapping.columns.items()}
    sources = {name: spec.column for name, spec in mapping.columns.items()}
    wanted = list(dict.fromkeys([mapping.weight, *sources.values()]))
    weights: list[FloatArray] = []
    rows = 0
    for block in read_blocks(path, wanted, CsvForm(mapping.encoding, mapping.delimiter)):
        try:
            weights.append(block_weights(block.column(mapping.weight), mapping.weight, rows))
            rows += block.num_rows
            for name, coder in coders.items():
                coder.take(block.column(sources[name]))
        except DataError as error:
            raise DataError(f"{str(path)!r}: {error}") from error
    if not rows:
        raise DataError(f"{str(path)!r} has no rows; give a file with persons")
    return assembled(
        {name: coder.values() for name, coder in coders.items()},
        {name: tuple(coder.labels) for name, coder in coders.items() if not coder.number},
        np.concatenate(weights),
        Facts(
            source=mapping.source,
            licence=mapping.licence,
            universe=mapping.universe,
            year=mapping.year,
            provenance=f"{path.name}, recoded by a mapping file",
            source_sha256=content_hash(path),
            origins=sources,
            bands=mapping.bands,
        ),
    )


def block_weights(column: pa.Array, name: str, rows_before: int) -> FloatArray:
    """Weights of a block [N]; DataError for one that is not a positive number."""
    values = column.to_pylist()
    weight = np.array([_finite_or_nan(value) for value in values], dtype=np.float64)
    bad = np.flatnonzero(~(weight > 0))
    if len(bad):
        at = int(bad[0])
        shown = "" if values[at] is None else values[at]
        raise DataError(
            f"weight {shown!r} in column {name!r}, row {rows_before + at + 1!r}, is not "
            "positive; drop or fix such rows"
        )
    return weight


def _kind(name: str, spec: MappedColumn) -> str:
    known = BY_NAME.get(name)
    if known is None and spec.kind is None:
        raise DataError(
            f"column {name!r} is not in the schema; use one of {', '.join(BY_NAME)}, or give its "
            "kind: category or number"
        )
    kind = spec.kind or (known.kind if known else "category")
    if known and kind != known.kind:
        raise DataError(f"column {name!r} is a {known.kind}, not a {kind!r}; leave its kind out")
    if kind == "number" and spec.recode is not None:
        raise DataError(f"number {name!r} has a recode table; leave it out")
    return kind


def _first_labels(name: str, spec: MappedColumn) -> list[str]:
    """The schema's labels if they cover the mapping's, else the mapping's in its order."""
    known = BY_NAME[name].labels if name in BY_NAME else ()
    used = list(dict.fromkeys((spec.recode or {}).values()))
    for label in used:
        try:
            _check_label(name, label)
        except _Unreadable as error:
            raise DataError(
                f"{error.what} in the recode table of {name!r}{error.remedy}"
            ) from error
    return list(known) if used and set(used) <= set(known) else used


def _check_label(name: str, label: str) -> None:
    """Raise _Unreadable for a label that the schema does not allow."""
    if name in BY_NAME and BY_NAME[name].closed and label not in BY_NAME[name].labels:
        raise _Unreadable(
            f"unknown label {label!r}",
            f"; recode it to one of {', '.join(map(repr, BY_NAME[name].labels))}, or name it under "
            "missing",
        )


def _finite_or_nan(value: object) -> float:
    try:
        return finite(value)
    except Unreadable:
        return float("nan")
