"""Variance of one answer by outcome, wording, slot and sampling (G-study): ICC, flip rate.

Shapes: P pairs, F templates, 2 orders. The input is log odds of choosing the outcome shown first,
with the pair's first outcome shown first in order 0 and second in order 1. From them the preference
h = (l0 - l1) / 2, free of the slot, and the slot effect s = (l0 + l1) / 2, each [P, F]. Source:
docs/references.md, keys evaluation and shrout1979.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import stats

from evaluation.consistency.coherence import order_shares
from evaluation.stats.intervals import Estimate
from plenary.errors import DataError
from plenary.preferences import BoolArray, ComparisonCounts, FloatArray, IntArray

CLEAR, STRONG_SHARE, MANUFACTURED, EVEN = 0.6, 10 / 12, 0.75, 0.5
EXTREME = 1e-6


class LogOdds(NamedTuple):
    """first [P, F, 2]: log odds of the outcome shown first; noise [P, F, 2]: sampling variance."""

    first: FloatArray
    noise: FloatArray


def log_odds(templates: Sequence[ComparisonCounts], pairs: IntArray) -> LogOdds:
    """Log odds of each pair [P, 2] in each template's cells; DataError if one was not answered.

    Counts get half an answer added on either side (the least biased logit); exact probabilities
    none.
    """
    first, noise = [], []
    for cells in templates:
        exact = not np.isnan(cells.mass[cells.trials > 0]).any()
        extra = 0.0 if exact else 0.5
        softened = replace(
            cells,
            wins=cells.wins + extra * (cells.trials > 0),
            trials=cells.trials + 2 * extra * (cells.trials > 0),
        )
        shares = order_shares(softened, pairs)
        p = np.stack([shares.first, 1 - shares.second], axis=1).clip(EXTREME, 1 - EXTREME)
        of_share = np.stack([shares.first_noise, shares.second_noise], axis=1)
        first.append(np.log(p) - np.log1p(-p))
        noise.append(of_share / (p * (1 - p)) ** 2)
    found = LogOdds(np.stack(first, axis=1), np.stack(noise, axis=1))
    if np.isnan(found.first).any():
        missing = int(np.isnan(found.first).any(axis=(1, 2)).sum())
        raise DataError(
            f"{missing} of {len(pairs)} pairs lack an answer in some template or order; "
            "leave those pairs out"
        )
    return found


class Components(NamedTuple):
    """Variances of one answer in squared log odds, none below 0.

    outcome: true differences between pairs. template: a wording's effect common to all pairs.
    wording: template x outcome. position: the slot effect, mean and spread. sampling: of finitely
    many answers.
    """

    outcome: float
    template: float
    wording: float
    position: float
    sampling: float

    @property
    def total(self) -> float:
        """Variance (about even) of one answer's log odds."""
        return sum(self)

    @property
    def shares(self) -> Components:
        """The same as shares of the total (NaN if 0); the outcome's share is the main figure."""
        return Components(*(part / self.total if self.total > 0 else np.nan for part in self))

    @property
    def icc(self) -> float:
        """Reliability of one template, both orders: outcome / (outcome + template + wording)."""
        whole = self.outcome + self.template + self.wording
        return self.outcome / whole if whole > 0 else float("nan")


def components(odds: LogOdds) -> Components:
    """Two-way random analysis of variance of h (pairs x templates), less sampling variance."""
    l0, l1 = odds.first[..., 0], odds.first[..., 1]
    h, s = (l0 - l1) / 2, (l0 + l1) / 2
    p, f = h.shape
    if p < 2 or f < 2:
        raise DataError(f"{p!r} pairs in {f!r} templates; at least two of each are needed")
    of_pair, of_template = h.mean(axis=1), h.mean(axis=0)
    rest = h - of_pair[:, None] - of_template + h.mean()
    residual = float((rest**2).sum() / ((p - 1) * (f - 1)))
    outcome = float(of_pair.var(ddof=1)) - residual / f
    template = float(of_template.var(ddof=1)) - residual / p
    sampling = float(np.nan_to_num(odds.noise).mean())
    position = float((s**2).mean()) - sampling / 2
    parts = (outcome, template, residual - sampling / 2, position, sampling)
    return Components(*(max(part, 0.0) for part in parts))


class WordingVariance(NamedTuple):
    """budget: variance components of one answer. icc: of one template. templates_needed: for .9."""

    budget: Components
    icc: Estimate
    templates_needed: float


def templates_needed(icc: float, reliability: float = 0.9) -> float:
    """Templates whose mean has that reliability (Spearman-Brown); infinite if the icc is 0."""
    if not icc > 0:
        return float("inf")
    return float(np.ceil(reliability / (1 - reliability) * (1 - icc) / icc - 1e-9))


def _jackknife(values: FloatArray) -> float:
    """Variance of a statistic from its values [M] with one of M units left out."""
    return float((len(values) - 1) * values.var())


