"""Conformity (herding, bandwagon): which citizens move toward the majority at their table."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from assembly.analysis.movement import others_lean
from assembly.record.ballots import AFTER, BEFORE, Votes, citizen_shares
from evaluation.stats.multiple_testing import reject_fdr
from plenary.errors import NotMeasured
from plenary.preferences import BoolArray, FloatArray, IntArray


class Conformity(NamedTuple):
    """Movement toward the majority of the others at the table before the discussion.

    conforms [C], the index: net movement toward it over all movement, from -1 (always away) through
    0 (no direction) to 1 (always toward); NaN for a citizen who never moved. toward [C]: mean
    signed change of the share. excess [C]: by how much that exceeds the change toward the
    majorities of tables that the citizen never met (equal to `toward` where groups are not given),
    error [C] its standard error over pairs. flagged [C]: excess is above 0 at false-discovery rate
    `rate`. panel: index of the whole panel, by weight; strangers: the same index toward tables
    never met, NaN where not compared.
    toward_share, away_share: weighted shares of citizens x pairs that moved toward and away.
    """

    conforms: FloatArray
    toward: FloatArray
    excess: FloatArray
    error: FloatArray
    flagged: BoolArray
    panel: float
    strangers: float
    toward_share: float
    away_share: float


def conformity(
    votes: Votes,
    pairs: int,
    weights: FloatArray,
    table_of: IntArray,
    *,
    groups: IntArray | None = None,
    expected: FloatArray | None = None,
    rate: float = 0.05,
) -> Conformity:
    """Index and flag of every citizen; weights and table_of [C].

    All may drift one way because they are asked again. Conformity is told from drift by `expected`
    [C, P], the change without discussion (in a control condition), or by `groups` [C]
    (`Seating.group_of()`): seats are drawn at random, so citizens whom their own table does not
    move go as far toward majorities of other groups. Without either, drift counts as conformity.

    The majority is that of the OTHERS, whose ballots carry none of the citizen's own noise: a
    citizen who answers at random, or regresses to their own mean, has an expected index of 0.
    """
    before, after = (citizen_shares(votes, phase, len(weights), pairs) for phase in (BEFORE, AFTER))
    change = after - before if expected is None else after - before - expected
    side = np.sign(others_lean(before, weights, table_of))
    there = ~np.isnan(change) & (side != 0)
    if not there.any():
        valid = int((~np.isnan(change)).sum())
        why = (
            "the others at the table were evenly split each time; seat more citizens per table"
            if valid
            else "check the invalid ballots"
        )
        raise NotMeasured(
            f"{valid!r} of {change.size!r} citizens x pairs voted validly twice, and none "
            f"had a majority to move to: {why}"
        )
    signed = np.where(there, change * side, 0.0)
    count = there.sum(axis=1)
    toward = _ratio(signed.sum(axis=1), count)
    apart = (
        np.zeros(side.shape) if groups is None else _strangers(before, weights, table_of, groups)
    )
    beyond = np.where(there, change * (side - apart), 0.0)
    excess = _ratio(beyond.sum(axis=1), count)
    left = np.where(there, beyond - np.nan_to_num(excess)[:, None], 0.0)
    error = np.sqrt(_ratio((left**2).sum(axis=1), np.where(count > 1, count * (count - 1), 0)))
    weight = np.where(there, weights[:, None], 0.0)
    moved = (weight * np.abs(signed)).sum()
    return Conformity(
        conforms=_ratio(signed.sum(axis=1), np.abs(signed).sum(axis=1)),
        toward=toward,
        excess=excess,
        error=error,
        flagged=_flagged(excess, error, count, rate),
        panel=float(_ratio((weight * signed).sum(), moved)),
        strangers=float("nan")
        if groups is None
        else float(_ratio((weight * (signed - beyond)).sum(), moved)),
        toward_share=float((weight * (signed > 0)).sum() / weight.sum()),
        away_share=float((weight * (signed < 0)).sum() / weight.sum()),
    )


def _strangers(
    shares: FloatArray, weights: FloatArray, table_of: IntArray, groups: IntArray
) -> FloatArray:
    """Mean side [C, P], -1 to 1, of the majorities at the tables of other groups."""
    lean = np.zeros((int(table_of.max()) + 1, shares.shape[1]))
    np.add.at(lean, table_of, weights[:, None] * np.nan_to_num(shares - 0.5, nan=0.0))
    tables, first = np.unique(table_of, return_index=True)
    names, group = np.unique(groups[first], return_inverse=True)
    inside = np.equal.outer(np.arange(len(names)), group).astype(np.float64)
    sides = np.sign(lean[tables])
    others = (len(tables) - inside.sum(axis=1))[:, None]
    mean = (sides.sum(axis=0) - inside @ sides) / np.maximum(others, 1.0)
    return mean[np.searchsorted(names, groups)]


def _ratio(top: FloatArray, bottom: FloatArray | IntArray) -> FloatArray:
    top, bottom = np.asarray(top, dtype=np.float64), np.asarray(bottom, dtype=np.float64)
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def _flagged(excess: FloatArray, error: FloatArray, count: IntArray, rate: float) -> BoolArray:
    """One-sided t tests over pairs, with the step-up procedure of Benjamini and Hochberg."""
    tested = np.flatnonzero((count > 1) & (np.abs(np.nan_to_num(excess)) > 1e-9))
    t = excess[tested] / np.maximum(error[tested], 1e-12)
    found = np.zeros(len(excess), dtype=bool)
    found[tested] = reject_fdr(stats.t.sf(t, count[tested] - 1), rate)
    return found
