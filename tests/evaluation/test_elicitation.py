"""Both orders always; nothing is ever filled in; low mass is gated."""

import asyncio

import numpy as np
import pytest

from evaluation.elicitation import ElicitationSettings, both_orders, elicit
from plenary.chat.base import Choice, no_choice
from plenary.errors import BackendError, DataError
from plenary.preferences import pair_shares

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
