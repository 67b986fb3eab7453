"""Paired proportions: McNemar's test, interval, non-inferiority, and the margin N items support.

Sources: docs/references.md, keys mcnemar1947, agresti2005, evaluation (section 3.2).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from plenary.errors import DataError
from plenary.preferences import BoolArray

RetentionVerdict = Literal["kept", "lost", "undecided"]


class Paired(NamedTuple):
    """Right answers before and after, on the same items.

    lost, gained: items right only before, only after. change: after minus before, higher is
    better; low, high: ends of its two-sided interval. p_value: exact McNemar, two-sided.
    """

    items: int
    before: float
    after: float
    lost: int
    gained: int
    change: float
    low: float
    high: float
    p_value: float


def paired(before: BoolArray, after: BoolArray, level: float = 0.90) -> Paired:
    """Compare right answers [N]; `level` 0.90 makes each end a one-sided 95 % bound.

    The interval adds one half to each cell of the 2 x 2 table (Agresti and Min 2005), so that zero
    discordant items do not mean zero uncertainty.
    """
    if len(before) != len(after) or not len(before):
        raise DataError(
            f"{len(before)} items before and {len(after)} after; answer the same items twice"
        )
    n = len(before)
    lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
    exact = stats.binomtest(lost, lost + gained).pvalue if lost + gained else 1.0
    total, b, c = n + 2, lost + 0.5, gained + 0.5
    centre = (c - b) / total
    half = stats.norm.ppf(0.5 + level / 2) * np.sqrt((b + c) / total - centre**2) / np.sqrt(total)
    return Paired(
        n,
        float(before.mean()),
        float(after.mean()),
        lost,
        gained,
        (gained - lost) / n,
        float(max(centre - half, -1.0)),
        float(min(centre + half, 1.0)),
        float(exact),
    )


def supported_margin(
    items: int, discordance: float = 0.10, alpha: float = 0.05, power: float = 0.80
) -> float:
    """Smallest loss that `items` paired items can rule out: (z_alpha + z_power) sqrt(d / N).

    One-sided `alpha`, if nothing was lost and `discordance` of the items change sides.
    """
    z = stats.norm.ppf(1 - alpha) + stats.norm.ppf(power)
    return float(z * np.sqrt(discordance / items))


def non_inferior(low: float, high: float, margin: float) -> RetentionVerdict:
    """Verdict on a loss (higher is worse) whose interval is low..high: is it below `margin`?"""
    if high < margin:
        return "kept"
    return "lost" if low > margin else "undecided"
