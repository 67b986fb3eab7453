"""Who moved between the ballots before and after the discussion, and which way."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from assembly.ballots import AFTER, BEFORE, Votes, citizen_shares
from assembly.rules import hard
from plenary.errors import DataError
from plenary.preferences import FloatArray, IntArray


class Movement(NamedTuple):
    """Movement over citizens x pairs with valid ballots in both phases, by design weight.

    changed: share whose choice changed sides (from or to a tie included).
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


def movement(votes: Votes, pairs: int, weights: FloatArray, table_of: IntArray) -> Movement:
    """Compare both phases of an assembly; `weights` and `table_of` are [C] (Seating.table_of)."""
    before, after = (citizen_shares(votes, phase, len(weights), pairs) for phase in (BEFORE, AFTER))
    change = after - before
    there = ~np.isnan(change)
    if not there.any():
        raise DataError(
            f"{change.size!r} citizens x pairs, none valid twice; look at the invalid ballots"
        )
    moved = np.where(there, change, 0.0)
    weight = np.where(there, weights[:, None], 0.0)
    turned = there & (hard(before) != hard(after))
    sides = np.sign(_others(before, weights, table_of))
    each = np.divide(
        np.abs(moved).sum(axis=1),
        there.sum(axis=1),
        out=np.full(len(weights), np.nan),
        where=there.any(axis=1),
    )
    return Movement(
        changed=float((weight * turned).sum() / weight.sum()),
        shift=float((weight * np.abs(moved)).sum() / weight.sum()),
        toward=float(
            (weight * moved * sides).sum() / max(float((weight * (sides != 0)).sum()), 1e-12)
        ),
        by_citizen=each,
        compared=int(there.sum()),
    )


def _others(shares: FloatArray, weights: FloatArray, table_of: IntArray) -> FloatArray:
    """Weighted lean [C, P] of the others at a citizen's table, positive for the first outcome."""
    lean = weights[:, None] * np.nan_to_num(shares - 0.5, nan=0.0)
    total = np.zeros((int(table_of.max()) + 1, shares.shape[1]))
    np.add.at(total, table_of, lean)
    return total[table_of] - lean
