"""Published elections with their intermediate results."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.electorates import ranked_voters, voters

from assembly.aggregation.electorate import Electorate
from assembly.aggregation.rules import (
    borda,
    copeland,
    majority,
    maximal_lotteries,
    schulze,
    strongest_paths,
    votes_for,
    weighted_share,
)

NAN = float("nan")
# Outcomes a Memphis, b Nashville, c Chattanooga, d Knoxville; per cent of the voters.
TENNESSEE = ranked_voters({"abcd": 42, "bcda": 26, "cdba": 15, "dcba": 17})
CYCLE = ranked_voters({"abc": 1, "bca": 1, "cab": 1})
SCHULZE_45 = ranked_voters(
    {"acbed": 5, "adecb": 5, "bedac": 8, "cabed": 3, "caebd": 7, "cbade": 2, "dceba": 7, "ebadc": 8}
)
SCHULZE_21 = ranked_voters({"acdb": 8, "badc": 2, "cdba": 4, "dbac": 4, "dcba": 3})


def test_tennessee_pairwise_votes() -> None:
    p = weighted_share(TENNESSEE).p
    np.testing.assert_allclose(p, [0.42, 0.42, 0.42, 0.68, 0.68, 0.83])


def test_tennessee_majority_makes_nashville_the_condorcet_winner() -> None:
    np.testing.assert_array_equal(majority(TENNESSEE).p, [0, 0, 0, 1, 1, 1])


def test_tennessee_borda_counts() -> None:
    np.testing.assert_allclose(borda(TENNESSEE).scores * 300, [126, 194, 173, 107])


def test_tennessee_copeland_scores() -> None:
    np.testing.assert_allclose(copeland(TENNESSEE).scores * 3, [0, 3, 2, 1])


@pytest.mark.parametrize("rule", [copeland, schulze])
def test_tennessee_ranking_of_the_condorcet_methods(rule) -> None:
    found = rule(TENNESSEE)
    np.testing.assert_array_equal(found.order, [1, 2, 3, 0])
    np.testing.assert_array_equal(found.ranks, [4, 1, 2, 3])


def test_borda_can_overrule_the_majority_winner() -> None:
    """Borda's own objection: 3 of 5 put a first, yet b is the better liked."""
    electorate = ranked_voters({"abc": 3, "bca": 2})
    assert majority(electorate).p[0] == 1
    found = borda(electorate)
    np.testing.assert_allclose(found.scores * 10, [6, 7, 2])
    assert found.p[0] == 0


@pytest.mark.parametrize("rule", [copeland, borda, schulze, maximal_lotteries])
def test_a_majority_cycle_ties(rule) -> None:
    """Condorcet's paradox: each outcome beats one and loses to one."""
    found = rule(CYCLE)
    np.testing.assert_allclose(found.scores, 1 / 3 if rule is maximal_lotteries else 0.5)
    np.testing.assert_array_equal(found.p, 0.5)
    np.testing.assert_array_equal(found.ranks, 1)
    np.testing.assert_array_equal(found.order, [0, 1, 2])
    np.testing.assert_array_equal(majority(CYCLE).p, [1, 0, 1])


def test_docstring_example() -> None:
    electorate = voters([[0.9], [0.2]], [1, 3])
    assert weighted_share(electorate).p[0] == pytest.approx(0.375)
    assert majority(electorate).p[0] == 0


def test_absent_ballots_are_left_out() -> None:
    shares, pairs = np.array([[0.8, NAN], [NAN, NAN]]), np.array([[0, 1], [1, 2]])
    found = weighted_share(Electorate.unstratified(shares, pairs, np.array([1.0, 5.0]), 4))
    np.testing.assert_array_equal(found.p, [0.8, NAN])
    np.testing.assert_allclose(found.scores, [0.8, 0.2, NAN, NAN])
    np.testing.assert_array_equal(found.ranks, [1, 2, 0, 0])
    np.testing.assert_array_equal(found.order, [0, 1])


