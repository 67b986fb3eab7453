"""Margins (targets) for raking: counted in a population, or read from a YAML or CSV file.

A target names its columns and gives a count for each cell. A cell has one entry per column; an
entry joins labels with " | " if the published table is coarser than the population ("master's
degree | doctorate"). People in cells that a target does not name are outside that margin, which
leaves their weight unchanged. Shapes: N persons, G cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from census_data.cells import cell_number, cells_of, joint_cells
from census_data.population import Population
from census_data.raking import OUTSIDE, Margin
from plenary.errors import DataError
from plenary.preferences import FloatArray, IntArray
from plenary.table_files import finite, read_csv
from plenary.untrusted import Unreadable, ending, first_fault, fitted, read_tree

JOIN = " | "
COUNT = "count"


class MarginTarget(BaseModel):
    """Counts, or shares, of the cells of one margin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[str, ...] = Field(
        min_length=1, max_length=3, description="one, two or three columns of the population"
    )
    cells: tuple[tuple[str | float, ...], ...] = Field(
        min_length=1, description="one label (or labels joined by ' | ') per column, then the count"
    )
    source: str = Field(default="", description="where the counts come from")

    @property
    def name(self) -> str:
        """The name of the margin in reports: its columns."""
        return " x ".join(self.columns)


class _Written(MarginTarget):
    """A target as written in a file: labels that look like numbers or flags are still labels."""

    cells: tuple[tuple[str, ...], ...] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        min_length=1, description="labels and the count, as written"
    )


class _MarginFile(BaseModel):
    """A YAML file of margins as written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    margins: tuple[_Written, ...] = Field(min_length=1, description="the margins")


class MarginFile(BaseModel):
    """A YAML file of margins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    margins: tuple[MarginTarget, ...] = Field(min_length=1, description="the margins")


class CellTarget(NamedTuple):
    """One line of a target: labels of each column, and persons or share."""

    labels: tuple[tuple[str, ...], ...]
    persons: float

    @property
    def name(self) -> str:
        """The cell as written in the file."""
        return ", ".join(JOIN.join(alternatives) for alternatives in self.labels)


def population_margin(
    population: Population, columns: Sequence[str], weight: FloatArray | None = None
) -> MarginTarget:
    """Weighted counts of every non-empty cell."""
    codes, shape = joint_cells(population, columns)
    used = population.weight if weight is None else weight
    counts = np.bincount(codes, used, int(np.prod(shape)))
    labels = [cells_of(population, column).labels for column in columns]
    held = np.flatnonzero(counts > 0)
    lines = tuple(
        (
            *(labels[k][at] for k, at in enumerate(np.unravel_index(cell, shape))),
            float(counts[cell]),
        )
        for cell in held
    )
    return MarginTarget(columns=tuple(columns), cells=lines, source=population.source.source)


def read_targets(path: Path) -> tuple[MarginTarget, ...]:
    """Margins in a .yaml, .csv or .tsv file. A table is one margin: its columns, then `count`."""
    kind = ending(path)
    if kind in (".csv", ".tsv"):
        return (_from_csv(path),)
    if kind in (".yaml", ".yml"):
        return _from_yaml(path)
    raise DataError(f"margins {path.name!r} are in an unknown format; use .yaml, .csv or .tsv")


def write_targets(targets: Iterable[MarginTarget], path: Path) -> None:
    """Write margins as YAML that `read_targets` reads."""
    content = MarginFile(margins=tuple(targets)).model_dump(mode="json")
    path.write_text(
        yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100), encoding="utf-8"
    )


def fit_margins(
    population: Population, targets: Sequence[MarginTarget], *, shares: bool = False
) -> list[Margin]:
    """Margins over the persons of a population, ready for `rake`.

    With `shares`, the cells of each target are scaled to the weight of the people they cover, so
    that percentages, or counts of another year, can be used.
    """
    return [_fit(population, target, shares) for target in targets]


def _fit(population: Population, target: MarginTarget, shares: bool) -> Margin:
    lines = [_line(target, cells) for cells in target.cells]
    codes = _codes(population, target, lines)
    counts = np.array([line.persons for line in lines])
    if shares:
        counts = counts * (population.weight[codes > OUTSIDE].sum() / counts.sum())
    return Margin(target.name, codes, counts, tuple(line.name for line in lines))


def _codes(population: Population, target: MarginTarget, lines: Sequence[CellTarget]) -> IntArray:
    """Line of each person [N], OUTSIDE if no line names the person's cell."""
    joint, shape = joint_cells(population, target.columns)
    labels = [cells_of(population, column).labels for column in target.columns]
    lines_of = np.full(shape, OUTSIDE)
    for number, line in enumerate(lines):
        spots = [
            [cell_number(known, label, column) for label in alternatives]
            for known, column, alternatives in zip(labels, target.columns, line.labels, strict=True)
        ]
        for spot in product(*spots):
            if lines_of[spot] != OUTSIDE:
                raise DataError(
                    f"margin {target.name!r} names cell {line.name!r} twice; keep one of the lines"
                )
            lines_of[spot] = number
    return lines_of.reshape(-1)[joint]


def _line(target: MarginTarget, cells: Sequence[str | float]) -> CellTarget:
    if len(cells) != len(target.columns) + 1:
        raise DataError(
            f"line {list(cells)!r} of margin {target.name!r} is not {len(target.columns)} labels "
            "and a count; fix it"
        )
    *labels, count = cells
    try:
        persons = finite(count)
    except Unreadable as error:
        raise DataError(f"count {count!r} of margin {target.name!r} is not a number; fix it") from (
            error
        )
    if persons < 0:
        raise DataError(f"count {count!r} of margin {target.name!r} is negative; fix it")
    return CellTarget(tuple(tuple(str(label).split(JOIN)) for label in labels), persons)


def _from_yaml(path: Path) -> tuple[MarginTarget, ...]:
    tree = read_tree(path, "margins", DataError)
    try:
        listed = fitted(_MarginFile, tree).margins
    except ValidationError as error:
        raise DataError(f"margins {str(path)!r} {first_fault(error)}; fix the file") from error
    return tuple(MarginTarget(**target.model_dump()) for target in listed)


def _from_csv(path: Path) -> MarginTarget:
    rows = read_csv(path, "margins", DataError)
    columns = tuple(rows[0]) if rows else ()
    if columns[-1:] != (COUNT,) or len(columns) < 2:
        raise DataError(
            f"margins {str(path)!r} have no header of columns and {COUNT!r}, or no line below it; "
            "fix the file"
        )
    return MarginTarget(
        columns=columns[:-1], cells=tuple(tuple(row.values()) for row in rows), source=path.name
    )