def wording(odds: LogOdds, pairs: IntArray, level: float = 0.95) -> WordingVariance:
    """Variance components, ICC of outcome against wording, and templates needed for reliability .9.

    Interval: jackknife over outcomes (a pair leaves with either of its two) and templates. Floor
    0.
    """
    budget = components(odds)
    members = np.unique(pairs)
    by_outcome = [
        components(LogOdds(*(part[(pairs != k).all(axis=1)] for part in odds))).icc for k in members
    ]
    variance = _jackknife(np.array(by_outcome))
    f = odds.first.shape[1]
    if f > 2:
        kept = [np.arange(f) != left for left in range(f)]
        variance += _jackknife(
            np.array([components(LogOdds(*(part[:, keep] for part in odds))).icc for keep in kept])
        )
    half = stats.norm.ppf((1 + level) / 2) * np.sqrt(variance)
    low, high = np.clip([budget.icc - half, budget.icc + half], 0, 1)
    icc = Estimate(budget.icc, float(low), float(high), 0.0, len(members))
    return WordingVariance(budget, icc, templates_needed(budget.icc))


def _preference(odds: LogOdds) -> FloatArray:
    return (odds.first[..., 0] - odds.first[..., 1]) / 2


def _over_outcomes(hits: FloatArray, pairs: IntArray, floor: float, level: float) -> Estimate:
    """Weighted share with a jackknife interval over outcomes: hits [P, 2] (numerator, number)."""
    total = hits.sum(axis=0)
    if not total[1]:
        return Estimate(float("nan"), float("nan"), float("nan"), floor, 0)
    without = np.array(
        [total - hits[(pairs == k).any(axis=1)].sum(axis=0) for k in np.unique(pairs)]
    )
    without = without[without[:, 1] > 0]
    value = float(total[0] / total[1])
    spread = np.sqrt(_jackknife(without[:, 0] / without[:, 1]))
    half = stats.norm.ppf((1 + level) / 2) * spread
    low, high = np.clip([value - half, value + half], 0, 1)
    return Estimate(value, float(low), float(high), floor, int(total[1]))


def flip_rate(odds: LogOdds, pairs: IntArray, level: float = 0.95) -> Estimate:
    """Share of (pair, template) whose preference contradicts the mean of the other templates.

    Only where the others are clear (|mean| above .6 log odds). Lower is better; .5 for templates
    that answer at random. (Pair, template) cells are counted.
    """
    h = _preference(odds)
    f = h.shape[1]
    others = (h.sum(axis=1, keepdims=True) - h) / (f - 1)
    clear = np.abs(others) > CLEAR
    flipped = clear & (np.sign(h) != np.sign(others))
    hits = np.stack([flipped.sum(axis=1), clear.sum(axis=1)], axis=1).astype(float)
    return _over_outcomes(hits, pairs, 0.5, level)


def position_dominance(odds: LogOdds, pairs: IntArray, level: float = 0.95) -> Estimate:
    """Share of pairs and templates with the same slot chosen in both orders; lower is better.

    An even answer counts one half. At chance .5: strong choices that are unrelated to the outcomes.
    """
    same = (1 + np.sign(odds.first[..., 0]) * np.sign(odds.first[..., 1])) / 2
    hits = np.stack([same.sum(axis=1), np.full(len(same), same.shape[1], dtype=float)], axis=1)
    return _over_outcomes(hits, pairs, 0.5, level)


class Strong(NamedTuple):
    """share of pairs that may be named individually, and which [P]."""

    share: Estimate
    holds: BoolArray


def strong_preferences(odds: LogOdds, pairs: IntArray, level: float = 0.95) -> Strong:
    """Pairs whose sign agrees in at least 10 of 12 templates and whose mean preference is not 0.

    The latter is judged by a t interval over templates at `level`. Floor: the share that would pass
    by random answers, from the binomial alone.
    """
    h = _preference(odds)
    f = h.shape[1]
    needed = int(np.ceil(STRONG_SHARE * f - 1e-9))
    most = np.maximum((h > 0).sum(axis=1), (h < 0).sum(axis=1))
    half = stats.t.ppf((1 + level) / 2, f - 1) * h.std(axis=1, ddof=1) / np.sqrt(f)
    holds = (most >= needed) & (np.abs(h.mean(axis=1)) > half)
    floor = min(1.0, float(2 * stats.binom.sf(needed - 1, f, 0.5)))
    hits = np.stack([holds.astype(float), np.ones(len(h))], axis=1)
    return Strong(_over_outcomes(hits, pairs, floor, level), holds)


def manufactured_preferences(
    odds: LogOdds, no_preference: FloatArray, pairs: IntArray, level: float = 0.95
) -> Estimate:
    """Share of pairs with a clear forced choice that get "no preference" when it is offered.

    Forced: mean |log odds| over templates of at least .75. Offered: mean P(no preference) [P] of at
    least .5. Lower is better; floor 0.
    """
    h = np.abs(_preference(odds).mean(axis=1))
    made = (h >= MANUFACTURED) & (no_preference >= EVEN)
    hits = np.stack([made.astype(float), np.ones(len(h))], axis=1)
    return _over_outcomes(hits, pairs, 0.0, level)
