"""Weighted ridge regression out of fold, many targets at once, layer and penalty by inner folds.

Shapes: N outcomes, D features, C targets, F outer folds, M feature sets (layers, poolings).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from plenary.preferences import BoolArray, FloatArray, IntArray

# In units of the number of features, the mean eigenvalue of standardised features an outcome.
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
    """Fold [N] of each outcome; a group goes into one fold whole, folds of like size."""
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
    # A feature that does not vary in training carries nothing and must not divide by zero.
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

    Feature set and penalty are chosen for each target on inner folds of the training groups, so
    the outer fold has no say in them.
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
