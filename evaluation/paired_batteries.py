"""One battery asked of a model before and after: what changed, item by item.

Items are paired by what they are about. Items of one unit each are independent: Student's t. Items
that share outcomes with others: bootstrap over outcomes, as for the gain in agreement.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evaluation.battery import Measure
from evaluation.battery_asking import BatterySettings, mean_interval
from evaluation.comparison import Interval, bootstrap_interval, node_weights
from plenary.preferences import FloatArray
from plenary.seeding import generator

LEAST_ITEMS = 5
SETTINGS = BatterySettings(bootstrap=2000)


class Change(NamedTuple):
    """After minus before, its 95 % interval, and on how many items."""

    value: float
    low: float
    high: float
    items: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def paired_change(before: Measure, after: Measure, seed: int) -> Change | None:
    """The paired difference; None where fewer than LEAST_ITEMS items are in both."""
    earlier = {item.units: item.value for item in before.items}
    shared = [item for item in after.items if item.units in earlier]
    if len(shared) < LEAST_ITEMS:
        return None
    gaps = np.array([item.value - earlier[item.units] for item in shared])
    units = [item.units for item in shared]
    rng = generator(seed, "paired", before.name)
    return Change(float(gaps.mean()), *_interval(gaps, units, rng), len(gaps))


def _interval(gaps: FloatArray, units: list[tuple[str, ...]], rng: np.random.Generator) -> Interval:
    if all(len(of) == 1 for of in units):
        return mean_interval(gaps, SETTINGS)
    numbers: dict[str, int] = {}
    pairs = [[numbers.setdefault(unit, len(numbers)) for unit in of] for of in units]
    weights = node_weights(np.array(pairs, dtype=np.int64), SETTINGS.bootstrap, rng)
    return bootstrap_interval(gaps, weights, SETTINGS.level)
