"""Linear (ridge) probe statistics: out-of-fold R2 of utilities, baselines, shuffled labels.

Are utilities readable linearly, beyond topics and simpler baselines? Shapes: N outcomes, D
features, S = 20 shuffles. R2 is out of fold, whole topics held out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from evaluation.claims.evidence import ReadOut
from evaluation.stats.jackknife import Jackknifed, jackknife, leave_one_out
from plenary.preferences import BoolArray, FloatArray, IntArray

FOLDS, SHUFFLES = 10, 20

Features = Sequence[FloatArray]


class ProbeTarget(NamedTuple):
    """What is to be read: utilities and decisiveness [N], weights [N], topics [N]."""

    utilities: FloatArray
    decisiveness: FloatArray
    weights: FloatArray
    topics: tuple[str, ...]


class LinearProbe(NamedTuple):
    """R2 of the utilities, of decisiveness, and of controls, all with whole topics held out.

    shuffled [S]: R2 with labels shuffled over all outcomes. selectivity: R2 less that of labels
    shuffled within topics, which only topics can predict (hewitt2019). lead: R2 less that of each
    baseline.
    topical, by_topic: R2 of the probe and of topic dummies when outcomes are split at random.
    predicted [N]: out-of-fold utilities. chosen: the feature set chosen most often.
    """

    r2: Jackknifed
    decisiveness: float
    shuffled: FloatArray
    selectivity: Jackknifed
    lead: dict[str, Jackknifed]
    topical: float
    by_topic: float
    correlation: float
    predicted: FloatArray
    chosen: int

    def evidence(self, place: str) -> ReadOut:
        """The evidence for a claim about the probe at a place."""
        most = float(self.shuffled.max())
        return ReadOut(
            place,
            self.r2.low,
            self.selectivity.low,
            min((lead.low for lead in self.lead.values()), default=self.r2.low),
            self.r2.value > most,
            self.topical > max(0.0, most),
        )


def dummies(topics: Sequence[str]) -> FloatArray:
    """One column per topic [N, T]."""
    names, member = np.unique(list(topics), return_inverse=True)
    return np.eye(len(names))[member]


def bag_of_words(texts: Sequence[str], least: int = 2) -> FloatArray:
    """Counts [N, words] of words that at least `least` texts contain."""
    split = [text.casefold().split() for text in texts]
    words = sorted({word for text in split for word in text})
    counts = np.array([[text.count(word) for word in words] for text in split], dtype=float)
    return counts[:, (counts > 0).sum(axis=0) >= least]


def lengths(texts: Sequence[str]) -> FloatArray:
    """Characters and words [N, 2] of each text."""
    return np.array([[len(text), len(text.split())] for text in texts], dtype=float)


def _shuffles(target: ProbeTarget, rng: np.random.Generator) -> FloatArray:
    """Utilities [N, 2 S]: shuffled over all outcomes, then within topics."""
    y, topics = target.utilities, np.array(target.topics)
    over_all = [rng.permutation(y) for _ in range(SHUFFLES)]
    within = []
    for _ in range(SHUFFLES):
        shuffled = y.copy()
        for topic in np.unique(topics):
            shuffled[topics == topic] = rng.permutation(y[topics == topic])
        within.append(shuffled)
    return np.stack([*over_all, *within], axis=1)


def probe(
    features: Features,
    baselines: Mapping[str, Features],
    target: ProbeTarget,
    rng: np.random.Generator,
    level: float = 0.95,
) -> LinearProbe:
    """Judge the best of `features` [N, D] against shuffled labels and `baselines`."""
    y, w, topics = target.utilities, target.weights, target.topics
    fold = folds_of(topics, FOLDS, rng)
    labels = np.column_stack([y, target.decisiveness, _shuffles(target, rng)])
    found = out_of_fold(features, labels, w, topics, fold, rng)
    weights = leave_one_out(topics) * w
    own = _explained(found, labels, weights)
    r2 = own[:, 0]
    lead = {
        name: _jackknifed(r2 - _one(sets, target, fold, rng, weights), level)
        for name, sets in baselines.items()
    }
    alone = [str(k) for k in range(len(y))]
    split = folds_of(alone, FOLDS, rng)
    topical, by_topic = (
        float(
            explained(y, *_columns(out_of_fold(sets, y[:, None], w, alone, split, rng)), w[None])[0]
        )
        for sets in (features, [dummies(topics)])
    )
    return LinearProbe(
        _jackknifed(r2, level),
        float(own[0, 1]),
        own[0, 2 : 2 + SHUFFLES],
        _jackknifed(r2 - own[:, 2 + SHUFFLES :].mean(axis=1), level),
        lead,
        topical,
        by_topic,
        float(np.corrcoef(y, found.predicted[:, 0])[0, 1]),
        found.predicted[:, 0],
        int(np.bincount(found.chosen[:, 0]).argmax()),
    )


def _columns(found: OutOfFold) -> tuple[FloatArray, FloatArray]:
    return found.predicted[:, 0], found.by_mean[:, 0]


def _explained(found: OutOfFold, labels: FloatArray, weights: FloatArray) -> FloatArray:
    """R2 [1 + T, C] of every label."""
    columns = [
        explained(labels[:, c], found.predicted[:, c], found.by_mean[:, c], weights)
        for c in range(labels.shape[1])
    ]
    return np.stack(columns, axis=1)


def _one(
    sets: Features,
    target: ProbeTarget,
    fold: IntArray,
    rng: np.random.Generator,
    weights: FloatArray,
) -> FloatArray:
    """R2 [1 + T] of the utilities from one list of feature sets, on the same folds."""
    y = target.utilities
    found = out_of_fold(sets, y[:, None], target.weights, target.topics, fold, rng)
    return explained(y, *_columns(found), weights)


def _jackknifed(values: FloatArray, level: float) -> Jackknifed:
    return jackknife(float(values[0]), values[1:], level)


class ProbeTransfer(NamedTuple):
    """The base model's probe on the tuned model: its R2, that of a refit probe, their cosine.

    kept: base probe, tuned activations and utilities; refit: probe of the tuned model itself, both
    out of fold. cosine: of the two directions fitted on all outcomes; 1 is the same direction.
    """

    kept: Jackknifed
    refit: Jackknifed
    cosine: float


def probe_transfer(
    before: FloatArray,
    after: FloatArray,
    old: ProbeTarget,
    new: ProbeTarget,
    rng: np.random.Generator,
    level: float = 0.95,
) -> ProbeTransfer:
    """Apply the probe of features before [N, D] to features after [N, D] of the same outcomes."""
    fold, topics = folds_of(old.topics, FOLDS, rng), old.topics
    kept, mean = np.empty((2, len(fold)))
    for k in np.unique(fold):
        train, test = fold != k, fold == k
        inside = [t for t, used in zip(topics, train, strict=True) if used]
        base = fit_direction(before[train], old.utilities[train], old.weights[train], inside, rng)
        kept[test] = after[test] @ base.slope + base.offset
        mean[test] = np.average(new.utilities[train], weights=new.weights[train])
    weights = leave_one_out(topics) * new.weights
    own = _one([after], new, fold, rng, weights)
    slopes = [
        fit_direction(x, t.utilities, t.weights, topics, rng).slope
        for x, t in ((before, old), (after, new))
    ]
    norms = np.linalg.norm(slopes[0]) * np.linalg.norm(slopes[1])
    return ProbeTransfer(
        _jackknifed(explained(new.utilities, kept, mean, weights), level),
        _jackknifed(own, level),
        float(slopes[0] @ slopes[1] / norms) if norms > 0 else float("nan"),
    )


# In units of the number of features, which is the mean squared norm of an outcome's features.
PENALTIES = 10.0 ** np.arange(-2.0, 4.0)

INNER_FOLDS = 4


class OutOfFold(NamedTuple):
    """Predictions [N, C], what the mean alone predicts [N, C], and feature set chosen [F, C]."""

    predicted: FloatArray
    by_mean: FloatArray
    chosen: IntArray


class Direction(NamedTuple):
    """A fitted probe: prediction = offset + features @ slope [D]."""

    slope: FloatArray
    offset: float


def folds_of(groups: Sequence[object], count: int, rng: np.random.Generator) -> IntArray:
    """Fold [N] of each outcome; each group is in one fold as a whole; folds are of similar size."""
    names, member = np.unique([str(group) for group in groups], return_inverse=True)
    sizes = np.bincount(member)
    fold, load = np.empty(len(names), dtype=np.int64), np.zeros(min(count, len(names)))
    for name in sorted(rng.permutation(len(names)), key=lambda n: -sizes[n]):
        fold[name] = int(load.argmin())
        load[fold[name]] += sizes[name]
    return fold[member]


class _Scaled(NamedTuple):
    """Standardisation and decomposition of weighted training features: x = u s v."""

    centre: FloatArray
    scale: FloatArray
    left: FloatArray
    sizes: FloatArray
    right: FloatArray


def _scaled(x: FloatArray, w: FloatArray) -> _Scaled:
    share = w / w.sum()
    centre = share @ x
    scale = np.sqrt(share @ (x - centre) ** 2)
    # A feature that is constant in training carries nothing and must not divide by zero.
    scale = np.where(scale > 1e-9, scale, np.inf)
    left, sizes, right = np.linalg.svd(
        np.sqrt(w)[:, None] * (x - centre) / scale, full_matrices=False
    )
    return _Scaled(centre, scale, left, sizes, right)


def _predictions(
    x: FloatArray, y: FloatArray, w: FloatArray, train: BoolArray, test: BoolArray
) -> FloatArray:
    """Predictions [penalties, tests, C] of ridge fits to the training rows."""
    parts = _scaled(x[train], w[train])
    mean = (w[train] @ y[train]) / w[train].sum()
    inner = parts.left.T @ (np.sqrt(w[train])[:, None] * (y[train] - mean))
    shown = ((x[test] - parts.centre) / parts.scale) @ parts.right.T
    penalties = PENALTIES * x.shape[1] * w[train].mean()
    shrunk = parts.sizes / (parts.sizes**2 + penalties[:, None])
    return mean + np.einsum("nr,pr,rc->pnc", shown, shrunk, inner, optimize=True)


def out_of_fold(
    features: Sequence[FloatArray],
    y: FloatArray,
    w: FloatArray,
    groups: Sequence[object],
    fold: IntArray,
    rng: np.random.Generator,
) -> OutOfFold:
    """Predict y [N, C], weights w [N], fold by fold from the best of `features` (M of [N, D]).

    Feature set and penalty are chosen for each target on inner folds of the training groups, so the
    outer fold has no influence on them.
    """
    predicted, by_mean = np.empty_like(y), np.empty_like(y)
    chosen = np.zeros((int(fold.max()) + 1, y.shape[1]), dtype=np.int64)
    for k in range(len(chosen)):
        train, test = fold != k, fold == k
        inside = folds_of([g for g, t in zip(groups, train, strict=True) if t], INNER_FOLDS, rng)
        losses = np.array([_inner_losses(x[train], y[train], w[train], inside) for x in features])
        best = losses.reshape(-1, y.shape[1]).argmin(axis=0)
        chosen[k], penalty = np.divmod(best, len(PENALTIES))
        for which in np.unique(chosen[k]):
            columns = np.flatnonzero(chosen[k] == which)
            found = _predictions(features[which], y[:, columns], w, train, test)
            rows = np.flatnonzero(test)
            at = found[
                penalty[columns][:, None], np.arange(len(rows)), np.arange(len(columns))[:, None]
            ]
            predicted[np.ix_(rows, columns)] = at.T
        by_mean[test] = (w[train] @ y[train]) / w[train].sum()
    return OutOfFold(predicted, by_mean, chosen)


def _inner_losses(x: FloatArray, y: FloatArray, w: FloatArray, fold: IntArray) -> FloatArray:
    """Weighted squared error [penalties, C] over inner folds."""
    total = np.zeros((len(PENALTIES), y.shape[1]))
    for k in range(int(fold.max()) + 1):
        found = _predictions(x, y, w, fold != k, fold == k)
        total += np.einsum("n,pnc->pc", w[fold == k], (found - y[fold == k]) ** 2)
    return total


def fit_direction(
    x: FloatArray, y: FloatArray, w: FloatArray, groups: Sequence[object], rng: np.random.Generator
) -> Direction:
    """One probe on all of x [N, D] for y [N], its penalty by folds of groups."""
    column = y[:, None]
    loss = _inner_losses(x, column, w, folds_of(groups, INNER_FOLDS, rng))[:, 0]
    parts, mean = _scaled(x, w), float(w @ y / w.sum())
    penalty = PENALTIES[loss.argmin()] * x.shape[1] * w.mean()
    inner = parts.left.T @ (np.sqrt(w) * (y - mean))
    slope = (parts.right.T @ (parts.sizes / (parts.sizes**2 + penalty) * inner)) / parts.scale
    return Direction(slope, mean - float(parts.centre @ slope))


def explained(
    y: FloatArray, predicted: FloatArray, by_mean: FloatArray, weights: FloatArray
) -> FloatArray:
    """R2 [B] of predictions [N] against the training mean, under weights [B, N]; can be below 0."""
    return 1 - (weights @ (y - predicted) ** 2) / (weights @ (y - by_mean) ** 2)
