"""Fidelity: distance of a panel's margins (one-, two-, three-way) from the population's.

Shapes: N persons of the population, C citizens of the panel, G cells of a margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np

from census_data.cells import cells_of, joint_cells
from census_data.population import Population
from census_data.raking import effective_n
from census_data.schema import BANDS
from plenary.errors import DataError
from plenary.preferences import FloatArray, IntArray

__all__ = (
    "ATTRIBUTES",
    "BANDS",
    "Fidelity",
    "MarginDistance",
    "expected_distance",
    "expected_error",
    "full_fidelity",
    "margin",
    "margin_distances",
    "panel_fidelity",
    "positions_of",
    "relative_error",
    "total_variation",
)

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
    """Distance of one margin of the panel from the population's; lower is better.

    distance: total variation distance, 0 is perfect and 1 is disjoint.
    expected: its mean for simple random samples of the panel's effective size. cells: number of
    non-empty cells of the margin, in population or panel. srmse: standardised root mean square
    error, the RMSE over those cells in units of the mean
        cell; `srmse_expected` is its root mean square for such samples.
    """

    name: str
    distance: float
    expected: float
    cells: int
    srmse: float
    srmse_expected: float


class Fidelity(NamedTuple):
    """Distances of all 1-way and 2-way margins and of the chosen 3-way ones."""

    one_way: tuple[MarginDistance, ...]
    two_way: tuple[MarginDistance, ...]
    three_way: tuple[MarginDistance, ...]
    effective_n: float

    def worst(self, ways: Literal[1, 2, 3]) -> MarginDistance:
        """The margin with the largest total variation distance."""
        rows = (self.one_way, self.two_way, self.three_way)[ways - 1]
        if not rows:
            raise DataError(f"no {ways}-way margin was compared; name the columns")
        return max(rows, key=lambda row: row.distance)

    def median(self, ways: Literal[1, 2, 3]) -> float:
        """Median total variation distance of the margins with that many columns."""
        rows = (self.one_way, self.two_way, self.three_way)[ways - 1]
        if not rows:
            raise DataError(f"no {ways}-way margin was compared; name the columns")
        return float(np.median([row.distance for row in rows]))


def total_variation(p: FloatArray, q: FloatArray) -> float:
    """Half the absolute difference of two distributions [G], in 0..1; lower is better."""
    return float(np.abs(p / p.sum() - q / q.sum()).sum() / 2)


def relative_error(p: FloatArray, truth: FloatArray) -> float:
    """Standardised root mean square error of shares [G]: RMSE over cells / mean cell."""
    gap = p / p.sum() - truth / truth.sum()
    return float(np.sqrt(len(gap) * (gap @ gap)))


def expected_distance(truth: FloatArray, effective: float) -> float:
    """Mean total variation distance of simple random samples of `effective` persons.

    A cell's share is treated as normal, so its mean absolute error is sqrt(2 / pi) of its standard
    error.
    """
    return float(np.sqrt(2 * truth * (1 - truth) / (np.pi * effective)).sum() / 2)


def expected_error(truth: FloatArray, effective: float) -> float:
    """Root mean square of the SRMSE of simple random samples of `effective` persons."""
    return float(np.sqrt(len(truth) * (truth * (1 - truth)).sum() / effective))


def margin(population: Population, name: str) -> FloatArray:
    """Weighted share of every cell [G]; the first cell holds missing and not in universe."""
    return cells_of(population, name).shares(population.weight)


def panel_fidelity(
    population: Population,
    row_ids: IntArray,
    weight: FloatArray,
    names: Sequence[str] = ATTRIBUTES,
) -> tuple[MarginDistance, ...]:
    """One-way distances between the panel with row ids [C] and weights [C], and the population.

    Raises DataError if a citizen is not in the population.
    """
    return margin_distances(population, row_ids, weight, [(name,) for name in names])


def full_fidelity(
    population: Population,
    row_ids: IntArray,
    weight: FloatArray,
    names: Sequence[str] = ATTRIBUTES,
    three_way: Sequence[tuple[str, str, str]] = (),
) -> Fidelity:
    """Distances of all 1-way and 2-way margins of `names`, and of the chosen 3-way ones."""
    ways = [[(name,) for name in names], list(combinations(names, 2)), list(three_way)]
    rows = [margin_distances(population, row_ids, weight, margins) for margins in ways]
    return Fidelity(rows[0], rows[1], rows[2], effective_n(weight))


def margin_distances(
    population: Population,
    row_ids: IntArray,
    weight: FloatArray,
    margins: Sequence[Sequence[str]],
) -> tuple[MarginDistance, ...]:
    """Distance of every margin, each named by its one, two or three columns."""
    positions = positions_of(population, row_ids)
    return tuple(_distance(population, names, positions, weight) for names in margins)


def _distance(
    population: Population, names: Sequence[str], positions: IntArray, weight: FloatArray
) -> MarginDistance:
    codes, shape = joint_cells(population, names)
    size = int(np.prod(shape))
    truth = np.bincount(codes, population.weight, size) / population.weight.sum()
    drawn = np.bincount(codes[positions], weight, size) / weight.sum()
    held = (truth > 0) | (drawn > 0)
    truth, drawn, effective = truth[held], drawn[held], effective_n(weight)
    return MarginDistance(
        name=" x ".join(names),
        distance=total_variation(drawn, truth),
        expected=expected_distance(truth, effective),
        cells=len(truth),
        srmse=relative_error(drawn, truth),
        srmse_expected=expected_error(truth, effective),
    )


def positions_of(population: Population, row_ids: IntArray) -> IntArray:
    """Positions of citizens [C] in the population; DataError if one is not in it."""
    order = np.argsort(population.row_id)
    at = order[np.searchsorted(population.row_id, row_ids, sorter=order).clip(max=len(order) - 1)]
    stray = population.row_id[at] != row_ids
    if stray.any():
        raise DataError(
            f"row {int(row_ids[stray][0])!r} is not in the population; "
            "compare a panel with the population it was drawn from"
        )
    return at
