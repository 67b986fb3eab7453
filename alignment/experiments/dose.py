"""Dose-response of training: curves over data, steps and LoRA rank, half-gain, and rebound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from alignment.experiments.control_table import REFERENCE, DoseSummary
from alignment.experiments.experiment import ControlResult
from alignment.training.settings import AlignmentSettings
from plenary.errors import ConfigError
from plenary.preferences import Targets

HALF = 0.5


class Dosed(NamedTuple):
    """Targets and settings at one dose."""

    targets: Targets
    settings: AlignmentSettings


Dose = Callable[[float, Targets, AlignmentSettings, np.random.Generator], Dosed]


def data(
    value: float, targets: Targets, settings: AlignmentSettings, rng: np.random.Generator
) -> Dosed:
    """A random share `value` (0..1] of the pairs, with more epochs to keep the number of steps."""
    if not 0 < value <= 1:
        raise ConfigError(f"data dose {value!r}; give a share of the pairs above 0, at most 1")
    count = max(1, round(value * len(targets.pairs)))
    picked = np.sort(rng.permutation(len(targets.pairs))[:count])
    fewer = Targets(targets.pairs[picked], targets.p[picked], targets.weight[picked])
    whole, part = (_steps_of_a_pass(each, settings) for each in (targets, fewer))
    # The trainer rounds up: rounding in the division must not make an epoch longer.
    epochs = settings.epochs * whole / part * (1 - 1e-12)
    return Dosed(fewer, settings.model_copy(update={"epochs": epochs}))


def _steps_of_a_pass(targets: Targets, settings: AlignmentSettings) -> int:
    rows = 2 * len(settings.templates) * int((targets.weight > 0).sum())
    return max(1, -(-rows // settings.batch))


def steps(
    value: float, targets: Targets, settings: AlignmentSettings, rng: np.random.Generator
) -> Dosed:
    """`value` times the steps, with the learning-rate schedule stretched accordingly."""
    if not value > 0:
        raise ConfigError(f"steps dose {value!r}; give a multiple above 0")
    return Dosed(targets, settings.model_copy(update={"epochs": settings.epochs * value}))


def rank(
    value: float, targets: Targets, settings: AlignmentSettings, rng: np.random.Generator
) -> Dosed:
    """LoRA rank `value`; alpha changes with it, so that the scale of an update stays the same."""
    if not 1 <= value <= HIGHEST_RANK or value != int(value):
        raise ConfigError(f"rank dose {value!r}; give a whole number of at least 1, not a huge one")
    alpha = max(1, round(settings.alpha * value / settings.rank))
    return Dosed(targets, settings.model_copy(update={"rank": int(value), "alpha": alpha}))


HIGHEST_RANK = 4096

DOSES: dict[str, Dose] = {"data": data, "steps": steps, "rank": rank}

Effort = Literal["kl_neutral", "steps"]


def parse_dose(text: str) -> tuple[str, float]:
    """Axis and value of a dose written as axis=value; ConfigError lists the known axes."""
    axis, equals, value = text.partition("=")
    if axis not in DOSES or not equals:
        raise ConfigError(f"cannot read dose {text!r}; write AXIS=VALUE with {', '.join(DOSES)}")
    try:
        number = float(value)
    except ValueError as error:
        raise ConfigError(f"cannot read dose {text!r}; {value!r} is not a number") from error
    highest = {"data": 1, "rank": HIGHEST_RANK}.get(axis, math.inf)
    if not 0 < number <= highest or math.isinf(number):
        raise ConfigError(f"dose {text!r} is out of range; give more than 0, at most {highest}")
    return axis, number


def half_gain(results: Sequence[ControlResult], effort: Effort) -> float | None:
    """Effort at which the directional gain is one half; None if no dose reaches it.

    Mean over seeds at each dose, log-linear between doses in order of effort. The untrained model
    (gain 0 at effort 0) has no logarithm, so below the smallest dose interpolation is linear.
    """
    by_dose: dict[str, list[ControlResult]] = {}
    for result in results:
        by_dose.setdefault(result.arm, []).append(result)
    points = sorted(
        (
            float(np.mean([getattr(result, effort) for result in group])),
            float(np.mean([result.directional_gain for result in group])),
        )
        for group in by_dose.values()
    )
    return interpolated([(0.0, 0.0), *points])


def interpolated(points: Sequence[tuple[float, float]]) -> float | None:
    """First effort at which the gain reaches one half, along (effort, gain) points, or None."""
    for (x0, g0), (x1, g1) in pairwise(points):
        if g0 < HALF <= g1:
            share = (HALF - g0) / (g1 - g0)
            if x0 <= 0:
                return x0 + share * (x1 - x0)
            return float(np.exp(np.log(x0) + share * (np.log(x1) - np.log(x0))))
    return None


def rebound(trained: ControlResult, later: ControlResult) -> float | None:
    """Share of the directional gain left after neutral fine-tuning; None if there was no gain."""
    if trained.directional_gain <= 0:
        return None
    return later.directional_gain / trained.directional_gain


def dose_summaries(results: Sequence[ControlResult]) -> tuple[DoseSummary, ...]:
    """Effort to half of the wanted move along each axis, and what neutral training leaves of it."""
    found = []
    for axis in DOSES:
        along = [r for r in results if r.arm.startswith(f"{axis}=") or r.arm == REFERENCE]
        if len({r.arm for r in along}) > 1:
            steps, kl = half_gain(along, "steps"), half_gain(along, "kl_neutral")
            found.append(DoseSummary(axis=axis, half_steps=steps, half_kl=kl, left=None))
    trained = {r.seed: r for r in results if r.arm == REFERENCE}
    later = [r for r in results if r.arm.startswith("rebound=")]
    left = [rebound(trained[r.seed], r) for r in later if r.seed in trained]
    known = [value for value in left if value is not None]
    if known:
        mean = float(np.mean(known))
        found.append(DoseSummary(axis=later[0].arm, half_steps=None, half_kl=None, left=mean))
    return tuple(found)
