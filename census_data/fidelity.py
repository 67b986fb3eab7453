"""How far a panel's margins are from the population's. Shapes: C citizens, G cells of a margin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from census_data.population import Population
from census_data.schema import MISSING, NOT_IN_UNIVERSE
from plenary.errors import DataError
from plenary.preferences import FloatArray, IntArray

# Lower edges of the bands that numbers are compared in; dollars for incomes.
BANDS = {
    "age": (25, 35, 45, 55, 65, 75),
    "household_income": (0, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000),
    "personal_income": (0, 1, 15_000, 30_000, 50_000, 75_000, 100_000),
    "hours": (0, 20, 35, 45),
    "household_size": (2, 3, 4, 5),
    "children": (1, 2, 3),
}
ATTRIBUTES = (
    "age",
    "sex",
    "race_origin",
    "education",
    "marital",
    "employment",
    "household_income",
    "tenure",
    "region",
    "metro",
    "nativity",
    "disability",
)


class MarginDistance(NamedTuple):
    """Total variation distance of one margin: 0 is perfect, 1 is disjoint.

    expected: mean distance that a simple random sample of the panel's effective size would have.
    cells: cells of the margin, empty ones included.
    """

    name: str
    distance: float
    expected: float
    cells: int


def total_variation(p: FloatArray, q: FloatArray) -> float:
    """Half the absolute difference of two distributions [G], in 0..1; lower is better."""
    return float(np.abs(p / p.sum() - q / q.sum()).sum() / 2)


def margin(population: Population, name: str) -> FloatArray:
    """Weighted share of every cell [G]; the first cell holds missing and not in universe."""
    codes, cells = _cells(population, name)
    return np.bincount(codes, population.weight, cells) / population.weight.sum()


def panel_fidelity(
    population: Population,
    row_ids: IntArray,
    weight: FloatArray,
    names: Sequence[str] = ATTRIBUTES,
) -> tuple[MarginDistance, ...]:
    """One-way distances between the panel with row ids [C] and weights [C], and the population.

    Raises DataError when a citizen is not in the population.
    """
    positions = _positions(population, row_ids)
    effective = weight.sum() ** 2 / (weight @ weight)
    return tuple(_distance(population, name, positions, weight, effective) for name in names)


def _distance(
    population: Population, name: str, positions: IntArray, weight: FloatArray, effective: float
) -> MarginDistance:
    codes, cells = _cells(population, name)
    truth = margin(population, name)
    drawn = np.bincount(codes[positions], weight, cells).astype(np.float64)
    expected = np.sqrt(2 * truth * (1 - truth) / (np.pi * effective)).sum() / 2
    return MarginDistance(name, total_variation(drawn, truth), float(expected), cells)


def _cells(population: Population, name: str) -> tuple[IntArray, int]:
    values = population.values(name)
    if name in BANDS:
        edges = np.array(BANDS[name])
        unknown = np.isin(values, (NOT_IN_UNIVERSE, MISSING))
        return np.where(unknown, 0, np.searchsorted(edges, values, side="right") + 1), len(
            edges
        ) + 2
    return values.clip(min=-1) + 1, len(population.labels(name)) + 1


def _positions(population: Population, row_ids: IntArray) -> IntArray:
    order = np.argsort(population.row_id)
    at = order[np.searchsorted(population.row_id, row_ids, sorter=order).clip(max=len(order) - 1)]
    stray = population.row_id[at] != row_ids
    if stray.any():
        raise DataError(
            f"row {int(row_ids[stray][0])!r} is not in the population; "
            "compare a panel with the population it was drawn from"
        )
    return at
