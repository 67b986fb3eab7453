"""Preferences as integer-coded columns: what was asked, how it was shown, what came back.

Shapes: K outcomes, P pairs, N cells. An outcome is its index 0..K-1 in the catalogue at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plenary.errors import DataError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cells:
    """Answers to forced choices, one row a (pair, presentation order, ...) cell.

    first, second [N]: outcome shown in the first and in the second slot.
    wins [N]: answers (or probability times trials) for the outcome shown first.
    trials [N]: valid answers; 1 for an exact probability.
    invalid [N]: refused or unparseable answers; never part of `trials`.
    mass [N]: total probability of the answer labels before normalising; NaN for mere counts.
    """

    first: IntArray
    second: IntArray
    wins: FloatArray
    trials: FloatArray
    invalid: FloatArray
    mass: FloatArray

    def __post_init__(self) -> None:
        lengths = {f.name: len(getattr(self, f.name)) for f in fields(self)}
        if len(set(lengths.values())) > 1:
            raise DataError(f"columns of different length {lengths!r}; give one value a cell")
        if np.any(self.wins < -1e-9) or np.any(self.wins > self.trials + 1e-9):
            raise DataError("wins outside 0..trials; check the columns of the table")

    def __len__(self) -> int:
        return len(self.first)

    def select(self, mask: BoolArray | IntArray) -> Cells:
        """The cells picked by a mask [N] or by positions."""
        return Cells(*(getattr(self, f.name)[mask] for f in fields(self)))

    def write(self, path: Path) -> None:
        """Write as Parquet, one column a field."""
        pq.write_table(pa.table({f.name: getattr(self, f.name) for f in fields(self)}), path)

    @classmethod
    def read(cls, path: Path) -> Cells:
        """Read what `write` wrote; DataError when a column is missing."""
        try:
            table = pq.read_table(path)
            return cls(*(table[f.name].to_numpy() for f in fields(cls)))
        except (OSError, KeyError, pa.ArrowInvalid) as error:
            raise DataError(
                f"cannot read cells from {str(path)!r}: {error}; export them again"
            ) from error

    @classmethod
    def join(cls, parts: Sequence[Cells]) -> Cells:
        """All cells of several tables, in order."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


class PairShares(NamedTuple):
    """Order-balanced answers a pair.

    p [P]: probability that pairs[:, 0] is preferred, mean over the two orders; NaN where an order
        has no valid answer.
    order_gap [P]: mean over orders of P(first shown) minus 0.5; positive favours the first slot.
    trials [P]: valid answers over both orders.
    """

    p: FloatArray
    order_gap: FloatArray
    trials: FloatArray


def pair_shares(cells: Cells, pairs: IntArray) -> PairShares:
    """Average each pair [P, 2] over its two presentation orders, each order weighing one half."""
    size = (
        int(max(pairs.max(initial=0), cells.first.max(initial=0), cells.second.max(initial=0))) + 1
    )
    wins, trials = np.zeros((2, len(pairs))), np.zeros((2, len(pairs)))
    keys = pairs[:, 0] * size + pairs[:, 1]
    order = np.argsort(keys)
    for slot, (a, b) in enumerate(((cells.first, cells.second), (cells.second, cells.first))):
        cell_keys = a * size + b
        at = np.searchsorted(keys[order], cell_keys).clip(max=len(keys) - 1)
        hit = keys[order][at] == cell_keys
        np.add.at(wins[slot], order[at[hit]], cells.wins[hit])
        np.add.at(trials[slot], order[at[hit]], cells.trials[hit])
    with np.errstate(invalid="ignore", divide="ignore"):
        shown_first = wins / trials
    forward, backward = shown_first[0], 1.0 - shown_first[1]
    return PairShares((forward + backward) / 2, (forward - backward) / 2, trials.sum(axis=0))


@dataclass(frozen=True, slots=True)
class Targets:
    """What a model is to be moved toward: one row a pair.

    pairs [P, 2] outcome indices; p [P] target probability that pairs[:, 0] is preferred;
    weight [P] effective number of votes behind p.
    """

    pairs: IntArray
    p: FloatArray
    weight: FloatArray
