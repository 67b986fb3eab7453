"""The effect of deliberation: votes after discussion minus votes after the control condition.

Both conditions ask the same citizens about the same pairs, so the difference is taken within each
citizen; the effect of being asked again, or of thinking, is in both conditions and cancels out.
Shapes: C citizens, P pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from assembly.aggregation.consensus import linearised
from assembly.aggregation.electorate import weighted_mean
from assembly.record.ballots import AFTER, BEFORE, Votes, citizen_shares
from assembly.record.settings import ConditionName
from plenary.errors import ConfigError, NotMeasured
from plenary.preferences import FloatArray, IntArray


class MajorityChange(NamedTuple):
    """A value with the ends of its interval; NaN without ballots, infinite with one cluster."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of discussion on the weighted share of each pair's first outcome.

    shift, low, high [P]: change of the share, -1 to 1, and its interval at `level`; NaN where no
    citizen has valid ballots in both conditions. compared [P]: number of citizens who have.
    toward_majority: mean change toward what the panel preferred before anybody spoke, over pairs;
    positive means that discussion widens majorities. size: root mean square of the shift over
    pairs, less its sampling variance; 0 when the shifts are no larger than expected by chance.
    """

    level: float
    shift: FloatArray
    low: FloatArray
    high: FloatArray
    compared: IntArray
    toward_majority: MajorityChange
    size: float


def deliberation_effect(
    votes_by_condition: Mapping[ConditionName, Votes],
    pairs: IntArray,
    weights: FloatArray,
    tables: IntArray,
    *,
    level: float = 0.95,
    control: ConditionName = "reflection",
) -> Effect:
    """Effect of `deliberation` against `control`, by weighted mean over citizens.

    pairs [P, 2]; weights [C]: design weights; tables [C]: clusters within which votes are dependent
    (`Seating.group_of()`); the variance is that between clusters, linearised (Taylor), with
    Student's t on clusters - 1 degrees of freedom. The earlier majority is that of the deliberation
    condition. ConfigError without one of the conditions, DataError for missing ballots.
    """
    missing = {"deliberation", control} - set(votes_by_condition)
    if missing:
        raise ConfigError(
            f"no votes of condition {min(missing)!r}; hold that condition with the same panel"
        )
    shape = (len(weights), len(pairs))
    heard = citizen_shares(votes_by_condition["deliberation"], AFTER, *shape)
    alone = citizen_shares(votes_by_condition[control], AFTER, *shape)
    change = heard - alone
    there = ~np.isnan(change)
    if not there.any():
        raise NotMeasured(
            f"none of {change.size!r} citizens x pairs is valid in both conditions; ask again"
        )
    shift = weighted_mean(change, weights)
    spread = linearised(change, weights, shift, tables)
    half = _half(spread.variance, spread.clusters, level)
    before = weighted_mean(
        citizen_shares(votes_by_condition["deliberation"], BEFORE, *shape), weights
    )
    excess = np.nanmean(shift**2 - spread.variance) if np.isfinite(spread.variance).any() else 0.0
    return Effect(
        level,
        shift,
        shift - half,
        shift + half,
        there.sum(axis=0),
        pooled(change * np.sign(np.nan_to_num(before, nan=0.5) - 0.5), weights, tables, level),
        float(np.sqrt(max(excess, 0.0))),
    )


def pooled(
    change: FloatArray, weights: FloatArray, tables: IntArray, level: float
) -> MajorityChange:
    """Mean over all citizens x pairs; a citizen's pairs are dependent, like a table's."""
    pairs = change.shape[1]
    stacked = change.reshape(-1, 1)
    weight, table = np.repeat(weights, pairs), np.repeat(tables, pairs)
    mean = weighted_mean(stacked, weight)
    spread = linearised(stacked, weight, mean, table)
    half = _half(spread.variance, spread.clusters, level)
    return MajorityChange(float(mean[0]), float((mean - half)[0]), float((mean + half)[0]))


def _half(variance: FloatArray, clusters: FloatArray, level: float) -> FloatArray:
    """Half the interval's width; one cluster says nothing about the spread between clusters."""
    enough = clusters > 1
    t = stats.t.ppf(0.5 + level / 2, np.where(enough, clusters - 1, 1.0))
    return np.where(enough, t * np.sqrt(np.where(enough, variance, 0.0)), np.inf)
