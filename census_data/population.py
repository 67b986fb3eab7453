"""The Population: weighted persons in integer-coded columns, and loading the packaged one.

Shapes: N persons. A weight is the number of real persons that a row represents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from census_data.labels import HOUSING_UNIT, NON_CITIZEN
from census_data.manifest import (
    LABELS_FILE,
    MANIFEST_FILE,
    POPULATION_FILE,
    REMEDY,
    SNAPSHOT_FILE,
    CodeBook,
    Manifest,
    read_bytes,
    read_checked,
    read_model,
)
from census_data.schema import BANDS
from plenary.errors import DataError
from plenary.preferences import BoolArray, FloatArray, IntArray


class PopulationSettings(BaseModel):
    """Who counts as a member of the population."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group_quarters: Literal["exclude", "include"] = Field(
        default="exclude", description="people in institutions, dormitories, barracks and shelters"
    )
    citizens: Literal["citizens", "all"] = Field(
        default="citizens", description="citizens only, or every adult resident"
    )
    folder: Path | None = Field(
        default=None, description="folder of an imported population; None: the packaged snapshot"
    )


PACKAGED = Path(str(resources.files("census_data"))) / "snapshot"
DEFAULT_POPULATION = PopulationSettings()


@dataclass(frozen=True, slots=True)
class Population:
    """Persons with weights.

    row_id [N]: row of the snapshot; survives every filter.
    weight [N]: persons that the row represents, positive. donor [N]: whether the imputed columns of
    this row come from a donor record.
    columns: name -> codes or numbers [N]; -1 not in universe, -2 missing.
    categories: name of a category -> label of code 0, 1, ...
    source: manifest of the snapshot the rows come from, before any filter.
    bands: name of a number -> lower edges of the bands used for comparison.
    """

    row_id: IntArray
    weight: FloatArray
    donor: BoolArray
    columns: Mapping[str, IntArray]
    categories: Mapping[str, tuple[str, ...]]
    source: Manifest
    bands: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: BANDS)

    def __post_init__(self) -> None:
        if not np.all(self.weight > 0):
            bad = float(self.weight[~(self.weight > 0)][0])
            raise DataError(f"person weight {bad!r} is not positive; drop or fix such rows")

    def __len__(self) -> int:
        return len(self.row_id)

    def values(self, name: str) -> IntArray:
        """Codes or numbers of a column [N]."""
        if name not in self.columns:
            raise DataError(f"unknown column {name!r}; use one of {', '.join(self.columns)}")
        return self.columns[name]

    def labels(self, name: str) -> tuple[str, ...]:
        """Labels of codes 0, 1, ... of a category."""
        if name not in self.categories:
            raise DataError(f"{name!r} is not a category; use one of {', '.join(self.categories)}")
        return self.categories[name]

    def label(self, name: str, position: int) -> str | None:
        """Label of one person, None if missing or not in universe."""
        code = int(self.values(name)[position])
        return self.labels(name)[code] if code >= 0 else None

    def select(self, mask: BoolArray | IntArray) -> Population:
        """The persons selected by a mask [N] or by positions, with unchanged weights."""
        return replace(
            self,
            row_id=self.row_id[mask],
            weight=self.weight[mask],
            donor=self.donor[mask],
            columns=MappingProxyType({name: v[mask] for name, v in self.columns.items()}),
        )

    @property
    def imputed_share(self) -> float:
        """Weighted share of persons whose imputed columns come from a donor; lower is better."""
        return float(self.weight @ self.donor / self.weight.sum())


def load_population(
    settings: PopulationSettings = DEFAULT_POPULATION, folder: Path | None = None
) -> Population:
    """The packaged snapshot (or the one in `folder`), hashes checked, filtered by the settings.

    Raises DataError for a snapshot that is missing, altered or empty after the filters.
    """
    where = folder or settings.folder or PACKAGED
    manifest = read_model(Manifest, read_bytes(where / MANIFEST_FILE), where / MANIFEST_FILE)
    book = _book(where, manifest)
    own = where / POPULATION_FILE
    path = own if own.exists() else where / SNAPSHOT_FILE
    table = _table(read_checked(path, manifest.sha256), path)
    return filtered(_population(table, book, manifest), settings)


def load_book() -> CodeBook:
    """Labels and Census codes of the packaged snapshot."""
    content = read_bytes(PACKAGED / MANIFEST_FILE)
    return _book(PACKAGED, read_model(Manifest, content, PACKAGED / MANIFEST_FILE))


def _book(where: Path, manifest: Manifest) -> CodeBook:
    content = read_checked(where / LABELS_FILE, manifest.labels_sha256)
    return read_model(CodeBook, content, where / LABELS_FILE)


def filtered(population: Population, settings: PopulationSettings) -> Population:
    """The persons whom the settings include; DataError if nobody is left."""
    keep = np.ones(len(population), dtype=bool)
    if settings.group_quarters == "exclude":
        # People whose answer is missing stay: not every survey asks.
        keep &= _is(population, "quarters", HOUSING_UNIT) | (population.values("quarters") < 0)
    if settings.citizens == "citizens":
        keep &= ~_is(population, "citizenship", NON_CITIZEN)
    if not keep.any():
        raise DataError(f"population filter {settings!r} leaves nobody; widen it")
    return population if keep.all() else population.select(keep)


def _is(population: Population, name: str, label: str) -> BoolArray:
    labels = population.labels(name)
    return population.values(name) == (labels.index(label) if label in labels else len(labels))


def _table(content: bytes, path: Path) -> pa.Table:
    try:
        return pq.read_table(pa.BufferReader(content))
    except pa.ArrowInvalid as error:
        raise DataError(f"{str(path)!r} is not Parquet: {str(error)!r}; {REMEDY}") from error


def _population(table: pa.Table, book: CodeBook, manifest: Manifest) -> Population:
    names = [column.name for column in manifest.columns]
    absent = sorted({*names, "weight", "donor"} - set(table.column_names))
    if absent:
        raise DataError(f"snapshot lacks columns {absent!r}; {REMEDY}")
    # Small integers overflow silently in arithmetic, hence int64 from here on.
    try:
        values = {name: table[name].to_numpy().astype(np.int64) for name in names}
        weight = table["weight"].to_numpy().astype(np.float64)
        donor = table["donor"].to_numpy().astype(bool)
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise DataError(
            f"the population has a column that is not numeric: {error}; {REMEDY}"
        ) from error
    for name, codes in values.items():
        if name in book.labels and codes.max(initial=-1) >= len(book.labels[name]):
            raise DataError(
                f"code {int(codes.max())!r} of column {name!r} in the population has no label; "
                f"{REMEDY}"
            )
    return Population(
        row_id=np.arange(table.num_rows),
        weight=weight,
        donor=donor,
        columns=MappingProxyType(values),
        categories=MappingProxyType(book.labels),
        source=manifest,
        bands=MappingProxyType({**BANDS, **(manifest.bands or {})}),
    )
