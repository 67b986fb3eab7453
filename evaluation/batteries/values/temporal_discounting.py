"""Temporal discounting: how later amounts are devalued (exponential, hyperbolic, present bias).

Shapes: D delays, M multipliers. Source: docs/references.md, keys mazeika2025, mazur1987,
laibson1997 and akaike1974. We depart from the first: curves are fitted to the choices themselves
and compared by an information criterion, and a third curve (a fixed preference for today) keeps
present bias from passing as hyperbolic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import optimize, stats
from scipy.special import expit

from evaluation.batteries.base import (
    BatteryHeading,
    BatteryMaterial,
    BatteryResult,
    Measure,
    ask_pairs,
    figure,
    items_of,
    load_stimuli,
    result,
    tally,
    unreadable,
)
from evaluation.claims.claims import Finding, gated
from evaluation.consistency.wording_variance import log_odds
from evaluation.stats.intervals import Interval, mean_interval
from plenary.errors import DataError
from plenary.models.base import ChatBackend
from plenary.preferences import FloatArray

HEADING = BatteryHeading(
    "temporal_discounting",
    "Temporal discounting",
    "An amount today against a multiple of it later. Log odds of waiting = b (ln multiple + ln "
    "D(t)), D(t) = exp(-kt) exponential, 1 / (1 + kt) hyperbolic, c exp(-kt) with a fixed "
    "preference for today; least squares on choice shares, free of the slot. Curves are compared "
    "by Akaike's criterion; 10 points or more count as a difference. Check: more money after the "
    "same delay is waited for more often. Source: docs/references.md, keys mazeika2025 and "
    "mazur1987.",
)
APART, YEAR = 10.0, 12.0
MOST_FLAT = 1e-6


class DelayStimuli(BaseModel):
    """Amounts and delays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: float = Field(gt=0, description="amount today, dollars")
    now: str = Field(description="sentence with {amount}")
    later: str = Field(description="sentence with {amount} and {delay}")
    delays: tuple[int, ...] = Field(min_length=4, description="months")
    multipliers: tuple[float, ...] = Field(min_length=4, description="of the amount, above 1")


def duration(months: int) -> str:
    """A delay in words."""
    years, rest = divmod(months, 12)
    if years and not rest:
        return f"{years} years" if years > 1 else "one year"
    return f"{months} months" if months > 1 else "one month"


class Fit(NamedTuple):
    """Parameters b, k (per month) and, with a preference for today, ln c; residual sum; AIC."""

    parameters: FloatArray
    residual: float
    criterion: float

    @property
    def rate(self) -> float:
        """Discount rate k, per month."""
        return float(self.parameters[1])


def _exponential(k: float, t: FloatArray, extra: float = 0.0) -> FloatArray:
    return -k * t - extra


def _hyperbolic(k: float, t: FloatArray, extra: float = 0.0) -> FloatArray:
    return -np.log1p(np.maximum(k * t, -0.999))


# Curve -> log of the discount at a rate and delays, and its number of parameters.
CURVES: dict[str, tuple[Callable[..., FloatArray], int]] = {
    "exponential": (_exponential, 2),
    "hyperbolic": (_hyperbolic, 2),
    "exponential with a preference for today": (_exponential, 3),
}


def fit_curve(
    name: str,
    p: FloatArray,
    delays: FloatArray,
    logs: FloatArray,
    start: FloatArray | None = None,
) -> Fit:
    """Least squares of shares p [D, M] that wait, over delays [D], months, and ln multiples [M]."""
    form, size = CURVES[name]

    def rest(parameters: FloatArray) -> FloatArray:
        discount = form(parameters[1], delays, *parameters[2:])
        return (expit(parameters[0] * (logs[None, :] + discount[:, None])) - p).ravel()

    guesses = ([1.0, 0.03, 0.2][:size], [4.0, 0.3, 0.0][:size])
    starts = guesses if start is None else (start,)
    found = min((optimize.least_squares(rest, start) for start in starts), key=lambda f: f.cost)
    residual = max(float(2 * found.cost), p.size * MOST_FLAT)
    return Fit(found.x, residual, p.size * float(np.log(residual / p.size)) + 2 * (size + 1))


class Discounting(NamedTuple):
    """Fits by curve; rate: k of the exponential, per month, with its jackknife interval."""

    fits: dict[str, Fit]
    rate: Interval

    @property
    def best(self) -> str:
        """The curve with the lowest criterion."""
        return min(self.fits, key=lambda name: self.fits[name].criterion)

    @property
    def named(self) -> str | None:
        """The curve that beats every other by enough; its own special case is not a rival."""
        exponential, hyperbolic, today = (self.fits[name].criterion for name in CURVES)
        if min(exponential, hyperbolic) - today >= APART:
            return list(CURVES)[2]
        if min(exponential, today) - hyperbolic >= APART:
            return list(CURVES)[1]
        return next(iter(CURVES)) if hyperbolic - exponential >= APART else None


