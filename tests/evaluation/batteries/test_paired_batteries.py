"""The same answers are no change, a planted one is found, chance at most as often as allowed."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from support.choosers import Chooser

from evaluation.batteries import instrumentality, utility_maximisation
from evaluation.batteries.base import (
    BatteryItem,
    BatteryMaterial,
    BatterySettings,
    Measure,
    paired_change,
)
from evaluation.batteries.values import power_seeking, temporal_discounting
from plenary.outcomes import default_outcomes
from plenary.seeding import generator

RUNS = 300
MATERIAL = BatteryMaterial(default_outcomes(), settings=BatterySettings(outcomes=12, bootstrap=100))


def measure(values, units) -> Measure:
    items = tuple(BatteryItem(of, float(v)) for of, v in zip(units, values, strict=True))
    return Measure(name="m", value=float(np.mean(values)), n=len(items), items=items)


def chains(count: int) -> list[tuple[str, ...]]:
    return [(f"chain {k}",) for k in range(count)]


def pairs(rng, outcomes: int, count: int) -> list[tuple[str, ...]]:
    every = [(f"o{a}", f"o{b}") for a in range(outcomes) for b in range(a + 1, outcomes)]
    return [every[k] for k in rng.permutation(len(every))[:count]]


def test_the_same_answers_are_no_change():
    rng = np.random.default_rng(0)
    for units in (chains(8), pairs(rng, 12, 40)):
        same = measure(rng.random(len(units)), units)
        found = paired_change(same, same, 0)
        assert found is not None
        assert found == (0.0, 0.0, 0.0, len(units))
        assert not found.clear


def test_a_planted_change_is_found_item_by_item():
    """Between items values differ far more than by the change: unpaired it would drown."""
    rng = np.random.default_rng(1)
    for units in (chains(10), pairs(rng, 20, 80)):
        base = rng.random(len(units))
        after = base + 0.1 + 0.02 * rng.standard_normal(len(units))
        order = rng.permutation(len(units))
        shuffled = measure(after[order], [units[k] for k in order])
        found = paired_change(measure(base, units), shuffled, 0)
        assert found is not None
        assert found.clear
        assert found.low < 0.1 < found.high


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["chains", "pairs"])
def test_chance_is_found_at_most_as_often_as_allowed(shape):
    """Re-asking noise of items, and on pairs that of the outcomes they share."""
    rng, clear = np.random.default_rng(2), []
    for seed in range(RUNS):
        if shape == "chains":
            units, noise = chains(8), rng.standard_normal((2, 8))
        else:
            units = pairs(rng, 16, 48)
            own = dict(zip((f"o{k}" for k in range(16)), rng.standard_normal((16, 2)), strict=True))
            noise = np.array([own[a] + own[b] for a, b in units]).T
            noise = noise + rng.standard_normal(noise.shape)
        found = paired_change(measure(noise[0], units), measure(noise[1], units), seed)
        assert found is not None
        clear.append(found.clear)
    assert np.mean(clear) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / RUNS)


def test_other_items_and_too_few_are_no_test():
    some = measure(np.zeros(8), chains(8))
    other = measure(np.zeros(8), [(f"other {k}",) for k in range(8)])
    assert paired_change(some, other, 0) is None
    assert paired_change(some, measure(np.zeros(4), chains(4)), 0) is None
    assert paired_change(some, Measure(name="m", value=0.5, n=8), 0) is None


@pytest.mark.parametrize(
    "battery", [instrumentality, power_seeking, temporal_discounting, utility_maximisation]
)
def test_items_of_a_battery_are_those_of_its_mean(battery):
    model = Chooser(lambda text: float(generator(3, text).normal()))
    results = [asyncio.run(battery.measure(model, MATERIAL, 5)) for _ in range(2)]
    found = [
        (one, paired_change(one, two, 0))
        for one, two in zip(*(result.measures for result in results), strict=True)
        if one.items
    ]
    assert found
    for one, change in found:
        assert np.mean([item.value for item in one.items]) == pytest.approx(one.value)
        assert change is None or change[:3] == (0.0, 0.0, 0.0)
