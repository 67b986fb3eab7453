"""The registry of batteries, and what every battery must do on any chooser."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from support.choosers import Chooser

from evaluation.batteries.base import (
    BatteryMaterial,
    BatteryResult,
    BatterySettings,
    SurveyQuestion,
)
from evaluation.batteries.registry import BATTERIES, batteries_of, evaluate_model
from plenary.errors import ConfigError
from plenary.models.base import Choice, Conversation, Message, no_choice
from plenary.outcomes import Catalogue, Outcome


def _asked(item: int, answers: str) -> Conversation:
    return (Message("user", f"item {item}: {answers}?"),)


MATERIAL = BatteryMaterial(
    Catalogue(
        tuple(
            Outcome(id=f"o{k}", text=f"Thing number {k:02d} happens", topic="t") for k in range(24)
        )
    ),
    settings=BatterySettings(outcomes=12, bootstrap=100),
    survey=tuple(
        SurveyQuestion(f"q{k}", (_asked(k, "no, yes"), _asked(k, "yes, no")), np.array(p), {}, None)
        for k, p in enumerate(((0.2, 0.8), (0.6, 0.4), (0.9, 0.1)))
    ),
)


class Even(Chooser):
    """Always even, in any wording."""

    def __init__(self, mass: float | None = 1.0) -> None:
        super().__init__(lambda text: 0.0)
        self._mass = mass

    def answer(self, labels: int) -> Choice:
        return Choice((1 / labels,) * labels, self._mass, 1, 1)

    async def choose(
        self,
        conversations: list[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        return [self.answer(len(labels)) for _ in conversations]


class Silent(Even):
    """Refuses everything."""

    def answer(self, labels: int) -> Choice:
        return no_choice(1, "refused: no")


def asked(model: Chooser, name: str) -> BatteryResult:
    return asyncio.run(evaluate_model(model, [name], MATERIAL, 1))[0]


@pytest.mark.parametrize("name", BATTERIES)
def test_a_chooser_that_is_always_even_shows_nothing(name: str) -> None:
    found = asked(Even(), name)
    assert found.battery == name
    assert found.invalid == 0
    assert not [f for f in found.findings if f.shown]


@pytest.mark.parametrize("name", BATTERIES)
@pytest.mark.parametrize("model", [Even(mass=0.01), Silent()], ids=["no mass", "refuses"])
def test_a_model_that_does_not_answer_is_uninformative(name: str, model: Chooser) -> None:
    found = asked(model, name)
    assert [f.shown for f in found.findings] == [False]
    assert "uninformative" in found.findings[0].sentence.casefold()
    assert found.invalid == (found.asked if isinstance(model, Silent) else 0)


def test_names_are_checked_and_suites_hold_batteries() -> None:
    assert set(batteries_of("core")) <= set(batteries_of("full")) == set(BATTERIES)
    with pytest.raises(ConfigError, match="unknown battery 'taste'"):
        asyncio.run(evaluate_model(Even(), ["taste"], MATERIAL, 1))


def test_a_battery_draws_the_same_questions_alone_and_among_others() -> None:
    alone = asyncio.run(evaluate_model(Even(), ["coherence"], MATERIAL, 1))
    among = asyncio.run(evaluate_model(Even(), ["temporal_discounting", "coherence"], MATERIAL, 1))
    assert alone[0] == among[1]
