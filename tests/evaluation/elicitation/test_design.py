"""Designs are simple graphs with the promised degrees, and never cross the split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.effort import calls_made

from evaluation.elicitation.comparison_graph import components
from evaluation.elicitation.design import (
    DesignSettings,
    all_pairs,
    balanced_pairs,
    plan_pairs,
    random_pairs,
    random_regular_pairs,
)
from plenary.errors import ConfigError
from plenary.outcomes import OutcomeSplit


def _is_simple(pairs):
    return (pairs[:, 0] < pairs[:, 1]).all() and len(np.unique(pairs, axis=0)) == len(pairs)


@settings(max_examples=40, deadline=None)
@given(k=st.integers(3, 40), degree=st.integers(1, 10), seed=st.integers(0, 99))
def test_regular_graph_is_simple_regular_and_connected(k, degree, seed):
    if degree >= k or k * degree % 2:
        return
    pairs = random_regular_pairs(k, degree, np.random.default_rng(seed))
    assert _is_simple(pairs)
    assert (np.bincount(pairs.ravel(), minlength=k) == degree).all()
    if degree >= 2:
        assert components(pairs[:, 0], pairs[:, 1], k).max() == 0


@settings(max_examples=60, deadline=None)
@given(k=st.integers(2, 25), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_balanced_pairs_has_the_count_and_even_degrees(k, share, seed):
    count = max(1, int(share * k * (k - 1) // 2))
    pairs = balanced_pairs(k, count, np.random.default_rng(seed))
    assert len(pairs) == count
    assert _is_simple(pairs)
    if count >= k > 2:
        assert components(pairs[:, 0], pairs[:, 1], k).max() == 0
    degrees = np.bincount(pairs.ravel(), minlength=k)
    assert np.ptp(degrees) <= 3


@pytest.mark.parametrize("count", [0, 1, 17, 190])
def test_random_pairs_are_distinct(count):
    pairs = random_pairs(20, count, np.random.default_rng(0))
    assert len(pairs) == count
    assert _is_simple(pairs)


def test_random_pairs_are_uniform():
    rng = np.random.default_rng(0)
    seen = np.zeros((6, 6))
    for _ in range(3000):
        pairs = random_pairs(6, 3, rng)
        seen[pairs[:, 0], pairs[:, 1]] += 1
    counts = seen[np.triu_indices(6, 1)]
    assert np.abs(counts - 600).max() < 5 * np.sqrt(600)


def test_a_plan_never_crosses_the_split_and_repeats_with_its_seed():
    split = OutcomeSplit(np.arange(0, 40, 2), np.arange(1, 40, 2))
    wanted = DesignSettings(train_pairs=50, held_out_pairs=31)
    plan = plan_pairs(split, wanted, 7)
    assert np.isin(plan.train, split.train).all()
    assert np.isin(plan.held_out, split.held_out).all()
    assert (len(plan.train), len(plan.held_out)) == (50, 31)
    again = plan_pairs(split, wanted, 7)
    assert np.array_equal(plan.train, again.train)
    assert not np.array_equal(plan.train, plan_pairs(split, wanted, 8).train)


def test_too_many_pairs_is_a_plain_error():
    with pytest.raises(ConfigError, match="46 pairs of 10 outcomes; ask for at most 45"):
        balanced_pairs(10, 46, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="46 pairs"):
        random_pairs(10, 46, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="degree 3"):
        random_regular_pairs(5, 3, np.random.default_rng(0))


def test_a_side_of_few_outcomes_is_asked_all_its_pairs():
    split = OutcomeSplit(np.arange(4), np.arange(4, 6))
    planned = plan_pairs(split, DesignSettings(train_pairs=96, held_out_pairs=72), 0)
    assert planned.train.tolist() == all_pairs(4).tolist()
    assert planned.held_out.tolist() == [[4, 5]]


def test_a_side_of_one_outcome_has_no_pair_and_is_refused():
    with pytest.raises(ConfigError, match=r"outcomes\.held_out"):
        plan_pairs(OutcomeSplit(np.arange(4), np.arange(4, 5)), DesignSettings(), 0)


def test_all_pairs_lists_each_once():
    pairs = all_pairs(7)
    assert pairs.tolist() == np.stack(np.triu_indices(7, 1), axis=1).tolist()


@pytest.mark.parametrize(("k", "degree"), [(40, 20), (41, 38), (40, 39), (60, 31), (200, 150)])
def test_dense_regular_graphs_are_simple_regular_and_connected(k, degree):
    pairs = random_regular_pairs(k, degree, np.random.default_rng(0))
    assert _is_simple(pairs)
    assert (np.bincount(pairs.ravel(), minlength=k) == degree).all()
    assert components(pairs[:, 0], pairs[:, 1], k).max() == 0


@pytest.mark.slow
def test_regular_graph_treats_all_pairs_alike():
    rng, seen = np.random.default_rng(0), np.zeros((8, 8))
    for _ in range(1000):
        pairs = random_regular_pairs(8, 3, rng)
        seen[pairs[:, 0], pairs[:, 1]] += 1
    counts = seen[np.triu_indices(8, 1)]
    assert np.abs(counts - 1000 * 3 / 7).max() < 5 * np.sqrt(1000 * 3 / 7)


def test_a_large_regular_graph_is_drawn_fast():
    """44,000 pairs in whole arrays, not one by one."""
    n = calls_made(lambda: random_regular_pairs(2000, 44, np.random.default_rng(0)))
    assert calls_made(lambda: random_regular_pairs(2000, 44, np.random.default_rng(0))) < 4_000
    assert n < 4_000


@pytest.mark.parametrize("k", [2, 3, 10, 41])
def test_the_fewest_pairs_that_can_join_all_outcomes_do(k):
    for seed in range(20):
        pairs = balanced_pairs(k, k - 1, np.random.default_rng(seed))
        assert _is_simple(pairs)
        assert len(pairs) == k - 1
        reached = {0}
        for _ in range(k):
            reached |= {x for pair in pairs.tolist() if reached & set(pair) for x in pair}
        assert reached == set(range(k))
