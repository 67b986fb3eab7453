"""The reliability (noise) ceiling: how often two panels would agree, by split halves."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from assembly.aggregation.consensus import linearised
from assembly.aggregation.electorate import Electorate, Rule, weighted_mean
from assembly.record.ballots import Votes, citizen_shares
from plenary.errors import ConfigError, NotMeasured
from plenary.preferences import FloatArray, IntArray


class ReliabilityCeiling(NamedTuple):
    """How far panels agree with one another: the most a model trained on one can reach.

    agreement: share of pairs on which the majorities of two independent panels of the FULL size are
    expected to agree. low, high: 95 % range of that share from one pair of panels to another.
    half_agreement: the same between random halves of this panel (split-half), a lower bound of it.
    A tied pair counts one half. Pairs without a vote are left out.
    """

    agreement: float
    low: float
    high: float
    half_agreement: float


def reliability_ceiling(
    votes: Votes,
    pairs: IntArray,
    weights: FloatArray,
    phase: int,
    rng: np.random.Generator,
    *,
    draws: int = 1000,
    clusters: IntArray | None = None,
) -> ReliabilityCeiling:
    """How often majorities of two panels agree; higher is better, one half is chance.

    Full size: two bootstrap panels per draw, clusters (by default citizens) resampled with
    replacement. Bootstrap panels scatter about the OBSERVED shares, whose own sampling error makes
    pairs look more decided than they are, so the shares are first shrunk toward one half by the
    share of their spread over pairs that is not sampling variance. Resampling whole citizens keeps
    the dependence of pairs.
    """
    shares = citizen_shares(votes, phase, len(weights), len(pairs))
    shares = shares[:, ~np.isnan(shares).all(axis=0)]
    groups = np.unique(
        np.arange(len(weights)) if clusters is None else clusters, return_inverse=True
    )[1]
    if groups.max(initial=0) < 1:
        raise ConfigError(f"{len(weights)!r} citizens in one cluster; seat more tables")
    if shares.shape[1] == 0:
        raise NotMeasured(
            f"no valid ballot on any of {len(pairs)!r} pairs; check the invalid ballots"
        )
    p = weighted_mean(shares, weights)
    variance = linearised(shares, weights, p, groups).variance
    if np.isnan(variance).all():
        raise NotMeasured(
            "no pair has valid ballots from two groups; seat more tables, or check "
            "the invalid ballots"
        )
    kept = 1.0 - np.nanmean(variance) / max(float(np.mean((p - 0.5) ** 2)), 1e-12)
    centre = 0.5 + np.sqrt(max(kept, 0.0)) * (p - 0.5)
    panels = _panels(shares, weights, groups, 2 * draws, rng) - p + centre
    full = agreement(panels[:draws], panels[draws:])
    half = agreement(*_halves(shares, weights, groups, draws, rng))
    low, high = np.quantile(full, [0.025, 0.975])
    return ReliabilityCeiling(float(full.mean()), float(low), float(high), float(half.mean()))


def _panels(
    shares: FloatArray, weights: FloatArray, groups: IntArray, draws: int, rng: np.random.Generator
) -> FloatArray:
    """Weighted shares [draws, P] of bootstrap panels; a pair without a ballot in a draw is NaN."""
    count = groups.max() + 1
    times = rng.multinomial(count, np.full(count, 1.0 / count), size=draws)[:, groups]
    return _means(shares, weights * times)


def _halves(
    shares: FloatArray, weights: FloatArray, groups: IntArray, draws: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Weighted shares [draws, P] in each of two random halves of the clusters."""
    count = groups.max() + 1
    ranks = rng.permuted(np.tile(np.arange(count), (draws, 1)), axis=1)
    one, two = ranks < count // 2, ranks >= count - count // 2
    return _means(shares, weights * one[:, groups]), _means(shares, weights * two[:, groups])


def _means(shares: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted means [D, P] for many weight vectors [D, C] at once."""
    there = ~np.isnan(shares)
    total = weights @ there.astype(float)
    return np.divide(
        weights @ np.where(there, shares, 0.0),
        total,
        out=np.full(total.shape, np.nan),
        where=total > 0,
    )


def agreement(one: FloatArray, two: FloatArray) -> FloatArray:
    """Share of pairs [D] whose majorities agree; a tie counts one half."""
    product = np.sign(one - 0.5) * np.sign(two - 0.5)
    return np.nanmean(0.5 + 0.5 * product, axis=1)


def rule_ceiling(
    rule: Rule,
    electorate: Electorate,
    clusters: IntArray,
    rng: np.random.Generator,
    *,
    draws: int = 40,
) -> ReliabilityCeiling:
    """How often a rule's verdicts on two panels agree, over the pairs [P] of one part.

    As `reliability_ceiling`, for any rule: `draws` pairs of bootstrap panels of clusters [C], and
    random halves. A verdict cannot be shrunk toward one half as a share can, so the agreement of
    full panels may be too high here; that of halves is still a lower bound.
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
    return ReliabilityCeiling(
        float(np.nanmean(full)), float(low), float(high), float(np.nanmean(half))
    )
