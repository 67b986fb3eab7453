"""Opinion change between the ballots before and after discussion, and its polarisation.

Shapes: C citizens, P pairs, G strata.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import entr

from assembly.aggregation.electorate import hard, weighted_mean
from assembly.aggregation.strata import Strata, Stratum
from assembly.record.ballots import AFTER, BEFORE, Votes, citizen_shares
from evaluation.stats.intervals import Interval, bootstrap_interval, node_weights
from plenary.errors import NotMeasured
from plenary.preferences import FloatArray, IntArray


class Movement(NamedTuple):
    """Movement over citizens x pairs with valid ballots in both phases, by design weight.

    changed: share whose choice changed sides (including from or to a tie).
    shift: mean absolute change of the probability, 0 to 1.
    toward: mean signed change toward the majority of the OTHERS at the table before the discussion;
    positive means conforming, negative moving away. A table split evenly counts for neither.
    by_citizen [C]: mean absolute change of each citizen, NaN without a ballot in both phases.
    compared: number of citizens x pairs compared.
    """

    changed: float
    shift: float
    toward: float
    by_citizen: FloatArray
    compared: int


class _Moved(NamedTuple):
    """Cells [C, P]: signed change, 1 where the choice changed sides, side of the others."""

    change: FloatArray
    turned: FloatArray
    side: FloatArray


def movement(votes: Votes, pairs: int, weights: FloatArray, table_of: IntArray) -> Movement:
    """Compare both phases of an assembly; `weights` and `table_of` are [C] (Seating.table_of)."""
    moved = _moved(votes, pairs, weights, table_of)
    if np.isnan(moved.change).all():
        raise NotMeasured(
            f"none of {moved.change.size!r} citizens x pairs is valid twice; check invalid ones"
        )
    return _summary(moved, weights)


def _moved(votes: Votes, pairs: int, weights: FloatArray, table_of: IntArray) -> _Moved:
    before, after = (citizen_shares(votes, phase, len(weights), pairs) for phase in (BEFORE, AFTER))
    turned = (hard(before) != hard(after)).astype(np.float64)
    return _Moved(after - before, turned, np.sign(others_lean(before, weights, table_of)))


def _summary(moved: _Moved, weights: FloatArray) -> Movement:
    there = ~np.isnan(moved.change)
    change = np.where(there, moved.change, 0.0)
    sides, turned = np.where(there, moved.side, 0.0), np.where(there, moved.turned, 0.0)
    weight = np.where(there, weights[:, None], 0.0)
    each = np.divide(
        np.abs(change).sum(axis=1),
        there.sum(axis=1),
        out=np.full(len(weights), np.nan),
        where=there.any(axis=1),
    )
    return Movement(
        changed=float((weight * turned).sum() / weight.sum()),
        shift=float((weight * np.abs(change)).sum() / weight.sum()),
        toward=float(
            (weight * change * sides).sum() / max(float((weight * (sides != 0)).sum()), 1e-12)
        ),
        by_citizen=each,
        compared=int(there.sum()),
    )


def others_lean(shares: FloatArray, weights: FloatArray, table_of: IntArray) -> FloatArray:
    """Weighted lean [C, P] of the others at a citizen's table, positive for the first outcome."""
    lean = weights[:, None] * np.nan_to_num(shares - 0.5, nan=0.0)
    total = np.zeros((int(table_of.max()) + 1, shares.shape[1]))
    np.add.at(total, table_of, lean)
    return total[table_of] - lean


def by_stratum(
    votes: Votes, pairs: int, weights: FloatArray, table_of: IntArray, strata: Strata
) -> dict[Stratum, Movement | None]:
    """Movement of each stratum's members, compared with everybody at their tables.

    None for a stratum in which nobody voted validly twice.
    """
    found: dict[Stratum, Movement | None] = {}
    moved = _moved(votes, pairs, weights, table_of)
    for name, members in zip(strata.names, strata.members, strict=True):
        kept = _Moved(*(np.where(members[:, None], part, np.nan) for part in moved))
        found[name] = None if np.isnan(kept.change).all() else _summary(kept, weights)
    return found


