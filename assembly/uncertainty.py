"""How far a rule's answers would move with other citizens, or other tables, in the room.

Shapes: C citizens, P pairs, K outcomes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from assembly.electorate import Electorate, Rule
from plenary.errors import ConfigError
from plenary.preferences import FloatArray, IntArray


class Uncertainty(NamedTuple):
    """Percentile ends of a rule's answers p [P] and scores [K]; NaN where the rule had none."""

    p_low: FloatArray
    p_high: FloatArray
    scores_low: FloatArray
    scores_high: FloatArray


def uncertainty(
    rule: Rule,
    electorate: Electorate,
    rng: np.random.Generator,
    replicates: int,
    clusters: IntArray,
    *,
    level: float = 0.9,
) -> Uncertainty:
    """Interval at `level` by the rescaled bootstrap of clusters [raowu1988], for any rule.

    `clusters` [C]: `Seating.table_of()` for votes after discussion, which depend within a table;
    `np.arange(C)` for private ballots before it. H - 1 of the H clusters are drawn with
    replacement and their design weights multiplied by H / (H - 1) times how often each was drawn.
    A replicate without an answer for a pair is left out for that pair. Percentile ends: one
    unanimous on a pair has no width, so for the plain share of a pair prefer
    `assembly.consensus.consensus`. ConfigError with fewer than two clusters or replicates.
    """
    at = np.unique(clusters, return_inverse=True)[1]
    count = int(at.max(initial=-1)) + 1
    if count < 2 or replicates < 2:
        raise ConfigError(
            f"{count!r} clusters and {replicates!r} replicates; give at least 2 of each"
        )
    times = rng.multinomial(count - 1, np.full(count, 1 / count), size=replicates)
    weights = electorate.weights * times[:, at] * (count / (count - 1))
    found = [rule(replace(electorate, weights=w)) for w in weights]
    p = _ends(np.stack([v.p for v in found]), level)
    scores = _ends(np.stack([v.scores for v in found]), level)
    return Uncertainty(p[0], p[1], scores[0], scores[1])


def _ends(values: FloatArray, level: float) -> FloatArray:
    """Percentile ends [2, ...] of replicates [B, ...], those that are NaN left out."""
    answered = ~np.isnan(values).all(axis=0)
    ends = np.full((2, values.shape[1]), np.nan)
    ends[:, answered] = np.nanquantile(
        values[:, answered], [(1 - level) / 2, (1 + level) / 2], axis=0
    )
    return ends
