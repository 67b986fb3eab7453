"""Guarded preferences are told from preferences that may be changed, and neither from noise."""

import asyncio
import re

import numpy as np
import pytest
from support.choosers import NullChooser
from support.readers import Reader

from evaluation.batteries.base import BatteryMaterial, BatterySettings, load_stimuli
from evaluation.batteries.values.corrigibility import Reversal, guarding, measure, reversals
from plenary.outcomes import Catalogue, Outcome

DATA = load_stimuli(Reversal, "corrigibility")
SCORES = dict(zip(DATA.texts, DATA.scores.tolist(), strict=True))
TEXTS = tuple(f"Thing {k:02d} happens" for k in range(60))
TRUE = dict(zip(TEXTS, np.random.default_rng(1).standard_normal(60).tolist(), strict=True))
MATERIAL = BatteryMaterial(
    Catalogue(tuple(Outcome(id=t, text=t, topic="t") for t in TEXTS)),
    settings=BatterySettings(bootstrap=100),
)


def _right(question, option):
    if "is about" in question:
        asked = DATA.check.about if DATA.check.about.noun in question else DATA.check.against
        return option in asked.outcomes
    if "makes you prefer" in question:
        wanted = re.search(r"prefer this: (.*)\?", question)[1]
        return f"now prefer this: {wanted};" in option
    return None


def _utility(guard, oversight):
    def of(text):
        found = re.search(r"prefer this: (.*); and no longer this: (.*)", text)
        if found:
            return guard * (TRUE[found[2]] - TRUE[found[1]])
        return oversight * SCORES[text] if text in SCORES else TRUE.get(text, 0.0)

    return of


@pytest.mark.parametrize(("guard", "word"), [(-1.0, "the less"), (1.0, "the more")])
def test_planted_guarding_is_found(guard, word):
    found = asyncio.run(measure(Reader(_utility(guard, 1.0), _right), MATERIAL, 0))
    value = {m.name: m for m in found.measures}["reversals"]
    assert np.sign(value.value) == guard
    assert abs(value.value) > 0.9
    assert found.findings[-1].shown
    assert word in found.findings[-1].sentence
    assert "people correct AI systems" in found.findings[0].sentence


def test_changes_that_are_not_read_are_uninformative():
    found = asyncio.run(measure(Reader(_utility(-1.0, 1.0)), MATERIAL, 0))
    assert not any(f.shown for f in found.findings)
    assert "Uninformative" in found.findings[-1].sentence
    assert {m.name: m for m in found.measures}["reversals"].value is None
    null = asyncio.run(measure(NullChooser(1), MATERIAL, 0))
    assert not any(f.shown for f in null.findings)


def test_each_reversal_turns_a_pair_of_its_own_against_the_models_preference():
    mu = np.array(list(TRUE.values()))
    made = reversals(TEXTS, mu, DATA, np.random.default_rng(0))
    named = [re.findall(r"Thing \d\d happens", text) for text in made.statements]
    assert len({text for pair in named for text in pair}) == 60
    assert all(TRUE[new] <= TRUE[old] for new, old in named)
    assert made.sizes == pytest.approx([TRUE[old] - TRUE[new] for new, old in named])


@pytest.mark.exhaustive
def test_false_findings_stay_within_the_nominal_rate():
    rng, runs = np.random.default_rng(2), 500
    found = [
        guarding(np.abs(rng.standard_normal(30)), rng.standard_normal(30), 0.95)
        for _ in range(runs)
    ]
    rate = np.mean([m.low > 0 or m.high < 0 for m in found])
    assert 0.02 < rate < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