class MovementIntervals(NamedTuple):
    """Intervals of a stratum's `changed`, `shift` and `toward`, with groups resampled."""

    changed: Interval
    shift: Interval
    toward: Interval


def stratum_intervals(
    votes: Votes,
    pairs: int,
    weights: FloatArray,
    table_of: IntArray,
    group_of: IntArray,
    strata: Strata,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    draws: int = 1000,
) -> dict[Stratum, MovementIntervals | None]:
    """Intervals of `by_stratum`, for other groups of citizens on the same pairs.

    group_of [C]: citizens of a group hear one another, so whole groups are resampled. None for a
    stratum with members in fewer than two groups.
    """
    moved = _moved(votes, pairs, weights, table_of)
    groups = int(group_of.max()) + 1
    counts = rng.multinomial(groups, np.full(groups, 1 / groups), size=draws)
    found: dict[Stratum, MovementIntervals | None] = {}
    for name, members in zip(strata.names, strata.members, strict=True):
        there = members[:, None] & ~np.isnan(moved.change)
        weight = np.where(there, weights[:, None], 0.0)
        change, turned, side = (np.where(there, part, 0.0) for part in moved)
        sums = {
            "changed": (weight * turned, weight),
            "shift": (weight * np.abs(change), weight),
            "toward": (weight * change * side, weight * (side != 0)),
        }
        present = np.bincount(group_of, weight.sum(axis=1), groups) > 0
        found[name] = None
        if present.sum() > 1:
            found[name] = MovementIntervals(
                **{part: _ratio_interval(above, below, group_of, counts, level)
                   for part, (above, below) in sums.items()}
            )  # fmt: skip
    return found


def _ratio_interval(
    numerator: FloatArray,
    denominator: FloatArray,
    group_of: IntArray,
    counts: IntArray,
    level: float,
) -> Interval:
    """Percentile interval of a ratio of sums over cells [C, P] when groups are drawn `counts`.

    NaN where nothing is to be divided by, as at tables that all are split evenly.
    """
    above, below = (
        counts @ np.bincount(group_of, cells.sum(axis=1), counts.shape[1])
        for cells in (numerator, denominator)
    )
    ratios = above[below > 0] / below[below > 0]
    if not len(ratios):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


class MeanChange(NamedTuple):
    """A mean over pairs before and after, and the interval of its change."""

    before: float
    after: float
    low: float
    high: float


class OpinionSpread(NamedTuple):
    """How far opinions are apart; lower after the discussion means a loss of diversity.

    panel_entropy: of the weighted share, bits, 1 is an even split. own_entropy: weighted mean of
    each citizen's own entropy, low is certain. variance: weighted variance of the citizens' shares,
    0 when all agree, at most 1/4.
    """

    panel_entropy: MeanChange
    own_entropy: MeanChange
    variance: MeanChange


def opinion_spread(
    votes: Votes,
    pairs: IntArray,
    weights: FloatArray,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    draws: int = 1000,
) -> OpinionSpread:
    """Entropy and variance before and after on pairs [P, 2]; intervals resample outcomes."""
    phases = [citizen_shares(votes, f, len(weights), len(pairs)) for f in (BEFORE, AFTER)]
    twice = ~np.isnan(np.stack(phases)).any(axis=0)
    kept = twice.any(axis=0)
    if not kept.any():
        raise NotMeasured(
            f"none of {len(pairs)!r} pairs has valid votes in both phases; check invalid ballots"
        )
    measured = [_spread(np.where(twice, s, np.nan)[:, kept], weights) for s in phases]
    resampled = node_weights(pairs[kept], draws, rng)
    return OpinionSpread(
        *(
            MeanChange(
                float(before.mean()),
                float(after.mean()),
                *bootstrap_interval(after - before, resampled, level),
            )
            for before, after in zip(*measured, strict=True)
        )
    )


def _spread(shares: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    p = weighted_mean(shares, weights)
    own = weighted_mean(_bits(shares), weights)
    return _bits(p), own, weighted_mean((shares - p) ** 2, weights)


def _bits(p: FloatArray) -> FloatArray:
    p = np.clip(p, 0.0, 1.0)  # a weighted mean of ones may be 1 + 2e-16, whose entropy is -inf
    return (entr(p) + entr(1 - p)) / np.log(2)
