"""Lotteries: a planted expected-utility chooser, one that ignores chances, one that is averse."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr
from support.choosers import Chooser, NullChooser

from evaluation.batteries.base import BatteryMaterial, BatteryResult, BatterySettings, load_stimuli
from evaluation.batteries.expected_utility import (
    LotteryStimuli,
    draw_explicit,
    draw_implicit,
    figures,
    findings,
    fitted,
    lottery_pairs,
    measure,
)
from evaluation.elicitation.elicit import both_orders
from plenary.outcomes import Catalogue, Outcome
from plenary.preferences import ComparisonCounts, FloatArray, IntArray
from plenary.seeding import generator

STIMULI = load_stimuli(LotteryStimuli, "expected_utility")
OUTCOMES = Catalogue(
    tuple(Outcome(id=f"o{k}", text=f"Thing number {k:02d} happens", topic="t") for k in range(24))
)
MATERIAL = BatteryMaterial(OUTCOMES, settings=BatterySettings(outcomes=20, bootstrap=200))
TRUE = np.random.default_rng(5).normal(0, 1, 24)


def chances_in(text: str) -> FloatArray:
    stated = re.findall(r"(\d+)%", text)
    if stated:
        return np.array(stated, dtype=float) / 100
    for device in STIMULI.implicit:
        pattern = re.escape(device.text)
        for k in range(len(device.chances)):
            pattern = pattern.replace(re.escape(f"{{{k}}}"), "thing number .* happens")
        if re.fullmatch(pattern, text):
            return np.array(device.chances)
    return np.ones(1)


def utility(risk: float = 0.0, *, weighs: bool = True) -> Callable[[str], float]:
    def of(text: str) -> float:
        values = TRUE[[int(k) for k in re.findall(r"hing number (\d+)", text)]]
        chances = chances_in(text) if weighs else np.full(len(values), 1 / len(values))
        mean = chances @ values
        return float(mean + risk * np.sqrt(max(chances @ values**2 - mean**2, 0.0)))

    return of


def asked(chooser: Chooser) -> BatteryResult:
    return asyncio.run(measure(chooser, MATERIAL, 3))


def test_a_planted_expected_utility_chooser_is_recovered() -> None:
    found = asked(Chooser(utility(), bias=0.3))
    values = {m.name: m for m in found.measures}
    assert values["dominant lottery chosen (check)"].value > 0.9
    for kind in ("explicit", "implicit"):
        assert values[f"{kind}: r"].value > 0.97
        assert values[f"{kind}: slope"].value == pytest.approx(1, abs=0.1)
        assert values[f"{kind}: order agreement"].value > 0.9
        assert values[f"{kind}: weight of the chances"].value == pytest.approx(1, abs=0.15)
        assert values[f"{kind}: risk attitude"].value == pytest.approx(0, abs=0.15)
    assert [f.shown for f in found.findings] == [True, False, True, False]


def test_risk_aversion_stays_visible() -> None:
    found = asked(Chooser(utility(risk=-0.6)))
    values = {m.name: m for m in found.measures}
    assert values["explicit: risk attitude"].value == pytest.approx(-0.6, abs=0.15)
    assert found.findings[1].shown
    assert "less often" in found.findings[1].sentence


def test_a_chooser_that_ignores_chances_fails_the_check_however_high_r_is() -> None:
    found = asked(Chooser(utility(weighs=False)))
    values = {m.name: m for m in found.measures}
    assert values["explicit: r"].value > 0.5
    assert abs(values["explicit: weight of the chances"].value) < 0.3
    assert not found.findings[0].shown
    assert "Uninformative" in found.findings[0].sentence


def test_a_null_chooser_shows_nothing() -> None:
    assert not [f for f in asked(NullChooser(2)).findings if f.shown]


def _random(pairs: IntArray, rng: np.random.Generator) -> ComparisonCounts:
    shown = both_orders(pairs)
    one, zero = np.ones(len(shown)), np.zeros(len(shown))
    return ComparisonCounts(shown[:, 0], shown[:, 1], rng.uniform(0, 1, len(shown)), one, zero, one)


def retest_findings(replicates: int) -> np.ndarray:
    """Findings shown [replicates, 2] where outcomes have utilities and lotteries none."""
    shown = []
    for replicate in range(replicates):
        rng = generator(replicate, "test", "lotteries")
        k = 20
        mu = rng.normal(0, 1, k)
        texts = [f"T{i}" for i in range(k)]
        if replicate % 2:
            lotteries = draw_implicit(texts, 36, STIMULI.implicit, rng)
        else:
            lotteries = draw_explicit(texts, 36, STIMULI.explicit, rng)
        pairs = np.array([(i, j) for i in range(k) for j in range(i) if rng.random() < 0.7])
        base = both_orders(pairs)
        p = 1 / (1 + np.exp(-2 * (mu[base[:, 0]] - mu[base[:, 1]])))
        one = np.ones(len(base))
        cells = ComparisonCounts(base[:, 0], base[:, 1], p, one, 0 * one, one)
        of = fitted(cells, _random(lottery_pairs(lotteries, k, rng), rng), lotteries, k)
        measures = figures(of, "explicit", rng, MATERIAL)
        shown.append([f.shown for f in findings(measures, ["explicit"])])
    return np.array(shown)


@pytest.mark.exhaustive
def test_false_findings_stay_within_the_nominal_rate() -> None:
    rates = retest_findings(120).mean(axis=0)
    assert rates[0] <= 0.05
    assert rates[1] <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 120)


def _sampled(pairs: IntArray, mu: FloatArray, rng: np.random.Generator) -> ComparisonCounts:
    """Ten answers in each order of a chooser with utilities mu."""
    shown = both_orders(pairs)
    p = ndtr((mu[shown[:, 0]] - mu[shown[:, 1]]) / (0.5 * np.sqrt(2)))
    zero = np.zeros(len(shown))
    return ComparisonCounts(
        *shown.T, rng.binomial(10, p).astype(float), zero + 10, zero, zero + np.nan
    )


@pytest.mark.exhaustive
def test_a_neutral_chooser_is_rarely_said_to_have_an_attitude_to_risk() -> None:
    shown, runs, k = 0, 40, 20
    for run in range(runs):
        rng = generator(run, "test", "risk")
        mu = rng.normal(0, 1, k)
        lotteries = draw_explicit([f"T{i}" for i in range(k)], 36, STIMULI.explicit, rng)
        pairs = np.array([(i, j) for i in range(k) for j in range(i)])
        every = np.concatenate([mu, [lot.chances @ mu[lot.members] for lot in lotteries]])
        base, asked = (_sampled(p, every, rng) for p in (pairs, lottery_pairs(lotteries, k, rng)))
        measures = figures(fitted(base, asked, lotteries, k), "explicit", rng, MATERIAL)
        shown += findings(measures, ["explicit"])[1].shown
    assert shown <= stats.binom.ppf(0.999, runs, 0.05)
