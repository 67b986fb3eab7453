"""Coherence measures: decisiveness, transitivity (cycles), order consistency, hold-out, split-half.

Shapes: K outcomes, P pairs, N cells, T triads, B bootstrap replicates. Each measure comes with its
chance level (floor) and an interval, which resamples outcomes (pairs share them) unless a docstring
says otherwise. Nothing is smoothed and no majority is taken: both would turn the number of answers
into coherence. Sources: docs/references.md, keys fitting and kendall1940.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse, stats
from scipy.special import expit

from evaluation.stats.intervals import Estimate, node_weights
from evaluation.stats.rank_correlation import rank_correlation
from evaluation.utility.davidson import fit_answers
from evaluation.utility.thurstonian import FitSettings, UtilityFit
from plenary.errors import DataError
from plenary.preferences import BoolArray, ComparisonCounts, FloatArray, IntArray

CYCLE_FLOOR, LEAST_TRANSITIVE = 0.25, 0.02

SMALLEST_P, BINS, NEWTON_STEPS = 1e-9, 10, 25


class OrderShares(NamedTuple):
    """Both orders of each pair [P]: shares choosing pairs[:, 0], and their noise (0 if exact).

    first, second [P]: share when pairs[:, 0] is shown first, and second; NaN if not answered.
    first_noise, second_noise [P]: unbiased sampling variance of the two (NaN with one answer).
    """

    first: FloatArray
    second: FloatArray
    first_noise: FloatArray
    second_noise: FloatArray


def order_shares(cells: ComparisonCounts, pairs: IntArray) -> OrderShares:
    """Shares of each pair [P, 2] by presentation order, with their sampling variances."""
    size = int(max(pairs.max(), cells.first.max(initial=0), cells.second.max(initial=0))) + 1
    codes = np.concatenate([pairs @ [size, 1], pairs @ [1, size]])
    order = np.argsort(codes, kind="stable")
    keys = cells.first * size + cells.second
    at = np.searchsorted(codes[order], keys).clip(max=len(codes) - 1)
    hit = codes[order][at] == keys
    slot = order[at[hit]]
    exact = ~np.isnan(cells.mass[hit])
    wins, trials, known = (
        np.bincount(slot, values, len(codes))
        for values in (cells.wins[hit], cells.trials[hit], exact & (cells.trials[hit] > 0))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        share = wins / trials
        noise = np.where(known > 0, 0.0, share * (1 - share) / (trials - 1))
    noise[(known == 0) & (trials <= 1)] = np.nan
    p = len(pairs)
    return OrderShares(share[:p], 1 - share[p:], noise[:p], noise[p:])


def _over_outcomes(
    values: FloatArray, pairs: IntArray, weights_rng: np.random.Generator, replicates: int
) -> FloatArray:
    weights = node_weights(pairs, replicates, weights_rng)
    return weights @ values / weights.sum(axis=1)


def _answered(*columns: FloatArray) -> BoolArray:
    kept = np.asarray(~np.isnan(np.stack(columns)).any(axis=0))
    if not kept.any():
        raise DataError(
            f"none of {len(kept)} pairs has what this measure needs in both orders; ask both "
            "orders, and at least twice if the model only samples"
        )
    return kept


def _ends(draws: FloatArray, level: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def decisiveness(
    cells: ComparisonCounts,
    pairs: IntArray,
    rng: np.random.Generator,
    level: float = 0.95,
    draws: int = 1000,
) -> Estimate:
    """Root mean square of 2p - 1, p averaged over the orders; 0 always even, 1 always certain.

    The sampling variance of each share is subtracted, so that the figure does not depend on the
    number of answers (the plain mean of |2p - 1| is .84 with 2 answers where .77 is true). Floor 0.
    """
    s = order_shares(cells, pairs)
    squared = (s.first + s.second - 1) ** 2 - s.first_noise - s.second_noise
    kept = _answered(squared)
    means = _over_outcomes(squared[kept], pairs[kept], rng, draws)
    low, high = _ends(np.sqrt(means.clip(0)), level)
    value = float(np.sqrt(max(squared[kept].mean(), 0.0)))
    return Estimate(value, low, high, 0.0, int(kept.sum()))


class OrderEffect(NamedTuple):
    """consistency: probability of the same outcome in both orders. position: of the same slot.

    first_slot, second_slot: the parts of `position`.
    """

    consistency: Estimate
    position: Estimate
    first_slot: Estimate
    second_slot: Estimate


def order_effect(
    cells: ComparisonCounts,
    pairs: IntArray,
    rng: np.random.Generator,
    level: float = 0.95,
    draws: int = 1000,
) -> OrderEffect:
    """Probability that two independent answers, one in each order, agree on outcome or on slot.

    With p and q the shares for an outcome shown first and second: consistency = p q +
    (1 - p)(1 - q), position dominance = 1 - consistency = p (1 - q) + (1 - p) q. Products of
    independent shares are unbiased for any number of answers. Floors: random answers give .5, .5,
    .25, .25.
    """
    s = order_shares(cells, pairs)
    kept = _answered(s.first, s.second)
    p, q = s.first[kept], s.second[kept]
    weights = node_weights(pairs[kept], draws, rng)
    total, found = weights.sum(axis=1), []
    first, second = p * (1 - q), (1 - p) * q
    for values, floor in (
        (1 - first - second, 0.5),
        (first + second, 0.5),
        (first, 0.25),
        (second, 0.25),
    ):
        ends = _ends(weights @ values / total, level)
        found.append(Estimate(float(values.mean()), *ends, floor, len(p)))
    return OrderEffect(*found)


class HoldOut(NamedTuple):
    """A fit judged on cells that it has not seen.

    accuracy: share of answers on the side predicted (even predictions count one half); floor .5.
    log_loss: nats per answer; ln 2 for random predictions, `entropy` is the least possible.
    entropy: that of the answers' own shares (biased down if answers are few).
    slope: of answers on predicted log odds; 1 is calibrated, below 1 over-confident.
    calibration_error: mean |predicted - answered| over ten bins of equal size; 0 is best.
    """

    accuracy: Estimate
    log_loss: Estimate
    entropy: float
    slope: Estimate
    calibration_error: float


def _logit(p: FloatArray) -> FloatArray:
    p = p.clip(SMALLEST_P, 1 - SMALLEST_P)
    return np.log(p) - np.log1p(-p)


def calibration_slope(p: FloatArray, wins: FloatArray, trials: FloatArray) -> float:
    """Slope of the logistic regression of answers on the log odds of p [N], free intercept."""
    x, beta = np.stack([np.ones(len(p)), _logit(p)]), np.array([0.0, 1.0])
    for _ in range(NEWTON_STEPS):
        q = expit(beta @ x)
        gradient = x @ (wins - trials * q)
        step = np.linalg.lstsq((x * (trials * q * (1 - q))) @ x.T, gradient, rcond=None)[0]
        beta = beta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-8:
            break
    return float(beta[1])


def calibration_error(p: FloatArray, wins: FloatArray, trials: FloatArray) -> float:
    """Mean over bins of equal size, weighted by answers, of |mean predicted - share answered|."""
    order = np.argsort(p, kind="stable")
    bins = np.array_split(order, min(BINS, len(p)))
    gaps = [abs(float(trials[b] @ p[b] - wins[b].sum())) for b in bins]
    return float(sum(gaps) / trials.sum())


def hold_out(
    fitted: UtilityFit,
    cells: ComparisonCounts,
    rng: np.random.Generator,
    level: float = 0.95,
    draws: int = 400,
) -> HoldOut:
    """Judge `fitted` on held-out `cells` [N]; order bias and lapses are part of the prediction."""
    cells = cells.select(cells.trials > 0)
    if not len(cells):
        raise DataError("no held-out cell was answered; ask held-out pairs and try again")
    n, share = cells.trials, cells.wins / cells.trials
    p = fitted.shown_first(cells.first, cells.second).clip(SMALLEST_P, 1 - SMALLEST_P)
    right = np.where(p == 0.5, 0.5, np.where(p > 0.5, share, 1 - share))
    loss = -(share * np.log(p) + (1 - share) * np.log1p(-p))
    q = share.clip(SMALLEST_P, 1 - SMALLEST_P)
    entropy = -(share * np.log(q) + (1 - share) * np.log1p(-q))
    weights = node_weights(np.stack([cells.first, cells.second], axis=1), draws, rng) * n
    total = weights.sum(axis=1)
    slopes = np.array([calibration_slope(p, w * share, w) for w in weights[: min(draws, 200)]])
    measures = [
        Estimate(float(n @ v / n.sum()), *_ends(weights @ v / total, level), floor, len(n))
        for v, floor in ((right, 0.5), (loss, float(np.log(2))))
    ]
    slope = calibration_slope(p, cells.wins, n)
    return HoldOut(
        measures[0],
        measures[1],
        float(n @ entropy / n.sum()),
        Estimate(slope, *_ends(slopes, level), 0.0, len(n)),
        calibration_error(p, cells.wins, n),
    )


def cycle_rate(p: FloatArray) -> float:
    """Mean over all triads of P(cycle) from a full table p [K, K], p[i, j] + p[j, i] = 1.

    A triad cycles with p_ij p_jk p_ki + p_ji p_kj p_ik; the mean over triads is trace(P^3) / 3 /
    C(K, 3). Random answers give 1/4.
    """
    k = len(p)
    table = p * (1 - np.eye(k))
    return float(np.sum(table @ table * table.T) / (k * (k - 1) * (k - 2) / 2))


def closed_triads(pairs: IntArray, outcomes: int) -> IntArray:
    """Triads [T, 3], i < j < k, all three of whose pairs are among `pairs` [P, 2]."""
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    graph = sparse.csr_array(
        (np.ones(len(low), dtype=np.int64), (low, high)), shape=(outcomes, outcomes)
    )
    closing = (graph.T @ graph).multiply(graph).tocoo()
    starts = graph.T.tocsr()
    found = [
        np.stack([shared, np.full(len(shared), j), np.full(len(shared), k)], axis=1)
        for j, k in zip(*closing.coords, strict=True)
        for shared in [
            np.intersect1d(
                starts.indices[starts.indptr[j] : starts.indptr[j + 1]],
                starts.indices[starts.indptr[k] : starts.indptr[k + 1]],
            )
        ]
    ]
    return np.concatenate(found) if found else np.empty((0, 3), dtype=np.int64)


class Transitivity(NamedTuple):
    """cycles: expected cycle rate of the answers; implied: that of the fitted utilities.

    relative: (1/4 - cycles) / (1/4 - implied): 1 is as transitive as utilities can be, 0 or less
    not at all; unlike the cycle rate it does not change just because choices are more decisive. NaN
    if the utilities themselves imply nearly .25.
    """

    cycles: Estimate
    implied: float
    relative: Estimate


def _cycles(ij: FloatArray, jk: FloatArray, ki: FloatArray) -> FloatArray:
    return ij * jk * ki + (1 - ij) * (1 - jk) * (1 - ki)


def transitivity(
    cells: ComparisonCounts,
    pairs: IntArray,
    fitted: UtilityFit,
    rng: np.random.Generator,
    level: float = 0.95,
    draws: int = 1000,
) -> Transitivity:
    """Cycles on the closed triads of `pairs` [P, 2], observed and implied by `fitted`.

    The fit should not have seen these pairs. Raw shares of independent pairs make the product
    unbiased for any number of answers. Floor 1/4 (random answers, or random directions of any
    strength).
    """
    s, k = order_shares(cells, pairs), len(fitted.mu)
    p = (s.first + s.second) / 2
    table = sparse.csr_array((p, tuple(pairs.T)), shape=(k, k)).toarray()
    back = sparse.csr_array((1 - p, tuple(pairs.T[::-1])), shape=(k, k)).toarray()
    table = table + back
    triads = closed_triads(pairs[~np.isnan(p)], k)
    if not len(triads):
        raise DataError(
            f"the {len(pairs)} pairs close no triad; ask all pairs of a few outcomes as well"
        )
    i, j, m = triads.T
    seen = _cycles(table[i, j], table[j, m], table[m, i])
    fit_p = fitted.probability
    implied = _cycles(fit_p(i, j), fit_p(j, m), fit_p(m, i))
    chosen = rng.multinomial(k, np.full(k, 1 / k), size=draws).astype(float)
    weights = chosen[:, i] * chosen[:, j] * chosen[:, m]
    weights = weights[weights.sum(axis=1) > 0]
    means = [weights @ v / weights.sum(axis=1) for v in (seen, implied)]
    value, by_fit = float(seen.mean()), float(implied.mean())
    cycles = Estimate(value, *_ends(means[0], level), CYCLE_FLOOR, len(triads))
    room = CYCLE_FLOOR - by_fit
    if room < LEAST_TRANSITIVE:
        return Transitivity(cycles, by_fit, Estimate(np.nan, np.nan, np.nan, 0.0, len(triads)))
    ratio = (CYCLE_FLOOR - means[0]) / np.maximum(CYCLE_FLOOR - means[1], LEAST_TRANSITIVE)
    relative = Estimate((CYCLE_FLOOR - value) / room, *_ends(ratio, level), 0.0, len(triads))
    return Transitivity(cycles, by_fit, relative)


def split_half(
    cells: ComparisonCounts,
    outcomes: int,
    rng: np.random.Generator,
    settings: FitSettings | None = None,
    splits: int = 10,
    level: float = 0.95,
    draws: int = 400,
) -> Estimate:
    """Reliability of the utilities: halves of the pairs fitted apart, stepped up to full length.

    Spearman correlation r of the two fits, mean over random splits, then 2r / (1 + r); both orders
    of a pair stay in one half. Floor 0. Slightly pessimistic (pairs, not answers, are split, so
    pair-specific noise counts as noise).
    """
    settings = (settings or FitSettings()).model_copy(update={"disconnected": "flag"})
    codes = np.minimum(cells.first, cells.second) * outcomes + np.maximum(cells.first, cells.second)
    _, pair = np.unique(codes, return_inverse=True)
    fitted = []
    for _ in range(splits):
        half = rng.permutation(pair.max() + 1)[pair] % 2 == 0
        fitted.append([fit_answers(cells.select(s), outcomes, settings).mu for s in (half, ~half)])

    def reliability(members: IntArray) -> float:
        r = np.mean([rank_correlation(one[members], other[members]) for one, other in fitted])
        return float(2 * r / (1 + r))

    drawn = [reliability(rng.integers(0, outcomes, outcomes)) for _ in range(draws)]
    value = reliability(np.arange(outcomes))
    return Estimate(value, *_ends(np.array(drawn), level), 0.0, splits)


class Ladders(NamedTuple):
    """strict: share of ladders in strictly rising order; holds [L]: which ones."""

    strict: Estimate
    holds: BoolArray


def ladder_monotonicity(
    mu: FloatArray, ladders: Sequence[IntArray], level: float = 0.95
) -> Ladders:
    """Numeric ladders (the same thing in rising amounts, worst first) that utilities mu [K] follow.

    One step out of order fails the ladder. Floor: mean of 1 / n! over ladders of n rungs; Wilson
    interval over ladders.
    """
    if not ladders:
        raise DataError("no ladders were given; name at least one list of rungs, worst first")
    holds = np.array([bool((np.diff(mu[rungs]) > 0).all()) for rungs in ladders])
    floor = float(np.mean([np.exp(-np.sum(np.log(np.arange(1, len(r) + 1)))) for r in ladders]))
    ends = stats.binomtest(int(holds.sum()), len(holds)).proportion_ci(level, "wilson")
    strict = Estimate(float(holds.mean()), float(ends.low), float(ends.high), floor, len(holds))
    return Ladders(strict, holds)
