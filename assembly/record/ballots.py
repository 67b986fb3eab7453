"""Ballots: votes as coded columns; which answers count, abstain or are invalid.

Shapes: P pairs, C citizens, N votes. A vote that is refused, invalid, failed or an abstention stays
so and is never imputed; every aggregate counts such votes next to the valid ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plenary.errors import DataError
from plenary.models.base import Choice
from plenary.models.reply_text import CUT
from plenary.preferences import BoolArray, FloatArray, IntArray

BEFORE, AFTER, FOLLOW_UP = 0, 1, 2
STATES = ("valid", "refused", "invalid", "failed", "abstained")
VALID, REFUSED, INVALID, FAILED, ABSTAINED = range(5)


class MarkedBallot(NamedTuple):
    """Probability of the outcome shown first (NaN unless valid), state code, label mass."""

    share: float
    state: int
    mass: float


def mark(choice: Choice, min_mass: float) -> MarkedBallot:
    """Read a ballot; label mass below `min_mass`, where known, makes it invalid.

    With a third label ("No opinion") it is an abstention if that label is likelier than either
    outcome; otherwise the share is that of the first outcome among the two. A share that is not a
    probability is invalid.
    """
    nan = float("nan")
    mass = nan if choice.mass is None else choice.mass
    if not choice.shares or choice.valid < 1:
        return MarkedBallot(nan, _failure(choice.failure), mass)
    first, second, *third = choice.shares
    if mass < min_mass or not (first >= 0 and second >= 0 and 0 < first + second + sum(third) < 2):
        return MarkedBallot(nan, INVALID, mass)
    if third and third[0] > max(first, second):
        return MarkedBallot(nan, ABSTAINED, mass)
    return MarkedBallot(first / (first + second) if third else first, VALID, mass)


def _failure(reason: str | None) -> int:
    """An unreadable or unfinished answer is invalid; any other but a refusal is a failed call."""
    word = (reason or "invalid").split(":")[0].strip().casefold()
    if word.startswith("refus"):
        return REFUSED
    return INVALID if word.startswith(("invalid", "unread", "unpars", "malformed", CUT)) else FAILED


class VoteRow(NamedTuple):
    """One vote as the ledger stores it; columns as in Votes."""

    pair: int
    citizen: int
    phase: int
    order: int
    share_first: float
    state: int
    mass: float


@dataclass(frozen=True, slots=True)
class Votes:
    """One row per (pair, citizen, phase, order).

    pair, citizen [N]: positions in the assembly's pairs [P, 2] and panel [C].
    phase [N]: 0 before discussion, 1 after, 2 follow-up. order [N]: 0 as in `pairs`, 1 swapped.
    share_first [N]: probability of the outcome shown first; NaN unless the state is valid.
    state [N]: code into STATES. mass [N]: label probability, NaN where the model gives none.
    """

    pair: IntArray
    citizen: IntArray
    phase: IntArray
    order: IntArray
    share_first: FloatArray
    state: IntArray
    mass: FloatArray

    def __len__(self) -> int:
        return len(self.pair)

    @classmethod
    def of(cls, rows: Iterable[VoteRow]) -> Votes:
        """Columns from rows (None stands for NaN)."""
        columns = list(zip(*rows, strict=True)) or [()] * len(fields(cls))
        *codes, share, state, mass = (np.array(column, dtype=np.float64) for column in columns)
        pair, citizen, phase, order = (column.astype(np.int64) for column in codes)
        return cls(pair, citizen, phase, order, share, state.astype(np.int64), mass)

    @classmethod
    def cast(
        cls,
        ballots: Sequence[tuple[int, int, int]],
        phase: int,
        choices: Sequence[Choice],
        min_mass: float,
    ) -> Votes:
        """The ballots [N] of citizen, pair and order in one phase, as the model answered them."""
        return cls.of(
            VoteRow(pair, citizen, phase, order, *mark(choice, min_mass))
            for (citizen, pair, order), choice in zip(ballots, choices, strict=True)
        )

    def rows(self) -> Iterator[tuple[float, ...]]:
        """One row per vote, its columns in the order of the fields."""
        return zip(*(getattr(self, f.name).tolist() for f in fields(self)), strict=True)

    def select(self, kept: BoolArray) -> Votes:
        """The votes of a mask [N]."""
        return Votes(*(getattr(self, f.name)[kept] for f in fields(self)))

    def on_pairs(self, mask: BoolArray) -> Votes:
        """The votes on the pairs of a mask [P], whose positions count among these pairs."""
        found = self.select(mask[self.pair])
        return replace(found, pair=(np.cumsum(mask) - 1)[found.pair])

    def counted(self, phase: int) -> dict[str, int]:
        """Number of votes of a phase in each of STATES."""
        counts = np.bincount(self.state[self.phase == phase], minlength=len(STATES))
        return dict(zip(STATES, counts.tolist(), strict=True))

    def write(self, path: Path) -> None:
        """Write as Parquet, one column per field."""
        pq.write_table(pa.table({f.name: getattr(self, f.name) for f in fields(self)}), path)

    @classmethod
    def read(cls, path: Path) -> Votes:
        """Read what `write` wrote; DataError when a column is missing."""
        try:
            table = pq.read_table(path)
            return cls(*(table[f.name].to_numpy() for f in fields(cls)))
        except (OSError, KeyError, pa.ArrowInvalid) as error:
            raise DataError(
                f"cannot read votes from {str(path)!r}: {error}; export them again"
            ) from error


class BallotGrid(NamedTuple):
    """A phase arranged by order: share [2, C, P] of the pair's FIRST outcome, state [2, C, P]."""

    share: FloatArray
    state: IntArray


def grid(votes: Votes, phase: int, citizens: int, pairs: int) -> BallotGrid:
    """Arrange one phase; DataError if a ballot is missing (the assembly has not finished)."""
    at = votes.phase == phase
    cells = (votes.order[at], votes.citizen[at], votes.pair[at])
    state = np.full((2, citizens, pairs), -1)
    share = np.full((2, citizens, pairs), np.nan)
    state[cells] = votes.state[at]
    share[cells] = np.where(cells[0] == 0, votes.share_first[at], 1.0 - votes.share_first[at])
    missing = int((state < 0).sum())
    if missing:
        raise DataError(
            f"{missing!r} of {state.size} ballots are missing; resume the assembly first"
        )
    return BallotGrid(share, state)


def citizen_shares(votes: Votes, phase: int, citizens: int, pairs: int) -> FloatArray:
    """Probability [C, P] that a citizen prefers the pair's first outcome, mean of both orders.

    NaN unless both orders are valid: with one order alone, position bias would decide.
    """
    return grid(votes, phase, citizens, pairs).share.mean(axis=0)
