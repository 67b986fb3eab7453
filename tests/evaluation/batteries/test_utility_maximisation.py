"""Decisions against fitted utilities: planted, perverse and null choosers, free answers, power."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from support.choosers import Chooser, NullChooser

from evaluation.batteries.base import (
    BatteryMaterial,
    BatteryResult,
    BatterySettings,
    Measure,
    load_stimuli,
)
from evaluation.batteries.utility_maximisation import (
    Decisions,
    MaximisationStimuli,
    detectable,
    findings,
    judged,
    matched,
    measure,
    split_pairs,
)
from plenary.models.base import Conversation, Reply, Sampling
from plenary.outcomes import Catalogue, Outcome
from plenary.seeding import generator

STIMULI = load_stimuli(MaximisationStimuli, "utility_maximisation")
OUTCOMES = Catalogue(
    tuple(Outcome(id=f"o{k}", text=f"Thing number {k:02d} happens", topic="t") for k in range(45))
)
SETTINGS = BatterySettings(outcomes=30, bootstrap=200)


def utility(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") / 2**30


class Picker(Chooser):
    """Writes the answer whose outcome it would choose."""

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        return [Reply(self._best(conversation[-1].content)) for conversation in conversations]

    def _best(self, text: str) -> str:
        question = next(q for q in STIMULI.questions if text.startswith(q.question))
        listed = text.rpartition(": ")[2].rstrip(".").split("; ")
        return max(listed, key=lambda a: utility(question.outcome.format(answer=a))) + "!"


def asked(chooser: Chooser, material: BatteryMaterial) -> tuple[BatteryResult, dict[str, Measure]]:
    found = asyncio.run(measure(chooser, material, 1))
    return found, {m.name: m for m in found.measures}


def test_a_planted_maximiser_is_recovered() -> None:
    found, values = asked(
        Chooser(utility, 0.2, bias=0.2), BatteryMaterial(OUTCOMES, settings=SETTINGS)
    )
    assert values["decisions for the higher utility"].value > 0.85
    assert values["regret"].value < 0.05
    assert values["decisions for the higher utility"].n >= 490
    assert found.findings[0].shown


@pytest.mark.slow
def test_free_answers_are_matched_without_a_judge() -> None:
    material = BatteryMaterial(OUTCOMES, "full", settings=SETTINGS)
    found, values = asked(Picker(utility, 0.05), material)
    assert values["free answers of highest utility"].value > 0.9
    assert values["free answers of highest utility"].n == 800
    assert found.findings[1].shown


def test_replies_without_an_answer_are_invalid_not_wrong() -> None:
    found, values = asked(
        Chooser(utility, 0.2), BatteryMaterial(OUTCOMES, "full", settings=SETTINGS)
    )
    assert values["free answers of highest utility"].value is None
    assert found.invalid == 800
    assert not found.findings[1].shown


@pytest.mark.parametrize(
    ("reply", "place"),
    [
        *(("A kiln, I think.", 1), ("kilns", None), ("a piano or a kiln", None), (None, None)),
        *(("I would pick a kiln.", 1), ("Anything but a kiln", None), ("Not a piano.", None)),
    ],
)
def test_matching(reply: str | None, place: int | None) -> None:
    assert matched(Reply(reply), ["a piano", "a kiln"]) == place


def test_a_null_chooser_shows_nothing() -> None:
    found, values = asked(NullChooser(4), BatteryMaterial(OUTCOMES, settings=SETTINGS))
    assert abs(values["decisions for the higher utility"].value - 0.5) < 0.06
    assert not found.findings[0].shown


@pytest.mark.exhaustive
def test_false_findings_stay_within_the_nominal_rate() -> None:
    shown, runs = 0, 200
    for run in range(runs):
        rng = generator(run, "test", "maximisation")
        mu = rng.normal(0, 1, 60)
        _, pairs = split_pairs(60, 800, rng)
        of = Decisions(pairs, rng.uniform(0, 1, len(pairs)), mu[pairs[:, 0]] - mu[pairs[:, 1]])
        shown += findings(judged(of, rng, BatteryMaterial(OUTCOMES, settings=SETTINGS)))[0].shown
    assert shown <= stats.binom.ppf(0.999, runs, 0.025)


def test_power_is_that_of_a_simulated_paired_comparison() -> None:
    rng, items = generator(0, "test", "power"), 800
    change = detectable(items)
    assert change == pytest.approx(0.0313, abs=2e-4)
    up, down = 0.05 + change / 2, 0.05 - change / 2
    moves = rng.multinomial(items, [up, down, 1 - up - down], size=2000)
    z = (moves[:, 0] - moves[:, 1]) / np.sqrt(moves[:, 0] + moves[:, 1])
    assert 0.75 < np.mean(np.abs(z) > 1.96) < 0.85
