"""Jackknife: standard errors and intervals by leaving out one unit (outcome, topic) at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from plenary.preferences import FloatArray

MOST = 0.999999


class Jackknifed(NamedTuple):
    """An estimate with its standard error and interval (t with units - 1 degrees of freedom)."""

    value: float
    error: float
    low: float
    high: float


def jackknife(value: float, left_out: FloatArray, level: float) -> Jackknifed:
    """From an estimate and the estimates [S] without each unit."""
    count = len(left_out)
    spread = np.sum((left_out - left_out.mean()) ** 2)
    error = float(np.sqrt((count - 1) / count * spread))
    reach = float(stats.t.ppf((1 + level) / 2, count - 1)) * error
    return Jackknifed(value, error, value - reach, value + reach)


def jackknife_correlation(values: FloatArray, level: float) -> Jackknifed:
    """From a correlation and those without each unit [1 + S]; the error is on Fisher's scale."""
    z = np.arctanh(values.clip(-MOST, MOST))
    found = jackknife(float(z[0]), z[1:], level)
    return found._replace(
        value=float(values[0]), low=float(np.tanh(found.low)), high=float(np.tanh(found.high))
    )


def leave_one_out(groups: Sequence[object]) -> FloatArray:
    """Weights [1 + S, K]: all ones, then each group's members 0 in turn.

    If there is only one group, its members are the units.
    """
    if len(set(groups)) < 2:
        groups = range(len(groups))
    names, member = np.unique([str(group) for group in groups], return_inverse=True)
    return np.concatenate([np.ones((1, len(member))), 1.0 - np.eye(len(names))[:, member]])
