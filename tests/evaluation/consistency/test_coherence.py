"""Each measure equals its brute-force twin, is unbiased by few answers, and knows its floor."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import spearmanr

from evaluation.consistency.coherence import (
    calibration_error,
    calibration_slope,
    closed_triads,
    cycle_rate,
    decisiveness,
    hold_out,
    ladder_monotonicity,
    order_effect,
    order_shares,
    split_half,
    transitivity,
)
from evaluation.elicitation.design import balanced_pairs, random_pairs
from evaluation.elicitation.elicit import both_orders
from evaluation.utility.thurstonian import fit
from plenary.errors import DataError
from plenary.preferences import ComparisonCounts

ALL12 = np.stack(np.triu_indices(12, 1), axis=1)


def _rng(seed=0):
    return np.random.default_rng(seed)


def _cells(pairs, first, second, count, rng):
    """Shares for pairs[:, 0] when shown first and second, sampled `count` times or exact."""
    shown = both_orders(pairs)
    p = np.stack([first, 1 - second], axis=1).ravel()
    zero = np.zeros(len(p))
    if count is None:
        return ComparisonCounts(shown[:, 0], shown[:, 1], p, zero + 1, zero, zero + 1)
    wins = rng.binomial(count, p).astype(float)
    return ComparisonCounts(shown[:, 0], shown[:, 1], wins, zero + count, zero, zero + np.nan)


def test_order_shares_by_hand():
    cells = ComparisonCounts(
        np.array([0, 1, 2]),
        np.array([1, 0, 1]),
        np.array([3.0, 1.0, 2.0]),
        np.array([4.0, 4.0, 4.0]),
        np.zeros(3),
        np.full(3, np.nan),
    )
    s = order_shares(cells, np.array([[0, 1], [1, 2]]))
    assert s.first.tolist()[0] == 0.75
    assert s.second.tolist() == [0.75, 0.5]
    assert s.first_noise[0] == pytest.approx(0.75 * 0.25 / 3)
    assert np.isnan(s.first[1])


@pytest.mark.parametrize("count", [2, 5, 20, None])
def test_decisiveness_and_order_consistency_do_not_depend_on_the_number_of_answers(count):
    rng = _rng(3)
    pairs = random_pairs(200, 4000, rng)
    first, second = rng.uniform(0.1, 0.95, (2, len(pairs)))
    cells = _cells(pairs, first, second, count, rng)
    truth = np.sqrt(np.mean((first + second - 1) ** 2))
    found = decisiveness(cells, pairs, rng, draws=50)
    assert found.value == pytest.approx(truth, rel=0.05)
    assert found.low <= found.value <= found.high
    effect = order_effect(cells, pairs, rng, draws=50)
    brute = np.mean(first * second + (1 - first) * (1 - second))
    assert effect.consistency.value == pytest.approx(brute, abs=0.02)
    assert effect.consistency.value + effect.position.value == pytest.approx(1)
    parts = effect.first_slot.value + effect.second_slot.value
    assert parts == pytest.approx(effect.position.value)


def test_coin_flips_sit_on_the_floors():
    rng = _rng(1)
    pairs = random_pairs(100, 2500, rng)
    half = np.full(len(pairs), 0.5)
    cells = _cells(pairs, half, half, 4, rng)
    assert decisiveness(cells, pairs, rng, draws=50).low < 0.12
    effect = order_effect(cells, pairs, rng, draws=50)
    for measure in effect:
        assert measure.value == pytest.approx(measure.floor, abs=0.02)


def test_one_answer_an_order_cannot_be_debiased_and_says_so():
    rng = _rng()
    half = np.full(len(ALL12), 0.5)
    with pytest.raises(DataError, match="at least twice"):
        decisiveness(_cells(ALL12, half, half, 1, rng), ALL12, rng)


def test_cycle_rate_equals_the_sum_over_triads():
    p = _rng().uniform(size=(9, 9))
    p = np.triu(p, 1) + np.tril(1 - p.T, -1)
    brute = [
        p[i, j] * p[j, k] * p[k, i] + p[j, i] * p[k, j] * p[i, k]
        for i, j, k in combinations(range(9), 3)
    ]
    assert cycle_rate(p) == pytest.approx(np.mean(brute), rel=1e-12)
    assert cycle_rate(np.full((9, 9), 0.5)) == pytest.approx(0.25)


def test_closed_triads_equal_brute_force():
    pairs = random_pairs(15, 50, _rng(2))
    known = {tuple(p) for p in pairs.tolist()}
    brute = [t for t in combinations(range(15), 3) if set(combinations(t, 2)) <= known]
    assert sorted(map(tuple, closed_triads(pairs, 15).tolist())) == brute
    assert closed_triads(np.array([[0, 1], [1, 2]]), 3).shape == (0, 3)


def test_relative_transitivity_is_one_for_utilities_at_any_sharpness_and_nought_for_noise(planted):
    rng = _rng(4)
    every = np.stack(np.triu_indices(40, 1), axis=1)
    rates = []
    for sigma in (0.2, 1.0):
        world = planted(40, rng, sigma=sigma)
        fitted = fit(world.answers(balanced_pairs(40, 500, rng), rng, 10), 40)
        seen = transitivity(world.answers(every, rng, 10), every, fitted, rng, draws=100)
        rates.append(seen.cycles.value)
        assert seen.relative.value == pytest.approx(1, abs=0.08)
        assert seen.relative.low < seen.relative.value < seen.relative.high
        assert seen.cycles.units == 40 * 39 * 38 // 6
    assert rates[1] > 2 * rates[0]
    p = rng.integers(0, 2, len(every)).astype(float)
    noise = transitivity(_cells(every, p, p, None, rng), every, fitted, rng, draws=50)
    assert noise.relative.value == pytest.approx(0, abs=0.15)
    with pytest.raises(DataError, match="close no triad"):
        transitivity(_cells(every, p, p, None, rng), np.array([[0, 1], [1, 2]]), fitted, rng)


def test_hold_out_knows_calibrated_from_over_confident(planted):
    rng = _rng(5)
    world = planted(60, rng)
    fitted = fit(world.answers(balanced_pairs(60, 700, rng), rng, 10), 60)
    fresh = world.answers(balanced_pairs(60, 500, rng), rng, 10)
    good = hold_out(fitted, fresh, rng, draws=100)
    assert good.accuracy.low < good.accuracy.value < good.accuracy.high
    assert good.slope.value == pytest.approx(1, abs=0.1)
    assert good.calibration_error < 0.03
    assert good.entropy < good.log_loss.value < good.entropy + 0.06
    p = fitted.shown_first(fresh.first, fresh.second)
    share = fresh.wins / fresh.trials
    brute = np.mean(np.where(p > 0.5, share, 1 - share))
    assert good.accuracy.value == pytest.approx(brute)
    sharp = np.clip(p, 1e-6, 1 - 1e-6) ** 3
    sharp = sharp / (sharp + (1 - p) ** 3)
    assert calibration_slope(sharp, fresh.wins, fresh.trials) == pytest.approx(1 / 3, abs=0.05)
    assert calibration_error(sharp, fresh.wins, fresh.trials) > 2 * good.calibration_error


def test_calibration_error_by_hand():
    p, wins, trials = np.array([0.2, 0.8]), np.array([1.0, 1.0]), np.array([2.0, 2.0])
    assert calibration_error(p, wins, trials) == pytest.approx((0.6 + 0.6) / 4)


@pytest.mark.slow
def test_split_half_predicts_the_reliability_of_the_whole(planted):
    rng = _rng(6)
    world = planted(50, rng)
    cells = world.answers(balanced_pairs(50, 400, rng), rng, 5)
    found = split_half(cells, 50, rng, splits=4)
    assert 0.85 < found.low <= found.value <= found.high <= 1
    true = spearmanr(fit(cells, 50).mu, world.mu).statistic ** 2
    assert found.low - 0.01 <= true <= found.high + 0.01
    half = np.full(1225, 0.5)
    every = np.stack(np.triu_indices(50, 1), axis=1)
    noise = split_half(_cells(every, half, half, 5, rng), 50, rng, splits=4)
    assert abs(noise.value) < 0.7


def test_a_ladder_fails_by_one_step():
    mu = np.array([0.0, 1.0, 2.0, 1.5, -1.0])
    found = ladder_monotonicity(mu, [np.array([0, 1, 2]), np.array([0, 2, 3]), np.array([4, 0])])
    assert found.holds.tolist() == [True, False, True]
    assert found.strict.value == pytest.approx(2 / 3)
    assert found.strict.floor == pytest.approx((1 / 6 + 1 / 6 + 1 / 2) / 3)
    assert found.strict.low < 2 / 3 < found.strict.high
