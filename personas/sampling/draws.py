"""Probability sampling without replacement: simple, systematic and stratified draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from census_data.cells import Cells
from plenary.preferences import FloatArray, IntArray

InclusionKind = Literal["exact", "estimated"]


class Selection(NamedTuple):
    """Positions drawn [C], without repetition, their inclusion probabilities [C], exact or not."""

    positions: IntArray
    inclusion: FloatArray
    kind: InclusionKind = "exact"


def inclusion_probabilities(weight: FloatArray, citizens: int) -> FloatArray:
    """Probabilities [N] proportional to weight [N], capped at 1, that sum to `citizens`."""
    certain = np.zeros(len(weight), dtype=bool)
    while True:
        rest = citizens - int(certain.sum())
        chance = np.where(certain, 1.0, rest * weight / weight[~certain].sum())
        over = ~certain & (chance >= 1)
        if not over.any() or rest == 0:
            return chance
        certain |= over
        if certain.all():
            return np.ones(len(weight))


def simple_draw(weight: FloatArray, citizens: int, rng: np.random.Generator) -> Selection:
    """Every record with the same probability, whatever its weight."""
    positions = rng.choice(len(weight), citizens, replace=False)
    return Selection(positions, np.full(citizens, citizens / len(weight)))


def systematic_draw(weight: FloatArray, citizens: int, rng: np.random.Generator) -> Selection:
    """Systematic draw without replacement, probability proportional to weight [madow1949].

    Equally spaced points with one random start on the cumulative probabilities, in the order of the
    rows: the snapshot is sorted by state and then metropolitan size, race, sex and age, which
    spreads the panel over them. Citizens come out in random order.
    """
    chance = inclusion_probabilities(weight, citizens)
    certain = np.flatnonzero(chance >= 1)
    open_rows = np.flatnonzero(chance < 1)
    points = citizens - len(certain)
    picked = np.array([], dtype=np.int64)
    if points:
        cumulated = np.cumsum(chance[open_rows])
        cumulated *= points / cumulated[-1]
        at = np.searchsorted(cumulated, rng.random() + np.arange(points), side="right")
        picked = open_rows[at.clip(max=len(open_rows) - 1)]
    positions = rng.permutation(np.concatenate([certain, picked]))
    return Selection(positions, chance[positions])


def stratified_draw(
    weight: FloatArray, columns: Sequence[Cells], citizens: int, rng: np.random.Generator
) -> Selection:
    """Proportional stratified draw over the crossed attributes, the first one outermost.

    A systematic draw over the rows sorted by stratum, in random order within each: every stratum of
    every leading attribute gets its expected number of citizens rounded up or down, and each
    record's probability is exactly proportional to weight.
    """
    shuffled = rng.permutation(len(weight))
    keys = [column.codes[shuffled] for column in reversed(columns)]
    order = shuffled[np.lexsort(keys)]
    drawn = systematic_draw(weight[order], citizens, rng)
    return Selection(order[drawn.positions], drawn.inclusion)
