"""Any table of persons as a population: a mapping file says what its columns mean.

A mapping is YAML: where the weight is, and for each column of the schema (or of your own) the
column it comes from and a recode table. Columns that a mapping leaves out are missing for
everybody. Shapes: N persons.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from census_data.population import Population
from census_data.schema import BY_NAME, MISSING, NOT_IN_UNIVERSE
from census_data.store import Facts, assembled
from census_data.tables import CsvForm, read_blocks
from plenary.errors import DataError
from plenary.preferences import FloatArray, IntArray
from plenary.untrusted import read_file


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
        default=(), description="codes for people whom the question does not apply to"
    )


class PopulationMapping(BaseModel):
    """A file of persons in the terms of the schema."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(description="survey and publisher")
    licence: str = Field(description="terms of the figures")
    universe: str = Field(description="whom the weighted rows stand for")
    year: int = Field(description="year of the survey")
    weight: str = Field(description="column of your file: persons that a row stands for")
    columns: dict[str, MappedColumn] = Field(
        min_length=1, description="column of the population -> where it comes from"
    )
    bands: dict[str, tuple[int, ...]] = Field(
        default={}, description="number -> lower edges of the bands it is compared in"
    )
    encoding: str = Field(default="utf8", description="encoding of a CSV file")
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="of a CSV file")


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
        """Code the next block."""
        encoded = column.dictionary_encode(null_encoding="encode")
        places = encoded.indices.to_numpy(zero_copy_only=False)
        texts = [_text(value) for value in encoded.dictionary.to_pylist()]
        codes = np.empty(len(texts), dtype=np.int64)
        for at, text in enumerate(texts):
            if text not in self._known:
                try:
                    self._known[text] = self._number(text) if self.number else self._code(text)
                except _Unreadable as error:
                    row = self._rows + int(np.flatnonzero(places == at)[0]) + 1
                    raise DataError(
                        f"{error.what} in column {self._spec.column!r}, row {row!r}{error.remedy}"
                    ) from error
            codes[at] = self._known[text]
        self._blocks.append(codes[places])
        self._rows += len(places)

    def values(self) -> IntArray:
        """Codes or numbers of everybody [N]."""
        return np.concatenate(self._blocks) if self._blocks else np.array([], dtype=np.int64)

    def _code(self, text: str) -> int:
        if self._spec.recode is None:
            if text not in self._places:
                self._places[text] = len(self.labels)
                self.labels.append(text)
            return self._places[text]
        if text not in self._spec.recode:
            raise _Unreadable(
                f"unknown code {text!r}",
                f"; add it to the recode table of {self.name!r}, or to missing or not_in_universe",
            )
        return self._places[self._spec.recode[text]]

    def _number(self, text: str) -> int:
        remedy = f"name it under missing or not_in_universe of {self.name!r}"
        try:
            number = round(float(text))
        except (ValueError, OverflowError) as error:
            raise _Unreadable(f"{text!r}", f", is no number; {remedy}") from error
        if number in (NOT_IN_UNIVERSE, MISSING):
            raise _Unreadable(f"number {text!r}", f", would read as no answer; {remedy}")
        return number


def read_mapping(path: Path) -> PopulationMapping:
    """A mapping file; DataError says which entry does not fit."""
    return read_file(PopulationMapping, path, "mapping", DataError)


def import_table(path: Path, mapping: PopulationMapping) -> Population:
    """The persons of a .csv, .csv.gz, .zip or .parquet file.

    Raises DataError for a column that is absent, a code without a label, a number that is none, a
    weight that is absent or not positive, and a file that cannot be read.
    """
    coders = {name: _Coder(name, spec) for name, spec in mapping.columns.items()}
    sources = {name: spec.column for name, spec in mapping.columns.items()}
    wanted = list(dict.fromkeys([mapping.weight, *sources.values()]))
    weights: list[FloatArray] = []
    rows = 0
    for block in read_blocks(path, wanted, CsvForm(mapping.encoding, mapping.delimiter)):
        weights.append(block_weights(block.column(mapping.weight), mapping.weight, rows))
        rows += block.num_rows
        for name, coder in coders.items():
            coder.take(block.column(sources[name]))
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
            source_sha256=file_sha256(path),
            origins=sources,
            bands=mapping.bands,
        ),
    )


def block_weights(column: pa.Array, name: str, rows_before: int) -> FloatArray:
    """Weights of a block [N]; DataError for one that is no positive number."""
    texts = [_text(value) for value in column.to_pylist()]
    weight = np.array([_float_or_nan(text) for text in texts], dtype=np.float64)
    bad = np.flatnonzero(~(np.isfinite(weight) & (weight > 0)))
    if len(bad):
        at = int(bad[0])
        raise DataError(
            f"weight {texts[at]!r} in column {name!r}, row {rows_before + at + 1!r}, is not "
            "positive; drop or mend such rows"
        )
    return weight


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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
    """The schema's labels where they cover the mapping's, else the mapping's in its order."""
    known = BY_NAME[name].labels if name in BY_NAME else ()
    used = list(dict.fromkeys((spec.recode or {}).values()))
    return list(known) if used and set(used) <= set(known) else used


def _text(value: object) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _float_or_nan(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
