"""Multiple testing: false-discovery rate (Benjamini-Hochberg) and family-wise error (Holm)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from plenary.preferences import BoolArray, FloatArray


def two_sided_p(z: FloatArray) -> FloatArray:
    """Two-sided p values of normal z scores."""
    return 2 * stats.norm.sf(np.abs(z))


def reject_fdr(p: FloatArray, rate: float) -> BoolArray:
    """Hypotheses [K] rejected at false-discovery rate `rate`; one without a p value never is."""
    return adjusted_fdr(p) <= rate


def holm(p: Sequence[float]) -> FloatArray:
    """Holm's adjusted p values, used for primary contrasts."""
    values = np.asarray(p, dtype=float)
    order = np.argsort(values)
    steps = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def adjusted_fdr(p: Sequence[float] | FloatArray) -> FloatArray:
    """Benjamini and Hochberg's adjusted p values [K], used for everything secondary.

    A hypothesis without a p value (NaN) is counted as one that was tested and stays NaN.
    """
    values = np.asarray(p, dtype=float)
    known = ~np.isnan(values)
    adjusted = stats.false_discovery_control(np.where(known, values, 1.0))
    return np.where(known, adjusted, np.nan)
