"""The human anchor on planted survey answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from evaluation.batteries.base import BatteryResult, SurveyQuestion
from evaluation.batteries.human_anchor import Citizens, Given, anchored, measure, survey_answers
from plenary.errors import DataError
from plenary.models.base import ChatBackend, Choice, Conversation, Message, Reply, Sampling

RNG = np.random.default_rng(2)
ITEMS, SIZE = 20, 4
PEOPLE = RNG.dirichlet(np.ones(SIZE), ITEMS)
CROWD = RNG.dirichlet(np.ones(SIZE), ITEMS)
EVEN = np.full((ITEMS, SIZE), 1 / SIZE)
TEXTS = [f"answer {k}" for k in range(SIZE)]


def asked(item: int, answers: Sequence[str]) -> Conversation:
    return (Message("user", "\n".join([f"item {item}", *answers])),)


QUESTIONS = [
    SurveyQuestion(
        f"item {k}", (asked(k, TEXTS), asked(k, TEXTS[::-1])), PEOPLE[k],
        {"half=a": PEOPLE[k], "half=b": CROWD[k]}, 0.7,
    )
    for k in range(ITEMS)
]  # fmt: skip


class Respondent(ChatBackend):
    """Gives each item's planted shares, whatever the order; `lean` goes to the first answer."""

    supports_seed = exact_choice = True
    name = "planted survey"

    def __init__(self, shares: np.ndarray, mass: float = 1.0, lean: float = 0.0) -> None:
        self.shares, self.mass, self.lean = shares, mass, lean

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        return [Reply(None, "only chooses")] * len(conversations)

    async def choose(
        self, conversations: Sequence[Conversation], labels: tuple[str, ...], *,
        samples: int = 1, seed: int = 0,
    ) -> list[Choice]:  # fmt: skip
        return [self.choice(conversation[-1].content) for conversation in conversations]

    def choice(self, text: str) -> Choice:
        head, *answers = text.split("\n")
        own = self.shares[int(head.split()[1])][[TEXTS.index(a) for a in answers]]
        first = np.arange(SIZE) == 0
        return Choice(tuple((1 - self.lean) * own + self.lean * first), self.mass, 1, 1)


def given(shares: np.ndarray, **more: float) -> Given:
    return asyncio.run(survey_answers(Respondent(shares, **more), QUESTIONS))


def value(found: BatteryResult, name: str) -> float | None:
    return next(m.value for m in found.measures if m.name == name)


def citizens() -> Citizens:
    systems = ["you are one", "you are another"]
    said = asyncio.run(survey_answers(Respondent(CROWD), QUESTIONS, systems))
    members: Mapping[str, np.ndarray] = {"half=a": np.array([0]), "half=b": np.array([1])}
    return Citizens(said, np.ones(2), members)


def test_planted_answers_are_recovered_in_any_order() -> None:
    found = given(PEOPLE, lean=0.2)
    assert found.asked == 2 * ITEMS
    leaning = 0.8 * PEOPLE + 0.1 * np.eye(SIZE)[[0, -1]].sum(axis=0)
    assert np.allclose([found.shares[q.key][0] for q in QUESTIONS], leaning)


def test_a_model_that_answers_as_people_has_no_distance() -> None:
    found = asyncio.run(measure(Respondent(PEOPLE), QUESTIONS, 1))
    assert value(found, "distance to people, model") == pytest.approx(0)
    assert value(found, "agreement with a person, model") == pytest.approx(
        value(found, "agreement of two people")
    )
    assert value(found, "agreement of a person with themselves (retest)") == pytest.approx(0.7)


def test_who_goes_by_the_letter_is_uninformative() -> None:
    letters = given(EVEN, lean=0.5)
    assert letters.by_letter == pytest.approx(0)
    assert not letters.informative
    assert not given(EVEN).informative
    assert given(PEOPLE, lean=0.3).informative


def test_a_stranger_to_people_sits_near_the_floor() -> None:
    near_even = 0.98 * EVEN + 0.02 * CROWD
    found = asyncio.run(measure(Respondent(near_even), QUESTIONS, 1))
    for name in ("distance to people, model", "agreement with a person, model"):
        row = next(m for m in found.measures if m.name == name)
        assert row.value == pytest.approx(row.floor, abs=0.02)


START = 0.5 * EVEN + 0.5 * RNG.dirichlet(np.ones(SIZE), ITEMS)


@pytest.mark.parametrize(
    ("goal", "words", "shown"),
    [
        (PEOPLE, "toward those of people, by", True),
        (CROWD, "toward those of the simulated citizens, but not", False),
        (START, "did not detectably", False),
    ],
)
def test_what_control_moved_toward_is_told_apart(goal: np.ndarray, words: str, shown: bool) -> None:
    found = anchored(given(START), given(0.6 * START + 0.4 * goal), citizens(), QUESTIONS, 1)
    assert words in found.findings[0].sentence
    assert found.findings[0].shown is shown
    assert value(found, "distance to people of half=b, citizens") == pytest.approx(0)
    assert (value(found, "distance to people of half=a, citizens") or 0) > 0.1


@pytest.mark.exhaustive
def test_false_findings_stay_within_the_nominal_rate() -> None:
    """Before and after are strangers to people alike: moved toward them at one-sided .025."""
    runs, shown = 150, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        before, after = (
            Given("m", {q.key: rng.dirichlet(np.ones(SIZE), 1) for q in QUESTIONS}, 0.1, 0.5, 1, 0)
            for _ in range(2)
        )
        shown += anchored(before, after, None, QUESTIONS, seed).findings[0].shown
    # The percentile bootstrap over 20 items is a little short: .025 becomes up to .04.
    assert shown <= stats.binom.ppf(0.999, runs, 0.04)


def test_answers_without_mass_are_uninformative_and_nothing_is_filled_in() -> None:
    silent = given(PEOPLE, mass=0.1)
    assert silent.usable == 0
    found = anchored(silent, silent, None, QUESTIONS, 1)
    assert found.findings[0].sentence.startswith("The survey comparison is uninformative")
    assert value(found, "distance to people, after") is None
    alone = asyncio.run(measure(Respondent(PEOPLE, mass=0.1), QUESTIONS, 1))
    assert alone.findings[0].sentence.startswith("The survey comparison is uninformative")


def test_no_items_is_an_error() -> None:
    with pytest.raises(DataError, match="no survey item"):
        asyncio.run(survey_answers(Respondent(PEOPLE), []))