def test_schulze_45_voters() -> None:
    """Votes, strongest paths and ranking E > A > C > B > D as published."""
    votes = votes_for(SCHULZE_45)
    np.testing.assert_array_equal(
        votes,
        [
            [0, 20, 26, 30, 22],
            [25, 0, 16, 33, 18],
            [19, 29, 0, 17, 24],
            [15, 12, 28, 0, 14],
            [23, 27, 21, 31, 0],
        ],
    )
    np.testing.assert_array_equal(
        strongest_paths(votes),
        [
            [0, 28, 28, 30, 24],
            [25, 0, 28, 33, 24],
            [25, 29, 0, 29, 24],
            [25, 28, 28, 0, 24],
            [25, 28, 28, 31, 0],
        ],
    )
    found = schulze(SCHULZE_45)
    np.testing.assert_array_equal(found.order, [4, 0, 2, 1, 3])
    np.testing.assert_allclose(found.scores * 4, [3, 1, 2, 0, 4])


def test_schulze_21_voters_of_the_docstring() -> None:
    paths = strongest_paths(votes_for(SCHULZE_21))
    assert votes_for(SCHULZE_21)[3, 0] == 11
    assert paths[3, 0] == 13
    assert paths[0, 3] == 12
    np.testing.assert_array_equal(schulze(SCHULZE_21).order, [3, 0, 2, 1])


def test_schulze_leaves_a_tie_a_tie() -> None:
    """Two against two on a and b, both before c: p says tied, the order says index."""
    found = schulze(ranked_voters({"abc": 2, "bac": 2}))
    np.testing.assert_array_equal(found.p, [0.5, 1, 1])
    np.testing.assert_array_equal(found.ranks, [1, 1, 3])
    np.testing.assert_array_equal(found.order, [0, 1, 2])


def widest_path(votes: np.ndarray, start: int, end: int) -> float:
    """Strongest path by trying every threshold: the highest at which `end` can be reached."""
    won = np.where(votes > votes.T, votes, 0)
    for bar in sorted(set(won[won > 0].tolist()), reverse=True):
        reached, frontier = {start}, [start]
        while frontier:
            here = frontier.pop()
            fresh = set(np.flatnonzero(won[here] >= bar).tolist()) - reached
            reached |= fresh
            frontier.extend(fresh)
        if end in reached:
            return bar
    return 0.0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_strongest_paths_agree_with_a_search_by_threshold(seed) -> None:
    votes = np.random.default_rng(seed).integers(0, 12, (5, 5)).astype(float)
    np.fill_diagonal(votes, 0)
    expected = [[widest_path(votes, i, j) if i != j else 0.0 for j in range(5)] for i in range(5)]
    np.testing.assert_array_equal(strongest_paths(votes), expected)


def test_maximal_lottery_of_five_voters() -> None:
    """Margins ab 1, bc 3, ca 1 make the lottery 3/5, 1/5, 1/5."""
    electorate = ranked_voters({"abc": 2, "bca": 2, "cab": 1})
    votes = votes_for(electorate)
    np.testing.assert_array_equal(votes - votes.T, [[0, 1, -1], [-1, 0, 3], [1, -3, 0]])
    found = maximal_lotteries(electorate)
    np.testing.assert_allclose(found.scores, [0.6, 0.2, 0.2], atol=1e-9)
    np.testing.assert_array_equal(found.ranks, [1, 2, 2])
    np.testing.assert_array_equal(found.p, [1, 1, 0.5])


def test_maximal_lottery_of_the_same_voters_with_a_condorcet_winner() -> None:
    """The last of the five swaps a and c, and a wins for certain."""
    found = maximal_lotteries(ranked_voters({"abc": 2, "bca": 2, "acb": 1}))
    np.testing.assert_allclose(found.scores, [1, 0, 0], atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_outcome_beats_a_maximal_lottery(seed) -> None:
    rng = np.random.default_rng(seed)
    ballots = {"".join(rng.permutation(list("abcdef"))): 1.0 for _ in range(7)}
    votes = votes_for(ranked_voters(ballots))
    scores = maximal_lotteries(ranked_voters(ballots)).scores
    assert scores.sum() == pytest.approx(1)
    assert ((votes - votes.T) @ scores).max() < 1e-6
