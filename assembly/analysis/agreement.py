"""Agreement with the panel's majority: the share of pairs on its side, with an interval."""

from __future__ import annotations

import numpy as np

from evaluation.stats.intervals import Interval, bootstrap_interval, node_weights
from plenary.errors import NotMeasured
from plenary.preferences import FloatArray, IntArray
from plenary.seeding import generator

REPLICATES = 2000


def on_majority(p: FloatArray) -> FloatArray:
    """Share [P] of the larger side."""
    return np.maximum(p, 1 - p)


def interval_over_outcomes(
    values: FloatArray, pairs: IntArray, seed: int, *labels: str
) -> tuple[float, Interval]:
    """Mean of values [P] and its interval over outcomes; pairs without a value are left out."""
    known = ~np.isnan(values)
    if not known.any():
        raise NotMeasured(f"none of {len(values)!r} pairs has votes in everything that is compared")
    rng = generator(seed, *labels)
    weights = node_weights(pairs[known], REPLICATES, rng)
    return float(values[known].mean()), bootstrap_interval(values[known], weights, 0.95)
