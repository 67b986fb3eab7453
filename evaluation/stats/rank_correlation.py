"""Spearman's rank correlation and its exact permutation p value for few points."""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
from scipy import stats

from plenary.preferences import FloatArray

MOST_EXACT, ROUNDING = 8, 1e-9

Side = Literal["two-sided", "greater"]


def exact_rank_p(x: FloatArray, y: FloatArray, side: Side = "two-sided") -> float:
    """Share of the orders of y [N] that follow x as closely, by ranks; 1 where one is constant.

    Smallest two-sided p of N distinct points: 3 .333, 4 .083, 5 .017, 6 .003. Beyond eight points
    the t approximation is used, which is then close.
    """
    a, b = stats.rankdata(x), stats.rankdata(y)
    if np.isnan(x).any() or np.isnan(y).any() or not np.ptp(a) or not np.ptp(b):
        return 1.0
    if len(a) > MOST_EXACT:
        r = float(np.corrcoef(a, b)[0, 1])
        t = r * np.sqrt((len(a) - 2) / max(1 - r * r, 1e-12))
        above = float(stats.t.sf(abs(t) if side == "two-sided" else t, len(a) - 2))
        return 2 * above if side == "two-sided" else above
    orders = np.array(list(itertools.permutations(b - b.mean()))) @ (a - a.mean())
    seen = float((b - b.mean()) @ (a - a.mean()))
    if side == "two-sided":
        return float(np.mean(np.abs(orders) >= abs(seen) - ROUNDING))
    return float(np.mean(orders >= seen - ROUNDING))


def rank_correlation(x: FloatArray, y: FloatArray) -> float:
    """Spearman correlation; ranks of ties are averaged."""
    return float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])
