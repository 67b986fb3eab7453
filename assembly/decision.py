"""The decision by another rule than the weighted share. C citizens, P pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from assembly.consensus import Consensus
from assembly.electorate import Electorate, Rule
from assembly.uncertainty import uncertainty
from plenary.errors import DataError
from plenary.preferences import IntArray


def decided_by(
    rule: Rule,
    electorate: Electorate,
    plain: Consensus,
    parts: IntArray,
    clusters: IntArray,
    rng: np.random.Generator,
    *,
    replicates: int = 100,
) -> Consensus:
    """`plain` with p, low, high and contested as `rule` has them; ballots and counts stay.

    parts [P]: the rule is asked about each part by itself, since outcomes of different sides of the
    split never meet. clusters [C]: drawn again for the interval (`assembly.uncertainty`), which is
    widened to hold p where a decided answer leaves it. A pair without a ballot keeps no label.
    DataError when the rule does not answer for a pair that was voted on.
    """
    p, low, high = np.full((3, len(plain.p)), np.nan)
    for part in np.unique(parts):
        at = np.flatnonzero(parts == part)
        own = replace(electorate, shares=electorate.shares[:, at], pairs=electorate.pairs[at])
        ends = uncertainty(rule, own, rng, replicates, clusters, level=plain.level)
        p[at], low[at], high[at] = rule(own).p, ends.p_low, ends.p_high
    voted = ~np.isnan(plain.p)
    silent = np.flatnonzero(voted & np.isnan(p))
    if len(silent):
        raise DataError(
            f"the rule has no answer for {len(silent)!r} pairs, the first being "
            f"{plain.pairs[silent[0]].tolist()!r}; join their outcomes by more pairs or take "
            "rule weighted_share"
        )
    p[~voted], low[~voted], high[~voted] = np.nan, np.nan, np.nan
    low, high = np.fmin(low, p), np.fmax(high, p)
    return replace(plain, p=p, low=low, high=high, contested=(low <= 0.5) & (high >= 0.5))
