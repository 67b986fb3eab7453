"""Discounting: each curve is recovered, none is made up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit
from support.choosers import Chooser, NullChooser

from evaluation.batteries.base import BatteryMaterial, BatteryResult, BatterySettings, load_stimuli
from evaluation.batteries.values.temporal_discounting import (
    DelayStimuli,
    discounting,
    duration,
    findings,
    fit_curve,
    measure,
    sensitivity,
)
from plenary.outcomes import Catalogue, Outcome
from plenary.preferences import FloatArray
from plenary.seeding import generator

STIMULI = load_stimuli(DelayStimuli, "temporal_discounting")
MATERIAL = BatteryMaterial(
    Catalogue(tuple(Outcome(id=t, text=t, topic="t") for t in "ab")),
    settings=BatterySettings(bootstrap=100),
)
DELAYS, LOGS = np.array(STIMULI.delays, dtype=float), np.log(np.array(STIMULI.multipliers))
IN_WORDS = {duration(t): t for t in STIMULI.delays}


def exponential(t: float) -> float:
    return float(np.exp(-0.03 * t))


def hyperbolic(t: float) -> float:
    return float(1 / (1 + 0.08 * t))


def today(t: float) -> float:
    return float((0.6 if t else 1.0) * np.exp(-0.02 * t))


def patient(t: float) -> float:
    return 1.0


def asked(discount: Callable[[float], float]) -> BatteryResult:
    def utility(text: str) -> float:
        amount = float(re.search(r"\$([\d,]+)", text).group(1).replace(",", ""))
        delay = 0 if "today" in text else IN_WORDS[text.partition(" in ")[2]]
        return float(np.log(amount * discount(delay)))

    return asyncio.run(measure(Chooser(utility, 0.4, bias=0.3), MATERIAL, 1))


@pytest.mark.parametrize(
    ("discount", "name"),
    [
        (exponential, "exponential."),
        (hyperbolic, "hyperbolic."),
        (today, "exponential with a preference for today."),
    ],
)
def test_each_curve_is_recovered(discount: Callable[[float], float], name: str) -> None:
    found = asked(discount)
    assert [f.shown for f in found.findings] == [True, True]
    assert found.findings[1].sentence.endswith(f": {name}")


def test_the_rate_is_recovered() -> None:
    values = {m.name: m.value for m in asked(exponential).measures}
    assert values["discount rate, exponential"] == pytest.approx(0.36, rel=0.1)
    assert values["half-life of value, exponential"] == pytest.approx(np.log(2) / 0.03, rel=0.1)


def test_a_patient_chooser_and_a_null_chooser_show_nothing() -> None:
    assert not [f for f in asked(patient).findings if f.shown]
    found = asyncio.run(measure(NullChooser(2), MATERIAL, 1))
    assert [f.shown for f in found.findings] == [False]


def noisy(discount: Callable[[float], float], rng: np.random.Generator) -> FloatArray:
    logs = LOGS[None, :] + np.log([[discount(t)] for t in STIMULI.delays])
    return expit(2.5 * logs + rng.normal(0, 0.8, logs.shape))


@pytest.mark.exhaustive
def test_a_wrong_curve_is_rarely_named_and_no_discounting_rarely_found() -> None:
    runs, wrong, found = 100, 0, 0
    for run in range(runs):
        rng = generator(run, "test", "discounting")
        of = discounting(noisy(exponential, rng), STIMULI, 0.95)
        wrong += of.named not in ("exponential", None)
        found += findings(discounting(noisy(patient, rng), STIMULI, 0.95))[0].shown
    assert wrong <= stats.binom.ppf(0.999, runs, 0.025)
    assert found <= stats.binom.ppf(0.999, runs, 0.025)


def test_a_curve_without_noise_is_fitted_exactly() -> None:
    p = expit(2.0 * (LOGS[None, :] - np.log1p(0.05 * DELAYS)[:, None]))
    assert fit_curve("hyperbolic", p, DELAYS, LOGS).parameters == pytest.approx([2, 0.05], rel=1e-4)
    assert (sensitivity(p, LOGS) > 0).all()
