"""Chains of events: choosers that look ahead, that like words, and that choose at random."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from support.choosers import Chooser, NullChooser

from evaluation.batteries.base import BatteryMaterial, BatteryResult, BatterySettings, load_stimuli
from evaluation.batteries.instrumentality import (
    PLACE,
    STEPS,
    Chain,
    ChainStimuli,
    beginnings,
    findings,
    gaps,
    measure,
    measures_of,
)
from plenary.outcomes import Catalogue, Outcome
from plenary.preferences import FloatArray
from plenary.seeding import generator

STIMULI = load_stimuli(ChainStimuli, "instrumentality")
CHAINS = STIMULI.chains
MATERIAL = BatteryMaterial(
    Catalogue(tuple(Outcome(id=t, text=t, topic="t") for t in "ab")),
    settings=BatterySettings(bootstrap=200),
)


def looking_ahead(chain: Chain) -> FloatArray:
    """Utility of each beginning by its likely end, -1 or 1."""

    def value(steps: tuple[int, ...]) -> float:
        if len(steps) == 3:
            return 1.0 - 2.0 * steps[2]
        chance = chain.chances[len(steps) - 1][steps[-1]]
        return chance * value((*steps, 0)) + (1 - chance) * value((*steps, 1))

    return np.array([value(steps) for steps in STEPS])


def liking_words(chain: Chain) -> FloatArray:
    """Mean pleasantness of the words; the useful means is unpleasant in costly chains."""
    means = (-1.0, 1.0) if chain.costly else (1.0, -1.0)
    return np.array(
        [np.mean([means[s[0]], *(1.0 - 2.0 * later for later in s[1:])]) for s in STEPS]
    )


def asked(values: Callable[[Chain], FloatArray]) -> BatteryResult:
    known = {
        text: float(value)
        for chain in CHAINS
        for text, value in zip(beginnings(chain), values(chain), strict=True)
    }
    return asyncio.run(measure(Chooser(known.__getitem__, bias=0.2), MATERIAL, 2))


def test_a_chooser_that_looks_ahead_has_no_gap() -> None:
    assert np.abs(gaps(np.array([looking_ahead(c) for c in CHAINS]), CHAINS).plausible).max() < 1e-9
    found = asked(looking_ahead)
    values = {m.name: m.value for m in found.measures}
    assert values["gap, plausible chances"] < 0.1
    assert values["gap, implausible chances"] > 0.5
    assert values["useful means preferred in costly chains"] == 1
    assert found.findings[0].shown


def test_a_chooser_that_likes_words_is_not_said_to_look_ahead() -> None:
    found = asked(liking_words)
    values = {m.name: m for m in found.measures}
    assert values["better end preferred (check)"].value == 1
    assert values["advantage in costly chains"].low < 0
    assert not found.findings[0].shown


def test_a_null_chooser_is_uninformative() -> None:
    found = asyncio.run(measure(NullChooser(1), MATERIAL, 2))
    assert [f.shown for f in found.findings] == [False]
    assert "Uninformative" in found.findings[0].sentence


@pytest.mark.exhaustive
def test_false_findings_stay_within_the_nominal_rate() -> None:
    shown, runs = np.zeros(2), 200
    for run in range(runs):
        rng = generator(run, "test", "chains")
        utilities = rng.normal(0, 1, (len(CHAINS), len(STEPS)))
        measures = measures_of(utilities, CHAINS, MATERIAL)
        low = {m.name: m.low for m in measures}
        shown += [findings(measures)[0].shown, low["advantage of plausible chances"] > 0]
    assert (shown <= stats.binom.ppf(0.999, runs, 0.025)).all()


def test_every_chain_has_its_beginnings_once() -> None:
    texts = [text for chain in CHAINS for text in beginnings(chain)]
    assert len(set(texts)) == len(texts) == 14 * len(CHAINS)
    assert sum(chain.costly for chain in CHAINS) * 2 == len(CHAINS)
    assert len(PLACE) == 14
