"""Error rates over many tests: Benjamini and Hochberg's, and Holm's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from plenary.preferences import BoolArray, FloatArray


def two_sided_p(z: FloatArray) -> FloatArray:
    """Two-sided normal p values."""
    return 2 * stats.norm.sf(np.abs(z))


def reject_fdr(p: FloatArray, rate: float) -> BoolArray:
    """Hypotheses [K] rejected at false-discovery rate `rate`."""
    order = np.argsort(p, kind="stable")
    below = np.flatnonzero(p[order] <= rate * np.arange(1, len(p) + 1) / len(p))
    rejected = np.zeros(len(p), dtype=bool)
    rejected[order[: below[-1] + 1 if len(below) else 0]] = True
    return rejected


def holm(p: Sequence[float]) -> FloatArray:
    """Holm's adjusted p values, for primary contrasts."""
    values = np.asarray(p, dtype=float)
    order = np.argsort(values)
    steps = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def adjusted_fdr(p: Sequence[float]) -> FloatArray:
    """Benjamini and Hochberg's adjusted p values, for everything secondary."""
    values = np.asarray(p, dtype=float)
    order = np.argsort(values)[::-1]
    steps = values[order] * len(values) / np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.minimum.accumulate(steps), 1.0)
    return adjusted
