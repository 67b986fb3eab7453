"""Utilities that follow a score are found, those that do not are not, at the nominal rate."""

import asyncio

import numpy as np
import pytest
from support.choosers import NullChooser
from support.readers import Reader

from evaluation.batteries.base import BatteryMaterial, BatterySettings, load_stimuli
from evaluation.batteries.values import power_seeking, self_propagation
from evaluation.batteries.values.scored_outcomes import (
    CheckedStimuli,
    association,
    contrasts,
    reading_check,
)
from plenary.embedded import grammar
from plenary.outcomes import Catalogue, Outcome

NAMES = ("power_seeking", "self_propagation", "corrigibility")
MATERIAL = BatteryMaterial(
    Catalogue(tuple(Outcome(id=str(k), text=f"Thing {k} happens", topic="t") for k in range(40))),
    settings=BatterySettings(bootstrap=100),
)
POWER = load_stimuli(CheckedStimuli, "power_seeking")
KINDS = dict(zip(POWER.texts, (name for name, _ in POWER.labels), strict=True))
SCORES = dict(zip(POWER.texts, POWER.scores.tolist(), strict=True))


def _is_about(check):
    def right(question, option):
        if "is about" not in question:
            return None
        asked = check.about if check.about.noun in question else check.against
        return option in asked.outcomes

    return right


def _power(weights):
    return Reader(lambda t: weights.get(KINDS[t], 0.0) * SCORES[t], _is_about(POWER.check))


@pytest.mark.parametrize("name", NAMES)
def test_the_model_that_ships_can_read_every_outcome_and_scores_are_balanced(name):
    class Any(CheckedStimuli, extra="ignore"):
        pass

    data = load_stimuli(Any, name)
    texts = [*data.texts, *data.check.about.outcomes, *data.check.against.outcomes]
    assert len(set(texts)) == len(texts)
    assert all(grammar.read(text) for text in texts)
    for wanted in data.classes:
        assert len(wanted.situations) >= 10
        assert all(sum(o.score for o in s.outcomes) == 0 for s in wanted.situations)


def test_a_planted_preference_is_found_by_class():
    found = asyncio.run(
        power_seeking.measure(_power({"coercive": -1.0, "non-coercive": 1.0}), MATERIAL, 0)
    )
    values = {m.name: m for m in found.measures}
    assert values["reading check"].value == 1
    assert values["utility follows the score: coercive"].high < -0.9
    assert values["utility follows the score: non-coercive"].low > 0.9
    assert values["coercive less non-coercive"].high < 0
    assert [f.shown for f in found.findings] == [True, True]
    assert "lose power" in found.findings[0].sentence
    assert "give AI systems power" in found.findings[1].sentence
    assert found.asked == 64 + 2 * 3 * 80


def test_who_does_not_read_is_told_nothing_about():
    likes = Reader(lambda t: SCORES.get(t, 0.0))
    found = asyncio.run(power_seeking.measure(likes, MATERIAL, 0))
    assert [f.shown for f in found.findings] == [False]
    assert found.findings[0].sentence.startswith("Uninformative")
    assert {m.name for m in found.measures} == {"answer mass", "reading check"}


@pytest.mark.parametrize("seed", range(3))
def test_a_null_chooser_shows_nothing(seed):
    found = asyncio.run(self_propagation.measure(NullChooser(seed), MATERIAL, 0))
    assert not any(f.shown for f in found.findings)


def test_an_even_chooser_who_reads_has_no_order():
    found = asyncio.run(power_seeking.measure(_power({}), MATERIAL, 0))
    assert [f.shown for f in found.findings] == [False, False]
    assert "follow no order" in found.findings[0].sentence


def test_preferring_a_subject_or_a_slot_is_not_reading():
    for chooser in (
        Reader(lambda t: 5.0 * (t in POWER.check.about.outcomes)),
        Reader(lambda t: 0.0),
    ):
        read = asyncio.run(reading_check(chooser, contrasts(POWER.check), MATERIAL, 0))
        assert read.figure.value == 0
        assert not read.passed


def test_correlation_within_situations_by_hand():
    found = association(
        np.array([10.0, 11, 12, 0, 1, 5, 3, 4, 5]),
        np.array([0.0, 1, 2, 0, 1, 2, 0, 1, 2]),
        list("aaabbbccc"),
    )
    x, y = np.array([-1, 0, 1, -2, -1, 3, -1, 0, 1]), np.array([-1, 0, 1] * 3)
    assert found.r == pytest.approx((x @ y) / np.sqrt((x @ x) * (y @ y)))
    assert found.low < found.r < found.high


def _retest(rng, slopes, situations=10, each=4):
    scores = np.tile([1.0, 1, -1, -1], situations)
    steep = np.repeat(slopes * rng.standard_normal(situations), each)
    level = np.repeat(3 * rng.standard_normal(situations), each)
    values = level + steep * scores + rng.standard_normal(len(scores))
    return association(values, scores, np.repeat(np.arange(situations), each).tolist())


@pytest.mark.exhaustive
@pytest.mark.parametrize("slopes", [0.0, 1.0])
def test_false_findings_stay_within_the_nominal_rate(slopes):
    """Whether outcomes are unrelated to the score or situations relate to it either way."""
    rng, runs = np.random.default_rng(3), 600
    found = [_retest(rng, slopes) for _ in range(runs)]
    rate = np.mean([f.low > 0 or f.high < 0 for f in found])
    assert 0.02 < rate < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
