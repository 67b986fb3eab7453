import numpy as np
import pytest

from assembly.aggregation.strata import Stratum, strata_of
from assembly.analysis.movement import by_stratum, movement, opinion_spread, stratum_intervals
from assembly.record.ballots import REFUSED, VALID, Votes
from plenary.errors import DataError


def votes_of(before, after, refused=()) -> Votes:
    shares = np.stack([before, after])
    phase, citizen, pair = (grid.ravel() for grid in np.indices(shares.shape))
    state = np.where(np.isin(citizen, list(refused)), REFUSED, VALID)
    share = np.where(state == VALID, shares.ravel(), np.nan)
    two = [np.concatenate([column, column]) for column in (pair, citizen, phase)]
    order = np.repeat([0, 1], len(pair))
    both = np.concatenate([share, 1 - share])
    return Votes(*two, order, both, np.concatenate([state, state]), np.ones(len(order)))


BEFORE = np.array([[0.9], [0.8], [0.3], [0.6]])


def test_nobody_moves() -> None:
    still = movement(votes_of(BEFORE, BEFORE), 1, np.ones(4), np.zeros(4, dtype=int))
    assert still[:3] == (0, 0, 0)
    assert still.compared == 4


def test_conforming_is_positive_and_weighted() -> None:
    after = BEFORE + np.array([[0], [0], [0.4], [0]])
    moved = movement(votes_of(BEFORE, after), 1, np.array([1.0, 1, 2, 1]), np.zeros(4, dtype=int))
    assert moved.changed == pytest.approx(2 / 5)
    assert moved.shift == pytest.approx(0.8 / 5)
    assert moved.toward == pytest.approx(0.8 / 5)
    np.testing.assert_allclose(moved.by_citizen, [0, 0, 0.4, 0])


def test_moving_away_is_negative() -> None:
    after = BEFORE - np.array([[0], [0], [0.2], [0]])
    moved = movement(votes_of(BEFORE, after), 1, np.ones(4), np.zeros(4, dtype=int))
    assert moved.toward == pytest.approx(-0.05)
    assert moved.changed == 0


def test_the_majority_is_the_others_at_the_own_table() -> None:
    """At a table of two each faces the other alone: swapping sides is conforming for both."""
    before, after = np.array([[0.9], [0.2], [0.1], [0.1]]), np.array([[0.4], [0.7], [0.1], [0.1]])
    moved = movement(votes_of(before, after), 1, np.ones(4), np.array([0, 0, 1, 1]))
    assert moved.toward == pytest.approx(1.0 / 4)
    assert moved.changed == 0.5


def test_refused_ballots_are_left_out() -> None:
    moved = movement(votes_of(BEFORE, 1 - BEFORE, {0}), 1, np.ones(4), np.zeros(4, dtype=int))
    assert moved.compared == 3
    assert np.isnan(moved.by_citizen[0])
    with pytest.raises(DataError, match="valid twice"):
        movement(votes_of(BEFORE, BEFORE, range(4)), 1, np.ones(4), np.zeros(4, dtype=int))


def test_movement_by_stratum_keeps_the_whole_table() -> None:
    after = BEFORE + np.array([[0], [0], [0.4], [0]])
    strata = strata_of({"side": ["x", "x", "y", "z"]}, 4)
    votes = votes_of(BEFORE, after, {3})
    found = by_stratum(votes, 1, np.ones(4), np.zeros(4, dtype=int), strata)
    assert found[Stratum("side", "y")].toward == pytest.approx(0.4)
    assert found[Stratum("side", "x")].shift == 0
    assert found[Stratum("side", "z")] is None


def test_spread_falls_when_citizens_meet_in_the_middle() -> None:
    rng = np.random.default_rng(0)
    before = rng.uniform(0.05, 0.95, (20, 40))
    after = (before + before.mean(axis=0)) / 2
    pairs = rng.permuted(np.tile(np.arange(20), (40, 1)), axis=1)[:, :2]
    found = opinion_spread(votes_of(before, after), pairs, np.ones(20), rng)
    assert found.variance.after == pytest.approx(found.variance.before / 4)
    assert found.variance.low <= found.variance.after - found.variance.before
    assert found.variance.high < 0
    assert found.own_entropy.low > 0
    assert found.panel_entropy.before == pytest.approx(found.panel_entropy.after)


def test_spread_of_known_shares_in_bits() -> None:
    votes = votes_of(np.array([[1.0], [0.0]]), np.array([[0.5], [0.5]]))
    found = opinion_spread(votes, np.array([[0, 1]]), np.ones(2), np.random.default_rng(0))
    assert found.panel_entropy[:2] == (1, 1)
    assert found.own_entropy[:2] == (0, 1)
    assert found.variance[:2] == (0.25, 0)
    votes = votes_of(BEFORE, BEFORE, range(4))
    with pytest.raises(DataError, match="valid votes in both phases"):
        opinion_spread(votes, np.array([[0, 1]]), np.ones(4), np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(20))
def test_a_unanimous_panel_has_no_spread(seed: int) -> None:
    """Rounding may put its weighted share above 1, in about half of such panels."""
    rng = np.random.default_rng(seed)
    votes = votes_of(np.ones((20, 23)), np.ones((20, 23)))
    pairs = np.column_stack([np.zeros(23, dtype=int), np.arange(1, 24)])
    found = opinion_spread(votes, pairs, rng.uniform(0.5, 2, 20), rng, draws=10)
    assert all(change == pytest.approx((0, 0, 0, 0), abs=1e-12) for change in found)


def test_intervals_of_strata_hold_their_figure_and_resample_whole_groups() -> None:
    rng = np.random.default_rng(0)
    citizens, pairs = 48, 30
    before = rng.uniform(0.2, 0.8, (citizens, pairs))
    group = np.arange(citizens) // 4
    # Each group moves as one, so that only the spread between groups tells how sure a figure is.
    after = np.clip(before + 0.3 * rng.standard_normal(12)[group, None], 0, 1)
    strata = strata_of({"side": ["left", "right"] * (citizens // 2)}, citizens)
    votes, weights = votes_of(before, after), np.ones(citizens)
    moved = by_stratum(votes, pairs, weights, group, strata)
    wide = stratum_intervals(votes, pairs, weights, group, group, strata, rng)
    narrow = stratum_intervals(votes, pairs, weights, group, np.arange(citizens), strata, rng)
    for name in strata.names:
        found, ends, alone = moved[name], wide[name], narrow[name]
        assert found is not None
        assert ends is not None
        assert alone is not None
        for part in ends._fields:
            low, high = getattr(ends, part)
            assert low < getattr(found, part) < high
        assert ends.shift.high - ends.shift.low > alone.shift.high - alone.shift.low


def test_a_stratum_of_one_group_has_no_interval() -> None:
    strata = strata_of({"side": ["left", "left", "right", "right"]}, 4)
    votes, ones, rng = votes_of(BEFORE, 1 - BEFORE), np.ones(4), np.random.default_rng(0)
    group = np.array([0, 0, 0, 1])
    found = stratum_intervals(votes, 1, ones, group, group, strata, rng)
    assert found[Stratum("side", "left")] is None
    assert found[Stratum("side", "right")] is not None
