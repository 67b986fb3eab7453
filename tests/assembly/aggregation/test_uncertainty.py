from dataclasses import replace

import numpy as np
import pytest
from support.electorates import planted, standardised, voters

from assembly.aggregation.electorate import Electorate
from assembly.aggregation.rules import copeland, multilevel_thurstonian, weighted_share
from assembly.aggregation.uncertainty import uncertainty
from plenary.errors import ConfigError


def middle(share: np.ndarray) -> np.ndarray:
    return (share > 0.1) & (share < 0.9)


@pytest.mark.slow
def test_intervals_of_shares_cover() -> None:
    """Nominal 90 %, 40 electorates, pairs with a true share of 10 to 90 %."""
    covered = []
    for seed in range(40):
        world = planted(
            np.random.default_rng(seed), outcomes=8, citizens=120, strata=3, votes=15, uneven=50
        )
        found = uncertainty(
            weighted_share, world.electorate, np.random.default_rng(seed), 100, np.arange(120)
        )
        truth = world.share(world.electorate.pairs)
        kept = middle(truth)
        covered += ((found.p_low <= truth) & (truth <= found.p_high))[kept].tolist()
    assert 0.84 < np.mean(covered) < 0.95


@pytest.mark.exhaustive
def test_intervals_of_fitted_shares_and_utilities_cover() -> None:
    """Nominal 90 %; shrinkage costs some: 10 electorates, 30 replicates."""
    shares, utilities = [], []
    for seed in range(10):
        world = planted(
            np.random.default_rng(seed), outcomes=6, citizens=90, strata=3, votes=12, uneven=50
        )
        found = uncertainty(
            multilevel_thurstonian,
            world.electorate, np.random.default_rng(seed), 30, np.arange(90),
        )  # fmt: skip
        truth, utility = world.share(world.electorate.pairs), standardised(world.population)
        shares += ((found.p_low <= truth) & (truth <= found.p_high))[middle(truth)].tolist()
        utilities += ((found.scores_low <= utility) & (utility <= found.scores_high)).tolist()
    assert np.mean(shares) > 0.78
    assert np.mean(utilities) > 0.7


def talked_into_it(rng: np.random.Generator) -> Electorate:
    """Thirty tables of six, each drawn to a view of its own; the true share is one half."""
    table = np.repeat(rng.normal(0, 1.5, 30), 6)
    votes = (rng.uniform(size=180) < 1 / (1 + np.exp(-table))).astype(float)
    return voters(votes[:, None].tolist(), [1.0] * 180)


@pytest.mark.slow
def test_votes_that_depend_within_tables_need_tables_as_clusters() -> None:
    tables, citizens = [], []
    for seed in range(80):
        electorate = talked_into_it(np.random.default_rng(seed))
        for clusters, into in ((np.repeat(np.arange(30), 6), tables), (np.arange(180), citizens)):
            found = uncertainty(
                weighted_share, electorate, np.random.default_rng(seed), 100, clusters
            )
            into.append(found.p_low[0] <= 0.5 <= found.p_high[0])
    assert 0.83 < np.mean(tables) < 0.97
    assert np.mean(citizens) < 0.8


def test_interval_is_the_ends_of_what_other_panels_say() -> None:
    """Bootstrap spread equals the spread over freshly drawn panels."""
    rng = np.random.default_rng(0)
    drawn = [weighted_share(talked_into_it(rng)).p[0] for _ in range(300)]
    found = uncertainty(weighted_share, talked_into_it(rng), rng, 300, np.repeat(np.arange(30), 6))
    width = float((found.p_high - found.p_low)[0])
    assert width == pytest.approx(2 * 1.645 * np.std(drawn), rel=0.35)


def test_a_decided_rule_has_ends_among_its_answers_and_absent_pairs_have_none() -> None:
    electorate = voters([[1.0], [1.0], [1.0], [0.0]] * 2, [1.0] * 8)
    electorate = replace(
        electorate, pairs=np.array([[0, 1], [1, 2]]), outcomes=3,
        shares=np.hstack([electorate.shares, np.full((8, 1), np.nan)]),
    )  # fmt: skip
    found = uncertainty(copeland, electorate, np.random.default_rng(0), 400, np.arange(8))
    assert found.p_high[0] == 1
    assert found.p_low[0] in (0, 0.5)
    assert np.isnan([found.p_low[1], found.p_high[1], found.scores_low[2]]).all()


def test_same_stream_same_interval_and_units_of_weight_do_not_matter() -> None:
    electorate = planted(np.random.default_rng(0), outcomes=5, pairs=10, votes=5).electorate
    plain, heavy = (
        uncertainty(weighted_share, e, np.random.default_rng(7), 30, electorate.strata)
        for e in (electorate, replace(electorate, weights=electorate.weights * 1e3))
    )
    np.testing.assert_allclose(plain.p_low, heavy.p_low)
    np.testing.assert_allclose(plain.scores_high, heavy.scores_high)


@pytest.mark.parametrize(("clusters", "replicates"), [([0, 0], 10), ([0, 1], 1)])
def test_one_cluster_or_replicate_tells_nothing(clusters, replicates) -> None:
    with pytest.raises(ConfigError, match="at least 2 of each"):
        uncertainty(
            weighted_share, voters([[1.0], [0.0]], [1, 1]), np.random.default_rng(0),
            replicates, np.array(clusters),
        )  # fmt: skip
