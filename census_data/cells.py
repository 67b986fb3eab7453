"""Cells for counting people: labels of a category, bands of a number, or cross-tabulations.

Shapes: N persons, G cells. Cell 0 of every column holds the people without an answer, missing or
not in universe.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from census_data.population import Population
from census_data.schema import MISSING, NOT_IN_UNIVERSE
from plenary.errors import ConfigError, DataError
from plenary.preferences import FloatArray, IntArray

NO_ANSWER = "no answer"


class Cells(NamedTuple):
    """One column: its name, the cell of each person [N] and the label of each cell [G]."""

    name: str
    codes: IntArray
    labels: tuple[str, ...]

    def shares(self, weight: FloatArray) -> FloatArray:
        """Weighted share of every cell [G]."""
        return np.bincount(self.codes, weight, len(self.labels)) / weight.sum()


class JointCells(NamedTuple):
    """Cell of each person [N] in the table of several columns, row by row, and its shape."""

    codes: IntArray
    shape: tuple[int, ...]


def cells_of(population: Population, name: str) -> Cells:
    """Cells of one column. Numbers without bands are refused."""
    values = population.values(name)
    if name in population.categories:
        return Cells(name, values.clip(min=-1) + 1, (NO_ANSWER, *population.labels(name)))
    if name not in population.bands:
        raise ConfigError(
            f"number {name!r} has no bands; use one of {', '.join(population.bands)} or a category"
        )
    edges = population.bands[name]
    unknown = np.isin(values, (NOT_IN_UNIVERSE, MISSING))
    band = np.searchsorted(np.array(edges), values, side="right") + 1
    return Cells(name, np.where(unknown, 0, band), (NO_ANSWER, *band_labels(edges)))


def columns_of(population: Population, names: Sequence[str]) -> tuple[Cells, ...]:
    """Cells of several columns; ConfigError for none, a repeated or an unknown one."""
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"attributes {list(names)!r}; name at least one, and each only once")
    known = [n for n in population.columns if n in population.categories or n in population.bands]
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown attribute {name!r}; use one of {', '.join(known)}")
    return tuple(cells_of(population, name) for name in names)


def band_labels(edges: Sequence[int]) -> tuple[str, ...]:
    """Names of the bands that start below the first edge and at every edge."""
    between = pairwise(edges)
    inner = (f"{low}" if high == low + 1 else f"{low} to {high - 1}" for low, high in between)
    return (f"under {edges[0]}", *inner, f"{edges[-1]} and over")


def joint_cells(population: Population, names: Sequence[str]) -> JointCells:
    """Cells of the table of one, two or three different columns."""
    if not 1 <= len(set(names)) == len(names) <= 3:
        raise ConfigError(f"margin of {list(names)!r}; name one, two or three different columns")
    return crossed([cells_of(population, name) for name in names])


def crossed(parts: Sequence[Cells]) -> JointCells:
    """Cells of the table of columns, the last one varying fastest."""
    shape = tuple(len(part.labels) for part in parts)
    codes = parts[0].codes
    for part in parts[1:]:
        codes = codes * len(part.labels) + part.codes
    return JointCells(codes, shape)


def cell_number(labels: Sequence[str], label: str, column: str) -> int:
    """Position of a label among a column's cells; DataError names the known ones."""
    if label not in labels:
        known = ", ".join(repr(known) for known in labels[:12])
        raise DataError(
            f"unknown code {label!r} for column {column!r}; use one of {known}"
            f"{', ...' * (len(labels) > 12)}"
        )
    return labels.index(label)
