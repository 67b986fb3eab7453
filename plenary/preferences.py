"""Answers to forced choices as integer-coded columns, and their shares per pair.

Shapes: K outcomes, P pairs, N cells. An outcome is its index 0..K-1 in the catalogue at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plenary.errors import DataError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ComparisonCounts:
    """Answers to forced choices, one row per (pair, presentation order, ...) cell.

    first, second [N]: outcome shown in the first and in the second slot.
    wins [N]: answers (or probability times trials) for the outcome shown first.
    trials [N]: valid answers; 1 for an exact probability.
    invalid [N]: refused or unparseable answers; never part of `trials`.
    mass [N]: total probability of the answer labels before normalising; NaN for mere counts.
    undecided [N]: answers (or probability) for "no preference"; counted neither in `trials` nor in
    `invalid`. If omitted, there are none.
    """

    first: IntArray
    second: IntArray
    wins: FloatArray
    trials: FloatArray
    invalid: FloatArray
    mass: FloatArray
    undecided: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if not len(self.undecided):
            object.__setattr__(self, "undecided", np.zeros(len(self.first)))
        lengths = {f.name: len(getattr(self, f.name)) for f in fields(self)}
        if len(set(lengths.values())) > 1:
            raise DataError(f"columns of different length {lengths!r}; give one value per cell")
        if np.any(self.wins < -1e-9) or np.any(self.wins > self.trials + 1e-9):
            raise DataError("wins outside 0..trials; check the columns of the table")
        if np.any(self.undecided < 0):
            raise DataError("answers for no preference below 0; check the columns of the table")

    def __len__(self) -> int:
        return len(self.first)

    def select(self, mask: BoolArray | IntArray) -> ComparisonCounts:
        """The cells picked by a mask [N] or by positions."""
        return ComparisonCounts(*(getattr(self, f.name)[mask] for f in fields(self)))

    @property
    def answered(self) -> BoolArray:
        """Cells [N] with a valid answer, "no preference" included."""
        return self.trials + self.undecided > 0

    @property
    def undecided_share(self) -> float:
        """Share of all valid answers that chose neither outcome; 0 when there are none."""
        total = float(self.trials.sum() + self.undecided.sum())
        return float(self.undecided.sum()) / total if total else 0.0

    def emptied(self, mask: BoolArray) -> ComparisonCounts:
        """All cells, with the valid answers of a mask [N] removed; their mass stays on record."""
        keep = ~mask
        return replace(
            self,
            wins=np.where(keep, self.wins, 0.0),
            trials=np.where(keep, self.trials, 0.0),
            invalid=np.where(keep, self.invalid, self.invalid + self.trials + self.undecided),
            undecided=np.where(keep, self.undecided, 0.0),
        )

    @classmethod
    def join(cls, parts: Sequence[ComparisonCounts]) -> ComparisonCounts:
        """All cells of several tables, in order."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


class PairShares(NamedTuple):
    """Order-balanced answers, one row per pair; "no preference" gives one half to each outcome.

    p [P]: probability that pairs[:, 0] is preferred, mean over the two orders; NaN where an order
        has no valid answer.
    order_gap [P]: mean over orders of P(first shown) minus 0.5; positive favours the first slot.
    trials [P]: valid answers over both orders, "no preference" included.
    """

    p: FloatArray
    order_gap: FloatArray
    trials: FloatArray


def pair_shares(cells: ComparisonCounts, pairs: IntArray) -> PairShares:
    """Average each pair [P, 2] over its two presentation orders, each order weighing one half."""
    if not len(pairs):
        return PairShares(np.zeros(0), np.zeros(0), np.zeros(0))
    size = (
        int(max(pairs.max(initial=0), cells.first.max(initial=0), cells.second.max(initial=0))) + 1
    )
    wins, trials = np.zeros((2, len(pairs))), np.zeros((2, len(pairs)))
    keys = pairs[:, 0] * size + pairs[:, 1]
    order = np.argsort(keys)
    for slot, (a, b) in enumerate(((cells.first, cells.second), (cells.second, cells.first))):
        cell_keys = a * size + b
        hit = np.isin(cell_keys, keys)
        at = np.searchsorted(keys[order], cell_keys)
        np.add.at(wins[slot], order[at[hit]], cells.wins[hit] + cells.undecided[hit] / 2)
        np.add.at(trials[slot], order[at[hit]], cells.trials[hit] + cells.undecided[hit])
    with np.errstate(invalid="ignore", divide="ignore"):
        shown_first = wins / trials
    forward, backward = shown_first[0], 1.0 - shown_first[1]
    return PairShares((forward + backward) / 2, (forward - backward) / 2, trials.sum(axis=0))


@dataclass(frozen=True, slots=True)
class Targets:
    """What a model is to be moved toward: one row per pair.

    pairs [P, 2] outcome indices; p [P] target probability that pairs[:, 0] is preferred;
    weight [P] effective number of votes behind p.
    """

    pairs: IntArray
    p: FloatArray
    weight: FloatArray
