"""The wording battery on choosers that ignore the wording, the outcome, or everything."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.special import ndtr
from support.choosers import NullChooser

from evaluation.batteries.base import BatteryMaterial, BatteryResult, BatterySettings, Measure
from evaluation.batteries.wording_stability import asked_templates, measure
from plenary.models.base import ChatBackend, Choice, Conversation, no_choice
from plenary.models.planted import PlantedBackend, PlantedWorld
from plenary.outcomes import Catalogue, Outcome
from plenary.seeding import generator

TEXTS = [f"Thing number {k:02d} happens" for k in range(20)]
MATERIAL = BatteryMaterial(
    Catalogue(tuple(Outcome(id=f"o{k}", text=t, topic="t") for k, t in enumerate(TEXTS))),
    settings=BatterySettings(outcomes=20, bootstrap=200),
)
UTILITIES = dict(zip(TEXTS, np.random.default_rng(1).normal(0, 1, 20).tolist(), strict=True))


class AnyWords(NullChooser):
    """A preference out of the air, in any wording."""

    def lead(self, conversation: Conversation) -> float:
        return float(generator(1, "air", *(m.content for m in conversation)).normal())

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        ps = [float(ndtr(self.lead(conversation))) for conversation in conversations]
        rest = (0.0,) * (len(labels) - 2)
        return [Choice((p, 1 - p, *rest), 1.0, 1, 1) for p in ps]


class PerSeed(AnyWords):
    """The same, another one for each seed."""

    def lead(self, conversation: Conversation) -> float:
        rng = generator(self._seed, "air", *(m.content for m in conversation))
        return float(3 * rng.normal())


class OnlyLetters(PlantedBackend):
    """Answers with A or B or not at all."""

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        if labels[0] != "A":
            return [no_choice(1, "unreadable") for _ in conversations]
        return await super().choose(conversations, labels, samples=samples, seed=seed)


def asked(model: ChatBackend) -> tuple[BatteryResult, dict[str, Measure]]:
    found = asyncio.run(measure(model, MATERIAL, 1))
    return found, {m.name.partition(",")[0]: m for m in found.measures}


def test_a_chooser_that_ignores_the_wording_is_stable() -> None:
    world = PlantedWorld(utilities=UTILITIES, sigma=0.6, order_bias=0.2, indifference=0.5)
    found, values = asked(PlantedBackend(world))
    assert values["ICC"].value > 0.99
    assert values["k90"].value == 1
    assert values["SF"].value == 0
    assert values["W"].value > 0.95
    assert 0.05 < values["TM"].value < 0.25
    assert found.findings[0].shown


def test_a_chooser_of_slots_has_no_outcome_share() -> None:
    world = PlantedWorld(utilities=dict.fromkeys(TEXTS, 0.0), order_bias=2.0)
    found, values = asked(PlantedBackend(world))
    assert values["share of one answer: slot"].value == pytest.approx(1, abs=0.01)
    assert values["PD"].value > 0.95
    assert not found.findings[0].shown


def test_a_null_chooser_is_not_stable() -> None:
    found, values = asked(AnyWords(3))
    assert values["ICC"].value < 0.15
    assert not found.findings[0].shown


def test_wordings_without_answers_are_counted_and_left_out() -> None:
    found, _ = asked(OnlyLetters(PlantedWorld(utilities=UTILITIES)))
    letters = [f for f in asked_templates(full=False) if f.labels[0] == "A"]
    assert 2 <= len(letters) < len(asked_templates(full=False))
    missing = len(asked_templates(full=False)) - len(letters)
    assert found.findings[1].sentence.startswith(f"{missing} of")
    assert found.invalid > 0


def test_a_null_chooser_is_never_said_to_be_stable() -> None:
    few = MATERIAL._replace(settings=BatterySettings(outcomes=12, bootstrap=100))
    found = [asyncio.run(measure(PerSeed(seed), few, seed)) for seed in range(12)]
    assert not [result for result in found if result.findings[0].shown]
