"""Attributes as categories, and their one- and two-way margins. N persons, M margins, G cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from census_data.cells import cells_of
from census_data.fidelity import ATTRIBUTES
from census_data.population import Population
from plenary.errors import ConfigError
from plenary.preferences import FloatArray, IntArray

DEFAULT_ATTRIBUTES = ATTRIBUTES


class Attribute(NamedTuple):
    """A category of every person: codes [N] into labels; code 0 is no answer or not asked."""

    name: str
    codes: IntArray
    labels: tuple[str, ...]

    def shares(self, weight: FloatArray) -> FloatArray:
        """Weighted share of every label [G]."""
        return np.bincount(self.codes, weight, len(self.labels)) / weight.sum()


class Margin(NamedTuple):
    """Cells of one margin: codes [N], number of cells, and the names of its attributes."""

    names: tuple[str, ...]
    codes: IntArray
    cells: int


def attribute(population: Population, name: str) -> Attribute:
    """A column as an attribute, numbers in bands; ConfigError for a column that is neither."""
    known = [n for n in population.columns if n in population.categories or n in population.bands]
    if name not in known:
        raise ConfigError(f"unknown attribute {name!r}; use one of {', '.join(known)}")
    return Attribute(name, *cells_of(population, name))


def attributes(population: Population, names: Sequence[str]) -> tuple[Attribute, ...]:
    """Several attributes; ConfigError for a name given twice or for none."""
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"attributes {list(names)!r}; name at least one, and none twice")
    return tuple(attribute(population, name) for name in names)


def margins(columns: Sequence[Attribute], rows: IntArray | slice = slice(None)) -> list[Margin]:
    """All one-way margins, then all two-way margins, of some rows."""
    one = [Margin((a.name,), a.codes[rows], len(a.labels)) for a in columns]
    two = [
        Margin((*a.names, *b.names), a.codes * b.cells + b.codes, a.cells * b.cells)
        for a, b in combinations(one, 2)
    ]
    return one + two


def distances(
    columns: Sequence[Attribute], weight: FloatArray, rows: IntArray, panel_weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Total variation distances panel to population: one-way [A] and two-way [A (A - 1) / 2]."""
    found = []
    for margin in margins(columns):
        truth = np.bincount(margin.codes, weight, margin.cells) / weight.sum()
        drawn = np.bincount(margin.codes[rows], panel_weight, margin.cells) / panel_weight.sum()
        found.append(float(np.abs(truth - drawn).sum() / 2))
    return np.array(found[: len(columns)]), np.array(found[len(columns) :])
