"""The decision by another rule than the weighted share. C citizens, P pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from assembly.consensus import Ceiling, Consensus, agreement
from assembly.electorate import Electorate, Rule
from assembly.uncertainty import uncertainty
from plenary.errors import DataError
from plenary.preferences import FloatArray, IntArray


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


def rule_ceiling(
    rule: Rule,
    electorate: Electorate,
    clusters: IntArray,
    rng: np.random.Generator,
    *,
    draws: int = 40,
) -> Ceiling:
    """How far the rule's verdicts on two panels agree, pairs [P] of one part.

    As `panel_ceiling`, by any rule: `draws` pairs of bootstrap panels of clusters [C], and random
    halves. A verdict cannot be drawn toward one half as a share can, so the agreement of full
    panels may be too high here; that of halves is a lower bound all the same.
    """
    names, at = np.unique(clusters, return_inverse=True)
    count = len(names)

    def verdicts(times: FloatArray) -> FloatArray:
        weights = electorate.weights * times[:, at]
        return np.stack([rule(replace(electorate, weights=w)).p for w in weights])

    times = rng.multinomial(count, np.full(count, 1 / count), size=2 * draws).astype(float)
    drawn = verdicts(times)
    rank = rng.permuted(np.tile(np.arange(count), (draws, 1)), axis=1)
    low_half, high_half = rank < count // 2, rank >= count - count // 2
    full = agreement(drawn[:draws], drawn[draws:])
    half = agreement(verdicts(low_half.astype(float)), verdicts(high_half.astype(float)))
    low, high = np.nanquantile(full, [0.025, 0.975])
    return Ceiling(float(np.nanmean(full)), float(low), float(high), float(np.nanmean(half)))
