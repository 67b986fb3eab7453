"""The loop stops when it knows enough, keeps held-out pairs apart, and reuses the order pilot."""

import asyncio
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from evaluation.elicitation.elicit import ElicitationSettings
from evaluation.utility.active import (
    ActiveSettings,
    asker,
    default_fitter,
    explore,
    predicted_kendall,
)
from plenary.errors import ConfigError, DataError
from plenary.models.planted import PlantedBackend, PlantedWorld
from plenary.preferences import ComparisonCounts


class Simulated:
    """Answers of a planted world as cells; remembers what it was asked."""

    def __init__(self, world, count=10):
        self.world, self.count, self.batches = world, count, []
        self.rng = np.random.default_rng(0)

    async def __call__(self, pairs) -> ComparisonCounts:
        self.batches.append(pairs)
        return self.world.answers(pairs, self.rng, self.count)


def _explore(ask, k, seed=0, **settings):
    return asyncio.run(explore(ask, k, ActiveSettings(**settings), seed))


def test_stops_when_precise_and_the_prediction_holds(planted):
    world = planted(80, np.random.default_rng(1))
    ask = Simulated(world)
    result = _explore(ask, 80, stop_kendall=0.85)
    assert result.stopped == "precise"
    true = stats.kendalltau(result.fit.mu, world.mu).statistic
    assert true == pytest.approx(result.rounds[-1].predicted, abs=0.06)
    assert all(a.pairs < b.pairs for a, b in pairwise(result.rounds))
    assert len(np.unique(np.sort(result.pairs, axis=1), axis=0)) == len(result.pairs)
    assert len(result.cells) == 2 * len(result.pairs)


def test_neighbours_need_fewer_pairs_than_chance(planted):
    world = planted(100, np.random.default_rng(2))
    needed = {
        name: len(_explore(Simulated(world), 100, selection=name, stop_kendall=0.88).pairs)
        for name in ("swiss", "thompson", "random")
    }
    assert needed["swiss"] < needed["random"]
    assert needed["thompson"] < needed["random"]


def test_budget_and_held_out_pairs_are_kept(planted):
    world = planted(30, np.random.default_rng(3))
    ask = Simulated(world)
    result = _explore(ask, 30, max_pairs=100, stop_kendall=1.0, held_out_pairs=40, batch=25)
    assert result.stopped == "budget"
    assert len(result.pairs) == 100
    asked = {tuple(sorted(pair)) for pair in result.pairs.tolist()}
    assert not asked & {tuple(pair) for pair in result.held_out.tolist()}
    assert np.array_equal(ask.batches[-1], result.held_out)
    other = _explore(Simulated(world), 30, max_pairs=40, held_out_pairs=40, selection="random")
    assert np.array_equal(other.held_out, result.held_out)


def test_ends_when_no_pair_is_left(planted):
    world = planted(6, np.random.default_rng(4))
    result = _explore(Simulated(world, 1), 6, stop_kendall=1.0, max_pairs=1000)
    assert result.stopped == "budget"
    assert len(result.pairs) == 15


def test_fitter_gets_the_round_before(planted):
    world, seen = planted(20, np.random.default_rng(5)), []
    inner = default_fitter()

    def fitter(cells, outcomes, previous):
        seen.append(previous)
        return inner(cells, outcomes, previous)

    settings = ActiveSettings(max_pairs=40, stop_kendall=1.0)
    result = asyncio.run(explore(Simulated(world), 20, settings, 0, fitter))
    assert seen[0] is None
    assert all(previous is not None for previous in seen[1:])
    assert len(seen) == len(result.rounds) == 3


def test_a_real_backend_in_balanced_orders_has_one_pilot():
    texts = tuple(f"outcome {n:02d}" for n in range(30))
    utilities = dict(zip(texts, np.linspace(-2, 2, 30).tolist(), strict=True))
    backend = PlantedBackend(PlantedWorld(utilities=utilities, order_bias=0.3))
    ask = asker(backend, texts, ElicitationSettings(orders="balanced"), seed=1)
    result = _explore(ask, 30, stop_kendall=0.9)
    assert len(result.cells) == len(result.pairs) + 20
    assert stats.kendalltau(result.fit.mu, np.arange(30)).statistic > 0.85
    assert result.fit.order_bias > 0


def test_predicted_kendall_falls_with_the_error():
    mu, rng = np.linspace(-2, 2, 100), np.random.default_rng(0)
    predictions = [predicted_kendall(mu, np.full(100, sd), rng) for sd in (0.0, 0.1, 0.5, 5.0)]
    assert predictions[0] == pytest.approx(1)
    assert all(a > b for a, b in pairwise(predictions))
    assert predictions[-1] < 0.25


def test_impossible_plans_are_plain_errors(planted):
    with pytest.raises(DataError, match="2 outcomes"):
        _explore(Simulated(None), 2)
    with pytest.raises(ConfigError, match="43 held-out pairs leave 2 of 10"):
        _explore(Simulated(None), 10, held_out_pairs=43)
