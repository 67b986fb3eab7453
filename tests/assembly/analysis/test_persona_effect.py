import numpy as np
import pytest
from scipy.special import expit

from assembly.analysis.persona_effect import citizen_cycles, vote_gap
from evaluation.consistency.coherence import cycle_rate
from plenary.errors import DataError

EVERY = np.array([(a, b) for a in range(8) for b in range(a + 1, 8)])


def test_personas_that_do_nothing_have_no_effect() -> None:
    rng = np.random.default_rng(0)
    plain = rng.uniform(0.1, 0.9, len(EVERY))
    found = vote_gap(np.tile(plain, (5, 1)), plain, EVERY, np.ones(5), rng)
    assert (found.gap.value, found.flips.value) == (0, 0)
    assert found.between == pytest.approx(0)


def test_a_planted_shift_is_the_gap_and_weights_count() -> None:
    rng = np.random.default_rng(0)
    plain = np.full(len(EVERY), 0.4)
    shares = np.stack([plain + 0.2, plain])
    found = vote_gap(shares, plain, EVERY, np.array([3.0, 1.0]), rng)
    assert found.gap.value == pytest.approx(0.15)
    assert found.gap.low <= 0.15 + 1e-9
    assert found.flips.value == pytest.approx(0.75)
    np.testing.assert_allclose(found.by_citizen, [0.2, 0])
    assert found.between == pytest.approx(0.2 * np.sqrt(0.75 * 0.25))


def test_refused_answers_are_left_out() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([[0.6, np.nan], [0.4, np.nan]])
    found = vote_gap(shares, np.array([0.5, 0.5]), EVERY[:2], np.ones(2), rng)
    assert found.gap.units == 1
    assert found.gap.value == pytest.approx(0.1)
    with pytest.raises(DataError, match="answered in both"):
        vote_gap(shares, np.full(2, np.nan), EVERY[:2], np.ones(2), rng)


def test_cycles_of_each_citizen_match_the_full_table() -> None:
    """One citizen with utilities, one of coin flips, one who goes round in circles."""
    rng = np.random.default_rng(1)
    mu = rng.normal(0, 2, 8)
    ring = np.where((EVERY[:, 1] - EVERY[:, 0]) % 2 == 1, 0.95, 0.05)
    shares = np.stack([expit(mu[EVERY[:, 0]] - mu[EVERY[:, 1]]), np.full(len(EVERY), 0.5), ring])
    found = citizen_cycles(shares, EVERY, np.ones(3), 8)
    for citizen, row in enumerate(shares):
        table = np.zeros((8, 8))
        table[tuple(EVERY.T)], table[tuple(EVERY.T[::-1])] = row, 1 - row
        assert found.by_citizen[citizen] == pytest.approx(cycle_rate(table))
    assert found.by_citizen[0] < 0.15
    assert found.by_citizen[1] == pytest.approx(0.25)
    assert found.by_citizen[2] > 0.25
    assert found.triads == 56


def test_cycles_do_not_depend_on_which_outcome_is_listed_first() -> None:
    rng = np.random.default_rng(2)
    shares, turned = rng.uniform(0, 1, (4, len(EVERY))), rng.random(len(EVERY)) < 0.5
    pairs = np.where(turned[:, None], EVERY[:, ::-1], EVERY)
    one = citizen_cycles(shares, EVERY, np.ones(4), 8)
    two = citizen_cycles(np.where(turned, 1 - shares, shares), pairs, np.ones(4), 8)
    np.testing.assert_allclose(one.by_citizen, two.by_citizen)
    assert one.panel == pytest.approx(two.panel)


def test_a_design_without_triads_measures_nothing() -> None:
    found = citizen_cycles(np.full((2, 2), 0.5), np.array([[0, 1], [2, 3]]), np.ones(2), 4)
    assert found.triads == 0
    assert np.isnan([*found.by_citizen, found.panel]).all()
    refused = citizen_cycles(np.array([[0.5, np.nan, 0.5]]), EVERY[[0, 1, 7]], np.ones(1), 8)
    assert refused.triads == 1
    assert np.isnan(refused.by_citizen[0])