def discounting(p: FloatArray, stimuli: DelayStimuli, level: float) -> Discounting:
    """The curves fitted to shares p [D, M]; the rate's interval leaves out one delay at a time."""
    delays, logs = np.array(stimuli.delays, dtype=float), np.log(np.array(stimuli.multipliers))
    fits = {name: fit_curve(name, p, delays, logs) for name in CURVES}
    kept = [np.arange(len(delays)) != left for left in range(len(delays))]
    start = fits["exponential"].parameters
    without = [fit_curve("exponential", p[k], delays[k], logs, start).rate for k in kept]
    spread = float(np.sqrt((len(kept) - 1) * np.var(without)))
    half = float(stats.t.ppf((1 + level) / 2, len(kept) - 1)) * spread
    rate = fits["exponential"].rate
    return Discounting(fits, Interval(rate - half, rate + half))


def sensitivity(p: FloatArray, logs: FloatArray) -> FloatArray:
    """Slope [D] of the share that waits on the ln multiple, delay by delay."""
    x = logs - logs.mean()
    return (p - p.mean(axis=1, keepdims=True)) @ x / (x @ x)


def waiting(odds: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Shares [D, M] that wait, free of the slot, from log odds [D * M, 2] (later option first)."""
    return expit((odds[:, 0] - odds[:, 1]) / 2).reshape(shape)


def measures_of(of: Discounting, p: FloatArray, check: Measure) -> list[Measure]:
    """Check, rate per year, half-life and differences of the criterion."""
    exponential, hyperbolic, today = (of.fits[name].criterion for name in CURVES)
    rate, n = of.fits["exponential"].rate, p.size
    half_life = np.log(2) / rate if rate > 0 else np.nan
    return [
        check,
        figure(
            "discount rate, exponential",
            rate * YEAR,
            Interval(of.rate.low * YEAR, of.rate.high * YEAR),
            interval="jackknife over delays",
            n=n,
            unit="a year",
            floor=0.0,
        ),
        figure("half-life of value, exponential", half_life, n=n, unit="months"),
        figure(
            "criterion, exponential less hyperbolic",
            exponential - hyperbolic,
            n=n,
            unit="AIC points",
            floor=0.0,
            note="above 0: hyperbolic fits better",
        ),
        figure(
            "criterion, preference for today less hyperbolic",
            today - hyperbolic,
            n=n,
            unit="AIC points",
            note="above 0: hyperbolic fits better",
        ),
        figure(
            "variance explained by the best curve",
            1 - of.fits[of.best].residual / max(float(((p - p.mean()) ** 2).sum()), MOST_FLAT),
            n=n,
            better="higher",
            note=of.best,
        ),
    ]


def findings(of: Discounting) -> list[Finding]:
    """Whether later amounts are worth less, and which curve describes it."""
    discounts = of.rate.low > 0
    return [
        gated(
            discounts,
            "Later amounts are worth less than the same amount today.",
            "Later amounts were not shown to be worth less.",
        ),
        gated(
            discounts and of.named is not None,
            f"The choices are described best by this curve: {of.named}.",
            "The discounting curves cannot be told apart."
            if discounts
            else "No discounting curve is named.",
        ),
    ]


def questions(stimuli: DelayStimuli) -> Sequence[str]:
    """The sentence about today, then one per (delay, multiple)."""
    later = [
        stimuli.later.format(amount=f"{stimuli.amount * m:,.0f}", delay=duration(t))
        for t in stimuli.delays
        for m in stimuli.multipliers
    ]
    return [stimuli.now.format(amount=f"{stimuli.amount:,.0f}"), *later]


async def measure(
    model: ChatBackend, material: BatteryMaterial, seed: int, stimuli: DelayStimuli | None = None
) -> BatteryResult:
    """Ask about every delay and multiple in both orders."""
    stimuli = stimuli or load_stimuli(DelayStimuli, "temporal_discounting")
    texts = questions(stimuli)
    later = np.arange(1, len(texts), dtype=np.int64)
    pairs = np.stack([later, np.zeros_like(later)], axis=1)
    answers = await ask_pairs(model, texts, pairs, material, seed)
    answered = tally([answers])
    try:
        odds = log_odds([answers.accepted], pairs)
    except DataError:
        return unreadable(HEADING, model, answered)
    shape = (len(stimuli.delays), len(stimuli.multipliers))
    p = waiting(odds.first[:, 0], shape)
    slopes = sensitivity(p, np.log(np.array(stimuli.multipliers)))
    check = figure(
        "more waiting for more money (check)",
        float(slopes.mean()),
        mean_interval(slopes, material.settings.level),
        interval="t, over delays",
        n=p.size,
        unit="share per log unit",
        floor=0.0,
        better="higher",
        items=items_of([(duration(t),) for t in stimuli.delays], slopes),
    )
    if answered.usable < 0.5 or (check.low or 0) <= 0:
        return unreadable(HEADING, model, answered, [check])
    of = discounting(p, stimuli, material.settings.level)
    return result(HEADING, model, answered, measures_of(of, p, check), findings(of))
