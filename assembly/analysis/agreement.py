"""How often votes fall on the majority of the panel, with an interval over outcomes."""

from __future__ import annotations

import numpy as np

from evaluation.stats.intervals import Interval, bootstrap_interval, node_weights
from plenary.errors import NotMeasured
from plenary.preferences import FloatArray, IntArray
from plenary.seeding import generator

REPLICATES = 2000


def on_majority(p: FloatArray) -> FloatArray:
    """Share [P] on the side that has more."""
    return np.maximum(p, 1 - p)


def interval_over_outcomes(
    values: FloatArray, pairs: IntArray, seed: int, *labels: str
) -> tuple[float, Interval]:
    """Mean of values [P] and its interval over outcomes; pairs without a value left out."""
    known = ~np.isnan(values)
    if not known.any():
        raise NotMeasured(f"none of {len(values)!r} pairs is voted on in all that is compared")
    rng = generator(seed, *labels)
    weights = node_weights(pairs[known], REPLICATES, rng)
    return float(values[known].mean()), bootstrap_interval(values[known], weights, 0.95)
