import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assembly.rules import RULES, borda, copeland, majority, weighted_share

NAN = float("nan")
MEMPHIS, NASHVILLE, CHATTANOOGA, KNOXVILLE = range(4)
RANKINGS = [
    (MEMPHIS, NASHVILLE, CHATTANOOGA, KNOXVILLE),
    (NASHVILLE, CHATTANOOGA, KNOXVILLE, MEMPHIS),
    (CHATTANOOGA, KNOXVILLE, NASHVILLE, MEMPHIS),
    (KNOXVILLE, CHATTANOOGA, NASHVILLE, MEMPHIS),
]
SHARES_OF_VOTERS = np.array([42.0, 26.0, 15.0, 17.0])


def profile(rankings, outcomes: int):
    """All pairs [P, 2] and each ranking's votes [C, P]."""
    pairs = np.array(list(itertools.combinations(range(outcomes), 2)))
    place = np.argsort(np.array(rankings), axis=1)
    return pairs, (place[:, pairs[:, 0]] < place[:, pairs[:, 1]]).astype(float)


def test_tennessee_pairwise_votes() -> None:
    pairs, shares = profile(RANKINGS, 4)
    verdict = weighted_share(shares, pairs, SHARES_OF_VOTERS, 4)
    np.testing.assert_allclose(verdict.p, [0.42, 0.42, 0.42, 0.68, 0.68, 0.83])


def test_tennessee_majority_makes_nashville_the_condorcet_winner() -> None:
    pairs, shares = profile(RANKINGS, 4)
    np.testing.assert_array_equal(
        majority(shares, pairs, SHARES_OF_VOTERS, 4).p, [0, 0, 0, 1, 1, 1]
    )


def test_tennessee_borda_counts() -> None:
    pairs, shares = profile(RANKINGS, 4)
    verdict = borda(shares, pairs, SHARES_OF_VOTERS, 4)
    np.testing.assert_allclose(verdict.scores * 300, [126, 194, 173, 107])


def test_tennessee_copeland_scores() -> None:
    pairs, shares = profile(RANKINGS, 4)
    np.testing.assert_allclose(
        copeland(shares, pairs, SHARES_OF_VOTERS, 4).scores * 3, [0, 3, 2, 1]
    )


def test_borda_can_overrule_the_majority_winner() -> None:
    """Borda's own objection: 3 of 5 put A first, yet B is the better liked."""
    pairs, shares = profile([(0, 1, 2), (1, 2, 0)], 3)
    weights = np.array([3.0, 2.0])
    assert majority(shares, pairs, weights, 3).p[0] == 1
    verdict = borda(shares, pairs, weights, 3)
    np.testing.assert_allclose(verdict.scores * 10, [6, 7, 2])
    assert verdict.p[0] == 0


def test_a_majority_cycle_ties_under_copeland_and_borda() -> None:
    """Condorcet's paradox: each outcome beats one and loses to one."""
    pairs, shares = profile([(0, 1, 2), (1, 2, 0), (2, 0, 1)], 3)
    for rule in (copeland, borda):
        verdict = rule(shares, pairs, np.ones(3), 3)
        np.testing.assert_allclose(verdict.scores, 0.5)
        np.testing.assert_array_equal(verdict.p, 0.5)
    np.testing.assert_array_equal(majority(shares, pairs, np.ones(3), 3).p, [1, 0, 1])


def test_docstring_example() -> None:
    shares, pairs, weights = np.array([[0.9], [0.2]]), np.array([[0, 1]]), np.array([1.0, 3.0])
    assert weighted_share(shares, pairs, weights, 2).p[0] == pytest.approx(0.375)
    assert majority(shares, pairs, weights, 2).p[0] == 0


def test_absent_ballots_are_left_out() -> None:
    pairs = np.array([[0, 1], [1, 2]])
    verdict = weighted_share(np.array([[0.8, NAN], [NAN, NAN]]), pairs, np.array([1.0, 5.0]), 4)
    np.testing.assert_array_equal(verdict.p, [0.8, NAN])
    np.testing.assert_allclose(verdict.scores, [0.8, 0.2, NAN, NAN])


@pytest.mark.parametrize("name", RULES)
@given(seed=st.integers(0, 10_000))
def test_rules_are_neutral_and_anonymous(name, seed) -> None:
    rng = np.random.default_rng(seed)
    pairs = np.array(list(itertools.combinations(range(4), 2)))
    shares, weights = rng.uniform(0, 1, (5, len(pairs))).round(1), rng.uniform(0.5, 2, 5)
    rule, order = RULES[name], rng.permutation(5)
    plain = rule(shares, pairs, weights, 4)
    shuffled = rule(shares[order], pairs, weights[order], 4)
    swapped = rule(1 - shares, pairs[:, ::-1], weights, 4)
    np.testing.assert_allclose(plain.scores, shuffled.scores)
    np.testing.assert_allclose(plain.scores, swapped.scores)
    np.testing.assert_allclose(plain.p, 1 - swapped.p)


@pytest.mark.parametrize("name", RULES)
def test_a_planted_ranking_wins_under_every_rule(name) -> None:
    rng = np.random.default_rng(0)
    utilities = np.array([2.0, 1.0, 0.0, -1.0]) + rng.normal(0, 0.2, (40, 4))
    pairs = np.array(list(itertools.combinations(range(4), 2)))
    shares = 1 / (1 + np.exp(utilities[:, pairs[:, 1]] - utilities[:, pairs[:, 0]]))
    verdict = RULES[name](shares, pairs, np.ones(40), 4)
    assert np.argsort(-verdict.scores).tolist() == [0, 1, 2, 3]
    assert (verdict.p > 0.5).all()
