"""The pilot tells a shared order bias from one that differs between pairs."""

import numpy as np
import pytest
from scipy.special import ndtr

from evaluation.elicitation.design import random_pairs
from evaluation.elicitation.elicit import both_orders
from evaluation.elicitation.order_effect import order_effect
from plenary.preferences import ComparisonCounts


def _answers(bias, spread, rng, count, pairs=400):
    asked = random_pairs(60, pairs, rng)
    shown = both_orders(asked)
    lead = np.repeat(rng.standard_normal(pairs), 2) * np.tile([1, -1], pairs)
    own = np.repeat(bias + spread * rng.standard_normal(pairs), 2)
    p, zero = ndtr(lead + own), np.zeros(2 * pairs)
    if count is None:
        return ComparisonCounts(shown[:, 0], shown[:, 1], p, zero + 1, zero, zero + 1), asked
    wins = rng.binomial(count, p).astype(float)
    return ComparisonCounts(
        shown[:, 0], shown[:, 1], wins, zero + count, zero, zero + np.nan
    ), asked


@pytest.mark.parametrize("count", [None, 10, 4])
@pytest.mark.parametrize(("bias", "spread"), [(0.0, 0.0), (0.5, 0.0), (0.3, 0.4), (0.0, 0.8)])
def test_bias_and_spread_are_recovered(bias, spread, count):
    found = [order_effect(*_answers(bias, spread, np.random.default_rng(s), count)) for s in (0, 1)]
    assert np.mean([pilot.bias for pilot in found]) == pytest.approx(bias, abs=0.1)
    assert np.mean([pilot.spread for pilot in found]) == pytest.approx(spread, abs=0.15)
    assert all(pilot.low - 0.1 < pilot.spread < pilot.high + 0.1 for pilot in found)


def test_too_few_pairs_say_nothing():
    cells, pairs = _answers(0, 0, np.random.default_rng(0), None, pairs=2)
    found = order_effect(cells, pairs)
    assert found.pairs == 2
    assert np.isnan(found.spread)


def test_pairs_answered_in_one_order_only_do_not_count():
    cells, pairs = _answers(0, 0, np.random.default_rng(0), None, pairs=10)
    half = cells.select(np.arange(20) != 3)
    assert order_effect(half, pairs).pairs == 9


def test_single_answers_cannot_tell_the_spread():
    cells, pairs = _answers(0, 0, np.random.default_rng(0), 1)
    found = order_effect(cells, pairs)
    assert found.high - found.low > 1
