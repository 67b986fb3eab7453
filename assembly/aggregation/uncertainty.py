"""Bootstrap intervals of any rule's answers: how far they move with other citizens or tables.

Shapes: C citizens, P pairs, K outcomes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import stats

from assembly.aggregation.electorate import Electorate, Rule
from plenary.errors import ConfigError
from plenary.preferences import FloatArray, IntArray

SMALLEST = 1e-12


class Uncertainty(NamedTuple):
    """Interval ends for a rule's answers p [P] and scores [K]; NaN where the rule gave none."""

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

    `clusters` [C]: `Seating.group_of()` for votes after discussion, which are dependent within a
    group; `np.arange(C)` for private ballots before it. H - 1 of the H clusters are drawn with
    replacement and their design weights multiplied by H / (H - 1) times how often each was drawn.
    Shares get Wilson's interval with the bootstrap's variance and Student's t on H - 1 degrees of
    freedom; decided answers (0, 0.5, 1) and scores get the percentile ends. A replicate without an
    answer for a pair is left out for that pair. The interval of a pair on which all agree has no
    width: for plain weighted shares prefer `assembly.aggregation.consensus.consensus`. ConfigError
    with fewer than two clusters or replicates.
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
    drawn = np.stack([v.p for v in found])
    p_low, p_high = _ends(drawn, level)
    t = float(stats.t.ppf(0.5 + level / 2, count - 1))
    p_low, p_high = _wilson(rule(electorate).p, drawn, t, Ends(p_low, p_high))
    scores = _ends(np.stack([v.scores for v in found]), level)
    return Uncertainty(p_low, p_high, scores.low, scores.high)


class Ends(NamedTuple):
    """Lower and upper ends of intervals."""

    low: FloatArray
    high: FloatArray


def _ends(values: FloatArray, level: float) -> Ends:
    """Percentile ends of the columns of replicates [B, ...], NaN left out."""
    answered = ~np.isnan(values).all(axis=0)
    ends = np.full((2, values.shape[1]), np.nan)
    ends[:, answered] = np.nanquantile(
        values[:, answered], [(1 - level) / 2, (1 + level) / 2], axis=0
    )
    return Ends(*ends)


def _wilson(p: FloatArray, drawn: FloatArray, t: float, percentile: Ends) -> Ends:
    """Wilson's interval with n = p (1 - p) / variance where answers are shares.

    Percentile ends of a share near 0 or 1 are skewed the wrong way and cover too seldom.
    """
    share = ~np.isnan(p) & ~(np.isnan(drawn) | np.isin(drawn, (0.0, 0.5, 1.0))).all(axis=0)
    low, high = percentile.low.copy(), percentile.high.copy()
    variance = np.nanvar(drawn[:, share], axis=0, ddof=1)
    at = p[share]
    n = at * (1 - at) / np.maximum(variance, SMALLEST)
    middle = (at + t**2 / (2 * n)) / (1 + t**2 / n)
    half = t / (1 + t**2 / n) * np.sqrt(at * (1 - at) / n + (t / (2 * n)) ** 2)
    low[share], high[share] = middle - half, middle + half
    return Ends(low, high)
