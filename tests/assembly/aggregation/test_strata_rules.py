import numpy as np
import pytest
from scipy.stats import kendalltau
from support.electorates import all_pairs, planted, voters

from assembly.aggregation.electorate import Electorate, mean_won, stratum_shares
from assembly.aggregation.multilevel import fit_strata
from assembly.aggregation.rules import (
    group_informed_consensus,
    lowest,
    maximin,
    nash_welfare,
    product,
    smoothed_support,
    standings,
    weighted_share,
)

NAN = float("nan")
# Outcomes in columns, two strata in rows.
TINY = np.array([[0.9, 0.5, 0.3], [0.2, 0.4, 0.3]])


def test_group_informed_consensus_of_the_docstring() -> None:
    """3 of 4 and 1 of 2 for first; supports by hand are sqrt(.7 * .5) and sqrt(.3 * .5)."""
    electorate = voters(
        [[1], [1], [1], [0], [1], [0]],
        [1] * 6,
        strata=[0, 0, 0, 0, 1, 1],
        strata_shares=[0.9, 0.1],
    )
    shares = stratum_shares(electorate, electorate.strata, 2)
    np.testing.assert_allclose(shares.n[:, 0], [4, 2])
    assert smoothed_support(shares.p, shares.n)[0] == pytest.approx(0.5916, abs=1e-4)
    assert smoothed_support(1 - shares.p, shares.n)[0] == pytest.approx(0.3873, abs=1e-4)
    found = group_informed_consensus(electorate)
    assert found.p[0] == pytest.approx(0.6044, abs=1e-4)
    np.testing.assert_allclose(found.scores, [found.p[0], 1 - found.p[0]])


def test_jeffreys_and_laplace_by_hand() -> None:
    """8 of 10 and 2 of 10 agree: Polis' product is 9/12 * 3/12, ours sqrt(8.5/11 * 2.5/11)."""
    p, n = np.array([[0.8], [0.2]]), np.array([[10.0], [10.0]])
    assert smoothed_support(p, n)[0] == pytest.approx(np.sqrt(8.5 * 2.5) / 11)
    assert np.prod((n * p + 1) / (n + 2)) == pytest.approx(0.1875)
    assert smoothed_support(np.vstack([p, p]), np.vstack([n, n]))[0] == pytest.approx(
        smoothed_support(p, n)[0]
    )


def test_a_divided_pair_is_even_however_large_one_stratum_is() -> None:
    electorate = voters(
        [[1]] * 9 + [[0]] * 9, [5] * 9 + [1] * 9, strata=[0] * 9 + [1] * 9, strata_shares=[0.9, 0.1]
    )
    assert weighted_share(electorate).p[0] == pytest.approx(5 / 6)
    found = group_informed_consensus(electorate)
    assert found.p[0] == pytest.approx(0.5)
    np.testing.assert_array_equal(found.ranks, [1, 1])


def test_strata_without_a_ballot_are_left_out() -> None:
    electorate = voters(
        [[1], [1], [0], [NAN]], [1] * 4, strata=[0, 0, 0, 1], strata_shares=[0.5, 0.5]
    )
    assert group_informed_consensus(electorate).p[0] == pytest.approx(2.5 / 4)


def test_maximin_and_nash_by_hand() -> None:
    np.testing.assert_allclose(lowest(TINY), [0.2, 0.4, 0.3])
    even = product(TINY, np.array([0.5, 0.5]))
    np.testing.assert_allclose(even, np.sqrt([0.18, 0.2, 0.09]))
    large_first = product(TINY, np.array([0.8, 0.2]))
    np.testing.assert_allclose(large_first[0], 0.9**0.8 * 0.2**0.2)
    assert TINY.sum(axis=0).argmax() == 0
    assert lowest(TINY).argmax() == even.argmax() == 1
    assert large_first.argmax() == 0


def compromise() -> Electorate:
    """Strata of 60 and 40 % love 0 and 1 and hate the other's; 2 is everybody's second choice."""
    pairs, strata = all_pairs(3), np.arange(80) % 2
    utilities = np.array([[1.5, -1.5, 0.8], [-1.5, 1.5, 0.8]])[strata]
    shares = 1 / (1 + np.exp(utilities[:, pairs[:, 1]] - utilities[:, pairs[:, 0]]))
    population = np.array([0.6, 0.4])
    return Electorate(shares, pairs, population[strata] / 40, 3, strata, population)


def test_the_compromise_wins_where_every_stratum_counts() -> None:
    for rule in (maximin, nash_welfare, group_informed_consensus):
        found = rule(compromise())
        assert found.order[0] == 2
        assert (found.p[1], found.p[2]) == (0, 0) or rule is group_informed_consensus
    assert maximin(compromise()).scores[0] < 0.2


def test_standings_are_mean_shares_against_the_others() -> None:
    fitted = fit_strata(compromise())
    pairs = all_pairs(3)
    share = fitted.strata_probability(pairs)
    expected = [mean_won(row, pairs, 3) for row in share]
    np.testing.assert_allclose(standings(fitted), expected, atol=1e-12)


@pytest.mark.slow
def test_the_worst_off_are_found_better_by_the_fit_than_from_raw_shares() -> None:
    gains = []
    for seed in range(3):
        world = planted(np.random.default_rng(seed), outcomes=60)
        electorate = world.electorate
        truth = planted_lowest(world.strata)
        raw = stratum_shares(electorate, electorate.strata, 8).p
        direct = np.nanmin([mean_won(row, electorate.pairs, 60) for row in raw], axis=0)
        fitted = kendalltau(maximin(electorate).scores, truth).statistic
        gains.append(fitted - kendalltau(direct, truth).statistic)
    assert np.mean(gains) > 0.05


def planted_lowest(utilities: np.ndarray) -> np.ndarray:
    pairs = all_pairs(utilities.shape[1])
    shares = 1 / (1 + np.exp(1.7 * (utilities[:, pairs[:, 1]] - utilities[:, pairs[:, 0]])))
    return lowest(np.array([mean_won(row, pairs, utilities.shape[1]) for row in shares]))
