"""Selection takes near neighbours, never a pair twice, and is fast without listing all pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.effort import calls_made

from evaluation.elicitation.design import all_pairs, random_pairs
from evaluation.utility.active import SELECTORS, PairSet, neighbour_pairs, selector
from plenary.errors import ConfigError


@settings(max_examples=60, deadline=None)
@given(
    k=st.integers(3, 30),
    share=st.floats(0, 1),
    count=st.integers(0, 60),
    name=st.sampled_from(sorted(SELECTORS)),
    seed=st.integers(0, 99),
)
def test_as_many_as_are_left_and_none_twice(k, share, count, name, seed):
    rng = np.random.default_rng(seed)
    possible = k * (k - 1) // 2
    taken = PairSet(k, random_pairs(k, int(share * possible), rng))
    before = len(taken)
    found = SELECTORS[name](rng.standard_normal(k), np.full(k, 0.3), count, taken, rng)
    assert len(found) == min(count, possible - before)
    assert taken.lacks(found).all()
    taken.add(found)
    assert len(taken) == before + len(found)
    assert not taken.lacks(found[:, ::-1]).any()


def test_neighbours_are_near_and_evenly_spread():
    rng = np.random.default_rng(0)
    mu = rng.standard_normal(200)
    place = np.argsort(np.argsort(mu))
    pairs = neighbour_pairs(mu, 100, PairSet(200, np.empty((0, 2), dtype=int)), rng)
    assert np.abs(place[pairs[:, 0]] - place[pairs[:, 1]]).max() <= 5
    assert np.bincount(pairs.ravel()).max() <= 3


def test_gaps_widen_only_when_near_neighbours_are_used_up():
    rng = np.random.default_rng(0)
    mu = np.arange(30.0)
    near = all_pairs(30)
    near = near[near[:, 1] - near[:, 0] <= 5]
    pairs = neighbour_pairs(mu, 12, PairSet(30, near), rng)
    assert set(np.abs(pairs[:, 0] - pairs[:, 1]).tolist()) <= set(range(6, 11))


def test_a_batch_is_no_stretch_of_the_ranking():
    # Taking a small batch from the bottom of the order costs 60 % more pairs.
    rng = np.random.default_rng(0)
    pairs = neighbour_pairs(np.arange(400.0), 40, PairSet(400, np.empty((0, 2), dtype=int)), rng)
    assert np.ptp(pairs) > 300


@pytest.mark.parametrize("name", ["swiss", "thompson"])
def test_a_round_at_2000_outcomes_is_drawn_in_whole_arrays(name):
    rng = np.random.default_rng(0)
    taken = PairSet(2000, rng.integers(0, 2000, (44_000, 2)))
    mu, spread = rng.standard_normal(2000), np.full(2000, 0.2)
    assert calls_made(lambda: SELECTORS[name](mu, spread, 1000, taken, rng)) < 1_000


def test_unknown_selection_is_quoted():
    with pytest.raises(ConfigError, match=r"'magic'; use one of swiss"):
        selector("magic")
