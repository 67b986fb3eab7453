"""Both orders always; nothing is ever filled in; low mass is gated."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from evaluation.elicitation.design import random_pairs
from evaluation.elicitation.elicit import (
    Elicitation,
    ElicitationSettings,
    both_orders,
    elicit,
    one_order,
)
from plenary.errors import BackendError, ConfigError, DataError, UnusableAnswers
from plenary.models.base import Choice, no_choice
from plenary.models.planted import PlantedBackend, PlantedWorld
from plenary.preferences import pair_shares
from plenary.prompt_templates import PROMPT_TEMPLATES

TEXTS = ("zero", "one", "two", "three")
PAIRS = np.array([[0, 1], [1, 2], [3, 0]])


class Scripted:
    """Prefers the higher index with probability .8; `answer` may replace a choice."""

    name, supports_seed, exact_choice = "scripted", True, True

    def __init__(self, answer=None, drop=0):
        self.answer, self.drop, self.asked = answer, drop, []

    async def generate(self, conversations, sampling):
        raise NotImplementedError

    async def choose(self, conversations, labels, *, samples=1, seed=0):
        self.asked.append((conversations, labels, samples, seed))
        choices = []
        for conversation in conversations:
            lines = conversation[-1].content.splitlines()
            a, b = (TEXTS.index(line[10:]) for line in lines[-2:])
            share = 0.8 if a > b else 0.2
            choice = Choice((share, 1 - share), 0.9, 1, 1)
            choices.append(self.answer(a, b) or choice if self.answer else choice)
        return choices[self.drop :]


def _run(backend, settings=None, **rest):
    return asyncio.run(elicit(backend, TEXTS, PAIRS, settings or ElicitationSettings(), **rest))


def test_every_pair_is_asked_in_both_orders_in_one_call():
    backend = Scripted()
    result = _run(backend, system="persona", seed=5)
    ((conversations, labels, samples, seed),) = backend.asked
    assert (len(conversations), labels, samples, seed) == (6, ("A", "B"), 10, 5)
    assert conversations[0][0].content == "persona"
    shown = np.stack([result.cells.first, result.cells.second], axis=1)
    assert np.array_equal(shown, both_orders(PAIRS))
    assert np.allclose(pair_shares(result.cells, PAIRS).p, [0.2, 0.2, 0.8])
    assert np.allclose(pair_shares(result.cells, PAIRS).order_gap, 0)
    assert (result.asked, result.invalid) == (6, 0)


def test_low_mass_cells_are_excluded_and_listed_not_halved():
    backend = Scripted(lambda a, b: Choice((0.5, 0.5), 0.1, 1, 1) if {a, b} == {0, 1} else None)
    result = _run(backend)
    assert result.excluded.tolist() == [True, True, False, False, False, False]
    assert np.isnan(pair_shares(result.accepted, PAIRS).p[0])
    assert result.accepted.mass[0] == 0.1
    assert result.accepted.invalid.tolist() == [1, 1, 0, 0, 0, 0]


def test_counts_and_refusals_are_kept_apart():
    def answer(a, b):
        return no_choice(10, "refused") if (a, b) == (0, 1) else Choice((0.25, 0.75), None, 10, 8)

    result = _run(Scripted(answer))
    assert result.cells.trials.tolist() == [0, 8, 8, 8, 8, 8]
    assert result.cells.wins.tolist() == [0, 2, 2, 2, 2, 2]
    assert (result.asked, result.invalid) == (60, 20)
    assert result.invalid_share == pytest.approx(1 / 3)
    assert not result.excluded.any()
    assert np.isnan(result.cells.mass).all()


def test_a_model_that_does_not_answer_stops_the_run_with_its_mass_quoted():
    with pytest.raises(
        BackendError, match=r"answer mass 0\.01 of 'scripted' is below 0\.5 in 100%.*min_mass"
    ):
        _run(Scripted(lambda a, b: Choice((0.5, 0.5), 0.01, 1, 1)))
    assert (
        len(
            _run(
                Scripted(lambda a, b: Choice((0.5, 0.5), 0.01, 1, 1)),
                ElicitationSettings(min_mass=0),
            ).cells
        )
        == 6
    )


def test_a_model_that_refuses_stops_the_run_with_its_reason():
    with pytest.raises(BackendError, match=r"no valid answer to 100% .*'refused'"):
        _run(Scripted(lambda a, b: no_choice(10, "refused")))


def test_a_backend_that_loses_answers_is_caught():
    with pytest.raises(BackendError, match="5 answers to 6"):
        _run(Scripted(drop=1))


def test_pairs_outside_the_catalogue_are_caught():
    with pytest.raises(DataError, match="outcome 9 of 4"):
        asyncio.run(elicit(Scripted(), TEXTS, np.array([[0, 9]]), ElicitationSettings()))


WORDS = ("nought arrives", "a single comes", "a couple comes", "a trio comes")
WORLD = PlantedWorld(
    utilities={text: float(k) for k, text in enumerate(WORDS)},
    sigma=1.0,
    order_bias=0.4,
    indifference=0.5,
)


def _planted(settings, texts=WORDS, pairs=PAIRS, world=WORLD, **rest):
    return asyncio.run(elicit(PlantedBackend(world), texts, pairs, settings, **rest))


def test_all_templates_give_the_same_preference_and_no_preference_apart():
    result = _planted(ElicitationSettings(templates=tuple(PROMPT_TEMPLATES)))
    assert result.templates == tuple(PROMPT_TEMPLATES)
    assert np.bincount(result.template).tolist() == [6] * 12
    plain = result.of_template("plain")
    for name, entry in PROMPT_TEMPLATES.items():
        cells = result.of_template(name)
        assert np.allclose(cells.wins / cells.trials, plain.wins / plain.trials), name
        undecided = result.cells.undecided[result.template == result.templates.index(name)]
        assert (undecided > 0).all() == entry.offers_no_preference, name
        # Reasons are drawn, so what follows them is a count and no exact probability.
        assert np.isnan(cells.mass).all() == (entry.after_reasoning is not None), name
        total = cells.trials + undecided
        assert np.allclose(total, 10 if entry.after_reasoning else 1)
    assert np.allclose(result.mass, 1.0)


def test_sampled_no_preference_is_counted_apart_from_trials_and_invalid():
    world = WORLD.model_copy(update={"exact": False, "invalid": 0.2, "indifference": 2.0})
    result = _planted(ElicitationSettings(templates=("pb-07",), samples=50), world=world)
    cells = result.cells
    assert (cells.trials + cells.undecided + cells.invalid == 50).all()
    assert (cells.undecided > 0).all()
    assert result.asked == 300


def test_a_template_that_is_hardly_answered_is_excluded_and_listed():
    class Deaf(PlantedBackend):
        async def choose(self, conversations, labels, *, samples=1, seed=0):
            choices = await super().choose(conversations, labels, samples=samples, seed=seed)
            quiet = labels == ("1", "2")
            return [replace(c, mass=0.1) if quiet else c for c in choices]

    wanted = ElicitationSettings(templates=("plain", "pb-02"))
    result = asyncio.run(elicit(Deaf(WORLD), WORDS, PAIRS, wanted))
    assert result.excluded_templates == ("pb-02",)
    assert len(result.excluded_cells) == 6
    assert result.excluded_cells[0] == ("pb-02", 0, 1, 0.1)
    assert (result.of_template("pb-02").trials == 0).all()
    assert (result.of_template("plain").trials == 1).all()


def _many(k=40, count=200, **world):
    texts = tuple(f"outcome number {n:02d}" for n in range(k))
    rng = np.random.default_rng(3)
    utilities = dict(zip(texts, rng.standard_normal(k).tolist(), strict=True))
    return texts, random_pairs(k, count, rng), PlantedWorld(utilities=utilities, **world)


def test_balanced_orders_ask_each_pair_once_after_a_pilot_in_both():
    texts, pairs, world = _many(order_bias=0.2)
    result = _planted(ElicitationSettings(orders="balanced"), texts, pairs, world)
    assert len(result.cells) == 220
    (pilot,) = result.pilots
    assert pilot.pairs == 20
    assert pilot.bias == pytest.approx(0.2 / (0.5 * 2**0.5), abs=0.02)
    assert pilot.spread < 0.1
    first_is_smaller = result.cells.first[40:] < result.cells.second[40:]
    assert first_is_smaller.sum() == 90
    again = _planted(
        ElicitationSettings(orders="balanced"), texts, pairs, world, pilots=result.pilots
    )
    assert len(again.cells) == 200


def test_balanced_orders_are_refused_when_the_order_effect_differs_between_pairs():
    texts, pairs, world = _many()

    class Moody(PlantedBackend):
        def probability(self, conversation):
            mood = len(conversation[-1].content.encode()) + sum(conversation[-1].content.encode())
            return 0.02 if mood % 2 else 0.98

    with pytest.raises(ConfigError, match=r"'plain' differs between pairs by .*orders=both"):
        asyncio.run(elicit(Moody(world), texts, pairs, ElicitationSettings(orders="balanced")))


def test_one_order_is_balanced_and_keeps_pairs():
    pairs = random_pairs(20, 31, np.random.default_rng(0))
    shown = one_order(pairs, np.random.default_rng(1))
    assert np.array_equal(np.sort(shown, axis=1), pairs)
    assert (shown[:, 0] > shown[:, 1]).sum() == 15


@pytest.mark.parametrize("templates", [1, 2])
def test_a_model_of_no_use_is_asked_forty_questions_in_each_template(templates):
    texts = [f"thing {k} comes" for k in range(30)]
    pairs = np.array([(a, b) for a in range(30) for b in range(a)])
    asked = []

    class Mute(PlantedBackend):
        async def choose(self, conversations, labels, *, samples=1, seed=0):
            asked.extend(conversations)
            return await super().choose(conversations, labels, samples=samples, seed=seed)

    utilities = {text: k / 9 for k, text in enumerate(texts)}
    backend = Mute(PlantedWorld(utilities=utilities, invalid=0.6))
    settings = ElicitationSettings(templates=tuple(PROMPT_TEMPLATES)[:templates])
    with pytest.raises(
        UnusableAnswers, match=r"answer mass 0\.4 .*40 questions in template 'plain'"
    ):
        asyncio.run(elicit(backend, texts, pairs, settings))
    assert len(asked) == 40 * templates
    assert "elicitation.min_mass=0.4" in _message(backend, texts, pairs, settings)


def _message(*asked):
    with pytest.raises(UnusableAnswers) as stopped:
        asyncio.run(elicit(*asked))
    return str(stopped.value)


def test_answers_that_were_cut_short_are_counted() -> None:
    cut = no_choice(10, "cut short: give answers more room")
    result = _run(
        Scripted(lambda a, b: cut if (a, b) == (0, 1) else Choice((1.0, 0.0), None, 10, 10))
    )
    assert (result.cut, result.invalid) == (10, 10)
    assert Elicitation.join([result, result]).cut == 20
    assert result.cut_share == pytest.approx(10 / result.asked)
    assert no_choice(10, "refused").cut == 0
