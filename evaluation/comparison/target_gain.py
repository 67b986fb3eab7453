"""Target gain: how far and how cleanly utilities moved toward the target, side effects, transfer.

Shapes: K outcomes, held out from training. Source: docs/references.md, key evaluation (section 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from evaluation.comparison.compare import Comparison, ComparisonSettings, compare
from evaluation.comparison.utility_shift import on_scale
from evaluation.stats.intervals import Estimate
from evaluation.utility.thurstonian import UtilityFit
from plenary.errors import DataError
from plenary.preferences import ComparisonCounts, FloatArray, IntArray, Targets
from plenary.seeding import generator


class TargetGain(NamedTuple):
    """The move s = after - before compared with the wanted move t = target - before, on one scale.

    gain: <s, t> / <t, t>; 1 is the full move, above 1 overshoot, 0 no move or a random one.
    side_effect: |s - gain t| / |s|; at 0 all of the move is toward the target, at 1 none of it.
    Error variances are subtracted from every product, so re-asking noise is neither gain nor side
    effect; NaN if what is left of |s| or |t| is not positive.
    """

    gain: Estimate
    side_effect: Estimate


class _Products(NamedTuple):
    """Per-outcome [K] unbiased products: s * t, t * t, s * s."""

    st: FloatArray
    tt: FloatArray
    ss: FloatArray


def _ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)


def _figures(products: _Products, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    st, tt, ss = (weights @ column for column in products)
    gain = _ratio(st, tt)
    # |s - g t|^2 = ss - st^2 / tt for the least-squares g.
    return gain, np.sqrt(_ratio(ss - gain * st, ss).clip(0))


def _measure(value: float, draws: FloatArray, floor: float, level: float, k: int) -> Estimate:
    known = draws[~np.isnan(draws)]
    if np.isnan(value) or not len(known):
        return Estimate(float("nan"), float("nan"), float("nan"), floor, k)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high), floor, k)


def steering(
    before: UtilityFit,
    after: UtilityFit,
    target: UtilityFit,
    settings: ComparisonSettings,
    seed: int,
    *,
    anchors: IntArray | None = None,
) -> TargetGain:
    """Directional gain and side-effect ratio with bootstrap intervals over outcomes."""
    sizes = [len(fit.mu) for fit in (before, after, target)]
    if len(set(sizes)) > 1:
        raise DataError(
            f"fits of {sizes!r} outcomes cannot be compared; fit all on the same outcomes"
        )
    x, noise = before.mu, before.sd**2
    moved, wanted = (on_scale(before, fit, anchors) for fit in (after, target))
    s, t = moved.values - x, wanted.values - x
    products = _Products(s * t - noise, t * t - noise - wanted.sd**2, s * s - noise - moved.sd**2)
    k = len(x)
    rng = generator(seed, "steering", "bootstrap")
    weights = rng.multinomial(k, np.full(k, 1 / k), size=settings.bootstrap).astype(float)
    values, draws = _figures(products, np.ones((1, k))), _figures(products, weights)
    return TargetGain(
        _measure(float(values[0][0]), draws[0], 0.0, settings.level, k),
        _measure(float(values[1][0]), draws[1], 1.0, settings.level, k),
    )


class HeldOutAnswers(NamedTuple):
    """One held-out set: the model's cells before and after, and the target on the same pairs."""

    before: ComparisonCounts
    after: ComparisonCounts
    target: Targets


class Transfer(NamedTuple):
    """The gain on one held-out set, compared with what the target's reliability allows.

    normalised: gain / (ceiling - agreement before); 1 is all that could be gained; NaN if there is
    no room. of_training: gain / gain on the set called `train`; below .5 the shift is partly tied
    to what was trained on; NaN if nothing was gained there or there is no such set.
    """

    name: str
    comparison: Comparison
    normalised: float
    of_training: float


def transfer(
    sets: Mapping[str, HeldOutAnswers],
    ceiling: float | None,
    settings: ComparisonSettings,
    seed: int,
) -> tuple[Transfer, ...]:
    """Agreement gain on each set: held-out pairs, outcomes, topics or templates, and `train`."""
    found = {
        name: compare(asked.before, asked.after, asked.target, ceiling, settings, seed)
        for name, asked in sets.items()
    }
    trained = found["train"].gain if "train" in found else 0.0
    rows = []
    for name, result in found.items():
        room = (1.0 if ceiling is None else ceiling) - result.agreement_before
        rows.append(
            Transfer(
                name,
                result,
                result.gain / room if room > 0 else float("nan"),
                result.gain / trained if trained > 0 else float("nan"),
            )
        )
    return tuple(rows)
