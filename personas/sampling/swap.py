"""Swap selection: a panel whose one- and two-way margins are closest to the population's.

From a draw proportional to weight, one citizen after another is compared with other candidates
drawn proportional to weight, and is replaced by the one who brings the panel's counts closest. N
persons, C citizens, D candidates, M margins, T cells of all margins together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from census_data.cells import Cells, crossed
from personas.sampling.draws import Selection, inclusion_probabilities, systematic_draw
from plenary.preferences import BoolArray, FloatArray, IntArray

ONE_WAY_FACTOR = 3.0
CANDIDATES = 24_000
COMPARED = 2_500
# Sweeps over the citizens without any change after which the search ends, and steps at most.
PATIENCE, STEPS = 4, 4_000


def swap_draw(
    weight: FloatArray, columns: Sequence[Cells], citizens: int, rng: np.random.Generator
) -> Selection:
    """Discrepancy-minimising draw; inclusion probabilities are estimates.

    They are those of the draw it starts from: who is kept depends on the others, and only repeated
    draws could show the difference.
    """
    chance = inclusion_probabilities(weight, citizens)
    reserve = min(len(weight), max(CANDIDATES, 4 * citizens))
    pool = systematic_draw(weight, reserve, rng).positions
    table = _Discrepancy(weight, columns, pool, citizens)
    members = rng.choice(reserve, citizens, replace=False)
    chosen = _improve(table, members, rng)
    positions = pool[rng.permutation(chosen)]
    return Selection(positions, chance[positions], "estimated")


def _improve(table: _Discrepancy, members: IntArray, rng: np.random.Generator) -> IntArray:
    members = members.copy()
    taken = np.zeros(table.codes.shape[1], dtype=bool)
    taken[members] = True
    table.fill(members)
    steps = idle = 0
    while idle < PATIENCE and steps < STEPS:
        idle += 1
        for seat in rng.permutation(len(members)):
            steps += 1
            better = table.replacement(int(members[seat]), taken, rng)
            if better is not None:
                taken[members[seat]], taken[better] = False, True
                members[seat] = better
                idle = 0
            if steps >= STEPS:
                break
    return members


class _Discrepancy:
    """Weighted sum over all cells of |citizens in the cell - expected citizens|; lower is better.

    codes [M, D]: cell of every candidate in every margin, numbered over all margins.
    excess [T]: citizens in the cell minus expected. importance [T]: one-way cells count more.
    """

    def __init__(
        self, weight: FloatArray, columns: Sequence[Cells], pool: IntArray, citizens: int
    ) -> None:
        # All one-way margins, then all two-way margins.
        tables = [crossed(parts) for ways in (1, 2) for parts in combinations(columns, ways)]
        sizes = [int(np.prod(table.shape)) for table in tables]
        starts = np.cumsum([0, *sizes[:-1]])
        self.codes = np.stack([t.codes[pool] + at for t, at in zip(tables, starts, strict=True)])
        counts = [np.bincount(t.codes, weight, n) for t, n in zip(tables, sizes, strict=True)]
        self._expected = np.concatenate(counts) * (citizens / weight.sum())
        one_way = [len(table.shape) == 1 for table in tables]
        factors = np.where(one_way, ONE_WAY_FACTOR * len(columns) / 4, 1)
        self._importance = np.repeat(factors, sizes)
        self.excess = -self._expected

    def fill(self, members: IntArray) -> None:
        """Take these candidates [C] as the panel."""
        counts = np.bincount(self.codes[:, members].ravel(), minlength=len(self._expected))
        self.excess = counts - self._expected

    def replacement(self, member: int, taken: BoolArray, rng: np.random.Generator) -> int | None:
        """A candidate who is better than the member, already counted in; None if there is none."""
        own = self.codes[:, member]
        self.excess[own] -= 1
        gain = (np.abs(self.excess + 1) - np.abs(self.excess)) * self._importance
        candidates = self.codes.shape[1]
        compared = min(COMPARED, candidates)
        start = int(rng.integers(candidates - compared + 1))
        scores = gain.take(self.codes[:, start : start + compared]).sum(axis=0)
        scores[taken[start : start + compared]] = np.inf
        best = int(scores.argmin())
        found = start + best if scores[best] < gain[own].sum() - 1e-9 else None
        self.excess[self.codes[:, member if found is None else found]] += 1
        return found
