"""The plan of a run: its outcomes, their train/held-out split, and the pairs asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plenary.embedded.reading import unread_words
from plenary.errors import DataError
from plenary.outcomes import Catalogue, Outcome
from plenary.preferences import IntArray

Pair = tuple[int, int]


class Plan(BaseModel):
    """Outcomes and pairs of a run. Indices are positions in `outcomes`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcomes: tuple[Outcome, ...] = Field(description="the outcomes asked about")
    held_out: tuple[int, ...] = Field(description="outcomes never trained on, sorted")
    train_pairs: tuple[Pair, ...] = Field(description="pairs among training outcomes")
    held_out_pairs: tuple[Pair, ...] = Field(description="pairs among held-out outcomes")
    unread: dict[str, tuple[str, ...]] = Field(
        default={}, description="outcome id -> words that a model of the run cannot read"
    )

    @property
    def texts(self) -> tuple[str, ...]:
        """The sentences [K]."""
        return tuple(outcome.text for outcome in self.outcomes)

    @property
    def train(self) -> tuple[int, ...]:
        """Outcomes that may be trained on, sorted."""
        held = set(self.held_out)
        return tuple(k for k in range(len(self.outcomes)) if k not in held)

    @property
    def pairs(self) -> IntArray:
        """All pairs [P, 2], training pairs first."""
        return np.array([*self.train_pairs, *self.held_out_pairs], dtype=np.int64)

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read the plan of a run; DataError when it is missing or malformed."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise DataError(f"cannot read plan {str(path)!r}: {error}; run again") from error


def unread_outcomes(catalogue: Catalogue, most: float = 0.5) -> dict[str, tuple[str, ...]]:
    """Outcome id -> words that the shipped model cannot read.

    DataError if more than a share `most` of the outcomes has one.
    """
    found = {o.id: words for o in catalogue if (words := unread_words(o.text))}
    if len(found) > most * len(catalogue):
        named = "; ".join(f"{name!r}: {', '.join(map(repr, found[name]))}" for name in [*found][:5])
        raise DataError(
            f"the shipped model cannot read a word in {len(found)} of {len(catalogue)} outcomes "
            f"({named}{'; ...' if len(found) > 5 else ''}), so its votes on them mean nothing; use "
            "plain English words, another citizens_model and model, or raise outcomes.max_unread"
        )
    return found
