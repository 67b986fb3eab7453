"""Variance components of a label (G-study): citizens, wording, discussion, order, sampling.

Shapes: P pairs, C citizens, W persona wordings, D discussions, O orders, S repeated answers; y
[P, C, W, D, O, S] is the probability of the pair's first outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, combinations
from typing import NamedTuple

import numpy as np
from scipy import stats

from assembly.aggregation.consensus import linearised
from assembly.aggregation.electorate import weighted_mean
from assembly.record.ballots import VALID, Votes, grid
from plenary.errors import DataError, NotMeasured
from plenary.preferences import FloatArray, IntArray

FACTORS = ("citizen", "wording", "discussion", "order")

COMPONENTS = (
    "panel draw",
    "persona wording",
    "discussion",
    "sampling",
    "order",
    "models",
    "interactions",
)

_SOURCE_OF: dict[str, str] = dict(
    zip(FACTORS, ("panel draw", "persona wording", "discussion", "order"), strict=True)
)

Term = tuple[int, ...]

SMALLEST = 1e-20


class VarianceComponent(NamedTuple):
    """One source of variance; NaN everywhere means not measured, as there was only one level of it.

    variance: what it adds to the variance of a label (a pair's mean share under the design), at
    least 0. share, low, high: of the measured total, with an interval over pairs.
    """

    source: str
    variance: float
    share: float
    low: float
    high: float

    @property
    def measured(self) -> bool:
        """Whether the design could measure it."""
        return not np.isnan(self.variance)


class VarianceComponents(NamedTuple):
    """parts: one per source, in the order of COMPONENTS. pairs: how many had enough citizens.

    total: variance of a label by the measured sources together.
    """

    parts: tuple[VarianceComponent, ...]
    pairs: int
    total: float

    def of(self, source: str) -> VarianceComponent:
        """The part of one source."""
        return self.parts[COMPONENTS.index(source)]


def variance_components(
    y: FloatArray,
    pairs: IntArray,
    *,
    exact: bool,
    effective_n: float | None = None,
    beside: Mapping[str, FloatArray] | None = None,
    level: float = 0.95,
) -> VarianceComponents:
    """Variance components by balanced random-effects analysis within each pair, mean over pairs.

    y [P, C, W, D, O, S]; an axis of length 1 means that the source is not measured. A citizen
    without all ballots of a pair (NaN) is left out of that pair. exact: answers are probabilities,
    so sampling is 0; otherwise S >= 2 is needed to measure it. effective_n: Kish's effective number
    of citizens behind a label, default C. beside: source -> variances [P] known from elsewhere
    (such as `between_groups`), added to the design's own; NaN on a pair where they are unknown. A
    label's variance is the sum of each component over the levels it was averaged over. A factor's
    part holds its interaction with citizens; `interactions` holds those of two or more other
    factors. Where sampling was not measured, it is part of whatever holds the highest interaction.
    Levels count as drawn at random: two orders or two discussions estimate their own spread poorly,
    which the interval (over pairs [P, 2] that share outcomes) does not show.
    """
    if y.ndim != 6 or len(y) != len(pairs):
        raise DataError(
            f"answers of shape {y.shape!r} for {len(pairs)} pairs; give [P, C, W, D, O, S]"
        )
    size = effective_n or float(y.shape[1])
    rows = [_label_parts(cell, exact, size) for cell in y]
    kept = np.array([row is not None for row in rows])
    if kept.sum() < 2:
        raise NotMeasured(
            f"{int(kept.sum())!r} of {len(pairs)} pairs have two citizens with every ballot of the "
            "design; ask the missing ballots again"
        )
    table = np.array([[row[name] for name in COMPONENTS] for row in rows if row is not None])
    for source, variance in (beside or {}).items():
        table[:, COMPONENTS.index(source)] = _added(
            table[:, COMPONENTS.index(source)], variance[kept]
        )
    told = ~np.isnan(table)
    often = told.sum(axis=0)
    means = np.nan_to_num(table).sum(axis=0) / np.maximum(often, 1)
    parts = means.clip(min=0)
    total = float(parts.sum())
    if total < SMALLEST:  # Equal answers differ by rounding only, which has no shares.
        parts, total = np.zeros(len(parts)), 0.0
    shares = parts / total if total > 0 else np.zeros(len(parts))
    # A source known on few pairs weights each of them more.
    away = np.where(told, table - means, 0.0) * (len(table) / np.maximum(often, 1))
    influence = (away - shares * away.sum(axis=1, keepdims=True)) / (total or 1.0)
    half = stats.norm.ppf((1 + level) / 2) * np.sqrt(_dyadic(influence, pairs[kept]))
    blank = np.where(often == 0, np.nan, 0.0)
    ends = ((shares - half).clip(0, 1), (shares + half).clip(0, 1))
    columns = [column + blank for column in (parts, shares, *ends)]
    rows_of = zip(COMPONENTS, *(column.tolist() for column in columns), strict=True)
    return VarianceComponents(
        tuple(VarianceComponent(*row) for row in rows_of), int(kept.sum()), total
    )


def _added(own: FloatArray, more: FloatArray) -> FloatArray:
    """Sum of two variances, either of which may be unknown."""
    return np.where(np.isnan(own), more, own + np.nan_to_num(more))


def _dyadic(influence: FloatArray, pairs: IntArray) -> FloatArray:
    """Variance of the mean over pairs [P, 2], which are dependent where they share an outcome.

    Sum over pairs of pairs with a common outcome of the products of their influences [P, M]
    (Fafchamps and Gubert 2007 [fafchamps2007]); but at least that of independent pairs.
    """
    names, at = np.unique(pairs, return_inverse=True)
    summed = np.zeros((len(names), influence.shape[1]))
    for column in at.reshape(pairs.shape).T:
        np.add.at(summed, column, influence)
    own = (influence**2).sum(axis=0)
    return np.maximum((summed**2).sum(axis=0) - own, own) / len(pairs) ** 2


def _label_parts(cell: FloatArray, exact: bool, size: float) -> dict[str, float] | None:
    """Contributions to a label's variance from one pair's answers [C, W, D, O, S]."""
    whole = cell[~np.isnan(cell).any(axis=(1, 2, 3, 4))]
    if len(whole) < 2:
        return None
    levels, repeats = whole.shape[:4], whole.shape[4]
    within = float(whole.var(axis=4, ddof=1).mean()) if repeats > 1 else 0.0
    noise = 0.0 if exact else within
    averaged = (size, *levels[1:])
    parts: dict[str, float] = dict.fromkeys(COMPONENTS, float("nan"))
    if exact or repeats > 1:
        parts["sampling"] = noise / (repeats * float(np.prod(averaged)))
    for term, variance in components(whole.mean(axis=4), noise / repeats).items():
        others = [FACTORS[f] for f in term if f > 0]
        name = "interactions" if len(others) > 1 else _SOURCE_OF[(others or FACTORS)[0]]
        part = variance / float(np.prod([averaged[f] for f in term]))
        parts[name] = part + (0.0 if np.isnan(parts[name]) else parts[name])
    return parts


def components(means: FloatArray, noise: float) -> Mapping[Term, float]:
    """Variance of every term of a crossed random design from its cells, axes as in FACTORS.

    Axes of length 1 take no part. The mean square of a term T estimates the sum, over all terms U
    that contain T, of (cells per level of U) * variance(U); solved from the highest term down.
    `noise` is the sampling variance of a cell, which is subtracted. Estimates are unbiased and may
    be below 0 (Cornfield and Tukey 1956 [cornfield1956]).
    """
    active = [axis for axis in range(means.ndim) if means.shape[axis] > 1]
    terms = list(chain(*(combinations(active, k) for k in range(len(active), 0, -1))))
    found: dict[Term, float] = {}
    for term in terms:
        cells = means.size / float(np.prod([means.shape[axis] for axis in term]))
        above = sum(
            means.size / float(np.prod([means.shape[axis] for axis in other])) * variance
            for other, variance in found.items()
            if set(other) > set(term)
        )
        found[term] = (_mean_square(means, term) - above - noise) / cells
    return found


def _mean_square(means: FloatArray, term: Term) -> float:
    """Mean square of a term: the cells' means less all lower terms, by differencing its axes."""
    out = tuple(axis for axis in range(means.ndim) if axis not in term)
    effect = means.mean(axis=out, keepdims=True)
    for axis in term:
        effect = effect - effect.mean(axis=axis, keepdims=True)
    freedom = float(np.prod([means.shape[axis] - 1 for axis in term]))
    return float((effect**2).sum()) * means.size / effect.size / freedom


class GroupPart(NamedTuple):
    """own [P]: what the draw of groups adds; in_draw [P]: how much of it citizens' spread holds."""

    own: FloatArray
    in_draw: FloatArray


def between_groups(shares: FloatArray, groups: IntArray, size: float) -> GroupPart:
    """What groups [C] of citizens drawn at random add, by one-way analysis of shares [C, P].

    Groups hear nothing of one another and are drawn at random (as is the model that plays a
    citizen), so what a group's members have in common beyond chance comes from what was said there
    (or from the model). With variance v between groups, a label over shares q of them varies by v *
    sum q^2, and the spread between citizens contains v * (n - sum n_g^2 / n) / (n - 1).
    """
    there = ~np.isnan(shares)
    member = np.equal.outer(np.unique(groups), groups).astype(np.float64)
    count = member @ there
    present, total = (count > 0).sum(axis=0), there.sum(axis=0)
    filled = np.where(there, shares, 0.0)
    sums = member @ filled
    means = np.divide(sums, count, out=np.zeros(count.shape), where=count > 0)
    grand = np.divide(filled.sum(axis=0), total, out=np.zeros(len(total)), where=total > 0)
    left = np.where(there, shares - member.T @ means, 0.0)
    known = (present > 1) & (total > present)
    free, inside = np.where(known, present - 1, 1), np.where(known, total - present, 1)
    apart = total - (count**2).sum(axis=0) / np.maximum(total, 1)
    between = (count * (means - grand) ** 2).sum(axis=0) / free
    variance = (between - (left**2).sum(axis=0) / inside) / np.where(known, apart / free, 1.0)
    variance = np.where(known, variance, np.nan)
    played = ((count / np.maximum(total, 1)) ** 2).sum(axis=0)
    return GroupPart(variance * played, variance * apart / np.maximum(total - 1, 1) / size)


def between_wordings(answers: FloatArray) -> FloatArray:
    """Variance [P] between wordings of the personas, from answers [W, C, P, O] of some citizens.

    The label has one wording, so the whole variance between wordings counts. How single citizens
    react to a wording is left out: the spread between citizens already contains it.
    """
    found = np.full(answers.shape[2], np.nan)
    for pair, cell in enumerate(answers.transpose(2, 1, 0, 3)):
        whole = cell[~np.isnan(cell).any(axis=(1, 2))]
        if len(whole) > 1 and whole.shape[1] > 1:
            parts = components(whole[:, :, None, :], 0.0)
            found[pair] = parts[(1,)] + parts.get((1, 3), 0.0) / whole.shape[2]
    return found


RECORDED_SOURCES = ("citizens", "sampling", "order", "tables", "template")


def error_sources(
    votes: Votes,
    pairs: int,
    weights: FloatArray,
    phase: int,
    *,
    samples: int = 1,
    clusters: IntArray | None = None,
    templates: FloatArray | None = None,
) -> FloatArray:
    """Standard error [P, 5] of the weighted share by RECORDED_SOURCES; NaN means not measured.

    citizens: another panel of the same size with independent citizens, less the sampling part.
    sampling: the answers were `samples` draws of a model (0 for exact probabilities; NaN for a
    single draw, which says nothing about its own variance). order: the two orders taken as two
    draws, |order gap|. tables: what dependence within `clusters` [C] adds to the citizens' part.
    template: `templates` [F, P] are shares under other wordings, sd / sqrt(F). The parts of
    citizens, sampling and tables are orthogonal: their squares add up to the clustered variance of
    `consensus`.
    """
    laid = grid(votes, phase, len(weights), pairs)
    shares = laid.share.mean(axis=0)
    p = weighted_mean(shares, weights)
    alone = linearised(shares, weights, p, np.arange(len(weights))).variance
    drawn = _sampling(laid.share, shares, weights, exact(votes, phase), samples)
    missing = np.full(pairs, np.nan)
    at_tables = missing if clusters is None else linearised(shares, weights, p, clusters).variance
    parts = (
        alone - np.nan_to_num(drawn),
        drawn,
        weighted_mean((laid.share[0] - laid.share[1]) / 2, weights) ** 2,
        at_tables - alone,
        missing
        if templates is None or len(templates) < 2
        else templates.var(axis=0, ddof=1) / len(templates),
    )
    return np.sqrt(np.stack(parts, axis=1).clip(min=0))


def exact(votes: Votes, phase: int) -> bool:
    """Whether every valid ballot of a phase is an exact probability (its mass is then known)."""
    valid = (votes.phase == phase) & (votes.state == VALID)
    return not np.isnan(votes.mass[valid]).any()


def _sampling(
    shown: FloatArray, shares: FloatArray, weights: FloatArray, exact: bool, samples: int
) -> FloatArray:
    """Sampling variance [P] of the weighted share from answers [2, C, P]."""
    if exact:
        return np.where(np.isnan(shares).all(axis=0), np.nan, 0.0)
    if samples < 2:
        return np.full(shares.shape[1], np.nan)
    ballot = (shown * (1 - shown) / (samples - 1)).sum(axis=0) / 4
    valid = ~np.isnan(shares)
    total = weights @ valid
    return np.divide(
        weights**2 @ np.where(valid, ballot, 0.0),
        total**2,
        out=np.full(len(total), np.nan),
        where=total > 0,
    )
