"""Agreement, gain and shift are right by hand, cover the truth, and see no re-asking noise."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.comparison.compare import Comparison, ComparisonSettings, compare, target_cells
from evaluation.elicitation.design import balanced_pairs, random_pairs
from evaluation.elicitation.elicit import both_orders
from evaluation.stats.intervals import bootstrap_interval, node_weights
from plenary.errors import DataError
from plenary.preferences import ComparisonCounts, Targets, pair_shares

QUICK = ComparisonSettings(bootstrap=400)


def _cells(pairs, p, mass=1.0):
    shown = both_orders(np.array(pairs))
    share = np.stack([p, 1 - np.array(p)], axis=1).ravel()
    valid = ~np.isnan(share)
    return ComparisonCounts(
        shown[:, 0],
        shown[:, 1],
        np.where(valid, share, 0),
        valid * 1.0,
        ~valid * 1.0,
        np.full(len(share), mass),
    )


def _targets(pairs, p):
    return Targets(np.array(pairs), np.array(p), np.full(len(p), 50.0))


PAIRS = [[0, 1], [1, 2], [2, 3], [0, 3], [0, 2]]


def test_figures_by_hand_with_even_and_missing_pairs_left_out_and_counted():
    before = _cells(PAIRS, [0.2, 0.2, 0.9, np.nan, 0.7])
    after = _cells(PAIRS, [0.8, 0.2, 0.9, 0.9, 0.5], mass=0.8)
    result = compare(before, after, _targets(PAIRS, [0.9, 0.7, 0.5, 0.8, 0.6]), 0.9, QUICK, 0)
    assert (result.pairs, result.outcomes, result.left_out_even, result.left_out_missing) == (
        3,
        3,
        1,
        1,
    )
    assert result.agreement_before == pytest.approx(1 / 3)
    assert result.agreement_after == pytest.approx(1.5 / 3)
    assert result.gain == pytest.approx(0.5 / 3)
    assert (result.after.tied, result.before.unanswered, result.after.unanswered) == (1, 1, 0)
    assert result.before.brier == pytest.approx(np.mean([0.49, 0.25, 0.01]))
    kl = [
        0.9 * np.log(0.9 / 0.8) + 0.1 * np.log(0.1 / 0.2),
        0.7 * np.log(0.7 / 0.2) + 0.3 * np.log(0.3 / 0.8),
    ]
    kl.append(0.6 * np.log(0.6 / 0.5) + 0.4 * np.log(0.4 / 0.5))
    assert result.after.kl == pytest.approx(np.mean(kl))
    assert result.after.decisiveness == pytest.approx((0.6 + 0.6 + 0) / 3)
    assert result.after.mass == pytest.approx(0.8)
    assert result.ceiling == 0.9


def test_order_gap_is_a_column_of_its_own():
    shown = both_orders(np.array(PAIRS))
    zero = np.zeros(len(shown))
    slot_a = ComparisonCounts(shown[:, 0], shown[:, 1], zero + 0.9, zero + 1, zero, zero + np.nan)
    fair = _cells(PAIRS, [0.4] * 5)
    result = compare(fair, slot_a, _targets(PAIRS, [0.9] * 5), None, QUICK, 0)
    assert result.after.order_gap == pytest.approx(0.4)
    assert result.before.order_gap == pytest.approx(0)
    assert result.after.decisiveness == pytest.approx(0, abs=1e-12)
    assert result.after.mass is None


def test_direction_of_the_pairs_does_not_matter():
    before, after = (
        _cells(PAIRS, [0.2, 0.2, 0.9, 0.4, 0.7]),
        _cells(PAIRS, [0.8, 0.2, 0.9, 0.9, 0.6]),
    )
    p = np.array([0.9, 0.7, 0.4, 0.8, 0.6])
    straight = compare(before, after, _targets(PAIRS, p), None, QUICK, 3)
    mirrored = compare(before, after, _targets(np.array(PAIRS)[:, ::-1], 1 - p), None, QUICK, 3)
    assert mirrored.gain == pytest.approx(straight.gain)
    assert mirrored.gain_low == pytest.approx(straight.gain_low)
    assert mirrored.after.kl == pytest.approx(straight.after.kl)


def test_nothing_to_compare_is_a_plain_error():
    cells = _cells(PAIRS, [0.5] * 5)
    with pytest.raises(DataError, match=r"none of 5 held-out pairs .*\(0 unanswered, 5 even\)"):
        compare(cells, cells, _targets(PAIRS, [0.5] * 5), None, QUICK, 0)


def test_node_weights_are_products_of_multiplicities_and_never_empty():
    pairs = np.array([[3, 8]])
    weights = node_weights(pairs, 500, np.random.default_rng(0))
    assert (weights == 1).all()
    weights = node_weights(
        random_pairs(12, 30, np.random.default_rng(1)), 4000, np.random.default_rng(0)
    )
    assert (weights.sum(axis=1) > 0).all()
    assert weights.mean() == pytest.approx(1 - 1 / 12, abs=0.03)


def _world(seed, k, count, rho_before, rho_after):
    rng = np.random.default_rng(seed)
    target = rng.standard_normal(k)
    models = [
        r * target + np.sqrt(1 - r * r) * rng.standard_normal(k) for r in (rho_before, rho_after)
    ]
    pairs = balanced_pairs(k, count, rng)
    p = [_normal(u[pairs[:, 0]] - u[pairs[:, 1]]) for u in (target, *models)]
    return pairs, p, rng


def _normal(gap):
    return 1 / (1 + np.exp(-3 * gap))


@pytest.mark.parametrize(("k", "count", "ceiling"), [(20, 190, 0.98), (30, 120, 1.0)])
def test_the_gain_interval_covers_the_planted_gain(k, count, ceiling):
    truth = (np.arcsin(0.7) - np.arcsin(0.3)) / np.pi
    hits = []
    for seed in range(150):
        pairs, (target, before, after), _ = _world(seed, k, count, 0.3, 0.7)
        result = compare(
            _cells(pairs, before), _cells(pairs, after), _targets(pairs, target), None, QUICK, seed
        )
        hits.append(result.gain_low <= truth <= result.gain_high)
    assert 0.91 <= np.mean(hits) <= ceiling


def test_the_same_model_asked_twice_gains_nothing():
    inside = []
    for seed in range(100):
        pairs, (target, model, _), rng = _world(seed, 20, 80, 0.5, 0.5)
        asked = [_sampled(pairs, model, rng) for _ in range(2)]
        result = compare(*asked, _targets(pairs, target), None, QUICK, seed)
        inside.append(result.gain_low <= 0 <= result.gain_high)
    assert np.mean(inside) >= 0.9


def _sampled(pairs, p, rng, count=10):
    exact = _cells(pairs, p)
    wins = rng.binomial(count, exact.wins).astype(float)
    return replace(
        exact, wins=wins, trials=np.full(len(wins), float(count)), mass=np.full(len(wins), np.nan)
    )


def test_bootstrap_interval_of_a_constant_is_the_constant():
    weights = node_weights(np.array(PAIRS), 200, np.random.default_rng(0))
    assert bootstrap_interval(np.full(5, 0.25), weights, 0.95) == pytest.approx((0.25, 0.25))


def test_a_comparison_repeats_with_its_seed_and_comes_back_from_disk(tmp_path):
    pairs, (target, before, after), _ = _world(0, 12, 40, 0.2, 0.8)
    result = compare(
        _cells(pairs, before), _cells(pairs, after), _targets(pairs, target), 0.95, QUICK, 1
    )
    assert result == compare(
        _cells(pairs, before), _cells(pairs, after), _targets(pairs, target), 0.95, QUICK, 1
    )
    result.save(tmp_path / "comparison.json")
    assert Comparison.load(tmp_path / "comparison.json") == result
    with pytest.raises(DataError, match="compare again"):
        Comparison.load(tmp_path / "missing.json")


def test_target_cells_carry_the_votes_in_both_orders():
    cells = target_cells(
        Targets(np.array([[0, 1], [1, 2]]), np.array([0.8, np.nan]), np.array([40.0, 0.0]))
    )
    assert cells.trials.tolist() == [20, 20, 0, 0]
    assert cells.wins == pytest.approx([16, 4, 0, 0])
    assert pair_shares(cells, np.array([[0, 1]])).p == pytest.approx([0.8])
