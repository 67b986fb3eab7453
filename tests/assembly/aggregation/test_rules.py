"""What holds for every rule: planted winners, absent ballots, and the invariances."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.electorates import all_pairs, planted

from assembly.aggregation.electorate import Electorate, verdict
from assembly.aggregation.rules import RULES

NAN = float("nan")
# Fitted scores are found to a tolerance; the rest are sums.
LOOSE = {"pooled_thurstonian": 5e-3, "multilevel_thurstonian": 1e-3} | dict.fromkeys(
    ("maximin", "nash_welfare"), 1e-3
)


def small(seed: int) -> Electorate:
    """Twelve citizens of two strata and real weights on the pairs of four outcomes, some absent."""
    rng, pairs = np.random.default_rng(seed), all_pairs(4)
    shares = rng.uniform(0, 1, (12, len(pairs))).round(2)
    shares[rng.uniform(size=shares.shape) < 0.2] = NAN
    return Electorate(
        shares, pairs, rng.uniform(0.5, 2, 12), 4, np.arange(12) % 2, np.array([0.3, 0.7])
    )


def relabelled(electorate: Electorate, new: np.ndarray) -> Electorate:
    return replace(electorate, pairs=new[electorate.pairs])


def swapped(electorate: Electorate) -> Electorate:
    return replace(electorate, pairs=electorate.pairs[:, ::-1], shares=1 - electorate.shares)


def shuffled(electorate: Electorate, order: np.ndarray) -> Electorate:
    return replace(
        electorate,
        shares=electorate.shares[order],
        weights=electorate.weights[order],
        strata=electorate.strata[order],
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_rules_know_no_names_sides_units_or_order_of_citizens(name, seed) -> None:
    rng, electorate = np.random.default_rng(seed), small(seed)
    rule, near = RULES[name], {"rtol": 0, "atol": LOOSE.get(name, 1e-7)}
    new, plain = rng.permutation(4), rule(electorate)
    same = [
        rule(shuffled(electorate, rng.permutation(12))),
        rule(replace(electorate, weights=electorate.weights * 1e4)),
    ]
    for other in same:
        np.testing.assert_allclose(other.p, plain.p, **near)
        np.testing.assert_allclose(other.scores, plain.scores, **near)
        np.testing.assert_array_equal(other.ranks, plain.ranks)
        np.testing.assert_array_equal(other.order, plain.order)
    renamed, mirrored = rule(relabelled(electorate, new)), rule(swapped(electorate))
    np.testing.assert_allclose(renamed.scores[new], plain.scores, **near)
    np.testing.assert_allclose(renamed.p, plain.p, **near)
    np.testing.assert_allclose(mirrored.scores, plain.scores, **near)
    np.testing.assert_allclose(1 - mirrored.p, plain.p, **near)


@pytest.mark.parametrize("name", RULES)
def test_a_planted_ranking_wins_under_every_rule(name) -> None:
    """Two strata, 10 and 90 % of the population, half the panel each; both like 0 > 1 > 2 > 3."""
    rng, pairs = np.random.default_rng(0), all_pairs(4)
    strata = np.arange(40) % 2
    utilities = np.array([2.0, 1.0, 0.0, -1.0]) * np.where(strata, 1, 0.5)[:, None]
    utilities = utilities + rng.normal(0, 0.2, (40, 4))
    shares = 1 / (1 + np.exp(utilities[:, pairs[:, 1]] - utilities[:, pairs[:, 0]]))
    population = np.array([0.1, 0.9])
    electorate = Electorate(shares, pairs, population[strata] / 20, 4, strata, population)
    found = RULES[name](electorate)
    assert found.order[0] == 0
    if name == "maximal_lotteries":
        np.testing.assert_allclose(found.scores, [1, 0, 0, 0], atol=1e-9)
        np.testing.assert_array_equal(found.ranks, [1, 2, 2, 2])
    else:
        np.testing.assert_array_equal(found.ranks, [1, 2, 3, 4])
        assert (found.p > 0.5).all()


@pytest.mark.parametrize("name", RULES)
def test_a_planted_winner_is_found_in_noisy_sparse_unequal_votes(name) -> None:
    world = planted(np.random.default_rng(5), outcomes=8, strata=4, votes=24, apart=0.3)
    best = int(np.argmax(world.population))
    lead = np.sort(world.population)[-2:]
    assert lead[1] - lead[0] > 0.5
    assert RULES[name](world.electorate).order[0] == best


@pytest.mark.parametrize("name", RULES)
def test_absent_ballots_are_left_out(name) -> None:
    """A citizen without ballots, whatever the weight, and a pair nobody voted on change nothing."""
    electorate = small(1)
    plain = RULES[name](electorate)
    absent = replace(
        electorate,
        shares=np.vstack([electorate.shares, np.full(6, NAN)]),
        weights=np.append(electorate.weights, 50.0),
        strata=np.append(electorate.strata, 0),
    )
    found = RULES[name](absent)
    np.testing.assert_allclose(found.p, plain.p, atol=1e-9)
    np.testing.assert_allclose(found.scores, plain.scores, atol=1e-9)


@pytest.mark.parametrize("name", RULES)
def test_outcomes_without_any_vote_have_no_standing(name) -> None:
    electorate = small(2)
    pairs = np.vstack([electorate.pairs, [[3, 4], [4, 5]]])
    shares = np.hstack([electorate.shares, np.full((12, 2), NAN)])
    found = RULES[name](replace(electorate, pairs=pairs, shares=shares, outcomes=6))
    plain = RULES[name](electorate)
    np.testing.assert_allclose(found.p, np.append(plain.p, [NAN, NAN]), atol=1e-9)
    np.testing.assert_allclose(found.scores, np.append(plain.scores, [NAN, NAN]), atol=1e-9)
    np.testing.assert_array_equal(found.ranks[4:], 0)
    np.testing.assert_array_equal(found.order, plain.order)


def test_a_users_own_function_is_a_rule() -> None:
    def veto(electorate: Electorate):
        """An outcome scores its worst share with anybody."""
        worst = np.nanmin(electorate.shares, axis=0)
        return verdict(worst, np.bincount(electorate.pairs[:, 0], worst, electorate.outcomes))

    assert veto(small(0)).ranks.shape == (4,)
