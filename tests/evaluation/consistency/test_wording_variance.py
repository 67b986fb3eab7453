"""Planted variances are recovered; each share equals a loop over pairs and templates."""

import numpy as np
import pytest

from evaluation.consistency.wording_variance import (
    LogOdds,
    components,
    flip_rate,
    log_odds,
    manufactured_preferences,
    strong_preferences,
    templates_needed,
    wording,
)
from evaluation.elicitation.design import balanced_pairs
from evaluation.elicitation.elicit import both_orders
from plenary.errors import DataError
from plenary.preferences import ComparisonCounts

K, P, F = 40, 400, 12


def _planted(seed=0, outcome=1.0, template=0.2, wording=0.5, slot=0.4, noise=0.0):
    rng = np.random.default_rng(seed)
    pairs = balanced_pairs(K, P, rng)
    h = (
        outcome * rng.standard_normal((P, 1))
        + template * rng.standard_normal(F)
        + wording * rng.standard_normal((P, F))
    )
    s = slot + 0.1 * rng.standard_normal((P, F))
    odds = np.stack([h + s, s - h], axis=2)
    odds = odds + noise * rng.standard_normal(odds.shape)
    return LogOdds(odds, np.full(odds.shape, noise**2)), pairs


@pytest.mark.parametrize("noise", [0.0, 0.6])
def test_planted_variances_are_recovered(noise):
    odds, pairs = _planted(noise=noise)
    found = wording(odds, pairs)
    budget = found.budget
    assert budget.outcome == pytest.approx(1.0, rel=0.2)
    assert budget.wording == pytest.approx(0.25, rel=0.1)
    assert budget.template == pytest.approx(0.04, abs=0.04)
    assert budget.position == pytest.approx(0.17, rel=0.15)
    assert budget.sampling == pytest.approx(noise**2)
    assert sum(budget.shares) == pytest.approx(1)
    assert found.icc.low < found.icc.value < found.icc.high
    assert found.icc.low < 1 / 1.29 < found.icc.high
    assert found.templates_needed == templates_needed(found.icc.value)


def test_templates_needed_is_spearman_brown_turned_round():
    assert templates_needed(0.5) == 9
    assert templates_needed(0.9) == 1
    assert templates_needed(0.25) == 27
    assert templates_needed(0.0) == np.inf


def test_no_outcome_variance_has_an_icc_near_its_floor():
    odds, pairs = _planted(outcome=0.0, template=0.0)
    assert wording(odds, pairs).icc.low < 0.02
    with pytest.raises(DataError, match="at least two of each"):
        components(LogOdds(odds.first[:, :1], odds.noise[:, :1]))


def test_flip_rate_and_strong_share_equal_their_loops():
    odds, pairs = _planted(outcome=0.7, wording=0.8)
    h = (odds.first[..., 0] - odds.first[..., 1]) / 2
    flipped, clear = 0, 0
    for p in range(P):
        for f in range(F):
            others = np.delete(h[p], f).mean()
            if abs(others) > 0.6:
                clear += 1
                flipped += (h[p, f] > 0) != (others > 0)
    found = flip_rate(odds, pairs)
    assert found.value == pytest.approx(flipped / clear)
    assert found.units == clear
    assert found.low <= found.value <= found.high
    strong = strong_preferences(odds, pairs)
    for p in range(P):
        agree = max((h[p] > 0).sum(), (h[p] < 0).sum()) >= 10
        t = abs(h[p].mean()) / (h[p].std(ddof=1) / np.sqrt(F))
        assert strong.holds[p] == (agree and t > 2.2009851600)
    assert strong.share.value == pytest.approx(strong.holds.mean())
    assert strong.share.floor == pytest.approx(2 * (1 + 12 + 66) / 4096)


def test_manufactured_preferences_by_hand():
    h = np.array([1.0, 1.0, 0.5, -1.0])
    odds = np.stack([np.tile(h[:, None], (1, 3)), -np.tile(h[:, None], (1, 3))], axis=2)
    pairs = np.array([[0, 1], [1, 2], [2, 3], [0, 3]])
    found = manufactured_preferences(LogOdds(odds, 0 * odds), np.array([0.6, 0.1, 0.9, 0.5]), pairs)
    assert found.value == 0.5
    assert found.units == 4


def test_log_odds_of_exact_and_sampled_cells():
    pairs = np.array([[0, 1]])
    shown = both_orders(pairs)
    exact = ComparisonCounts(*shown.T, np.array([0.9, 0.3]), np.ones(2), np.zeros(2), np.ones(2))
    counts = ComparisonCounts(
        *shown.T, np.array([9.0, 3.0]), np.full(2, 10.0), np.zeros(2), np.full(2, np.nan)
    )
    odds = log_odds([exact, counts], pairs)
    assert odds.first[0, 0] == pytest.approx([np.log(9), np.log(3 / 7)])
    assert odds.first[0, 1] == pytest.approx([np.log(9.5 / 1.5), np.log(3.5 / 7.5)])
    assert odds.noise[0, 0] == pytest.approx([0, 0])
    assert odds.noise[0, 1, 0] == pytest.approx(1 / (10 * 0.11 * 0.79), rel=0.3)
    with pytest.raises(DataError, match="1 of 1 pairs lack"):
        log_odds([exact.select(np.array([0])), counts], pairs)
