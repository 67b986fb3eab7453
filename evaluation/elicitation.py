"""Asking a model which of two outcomes it prefers, in both orders, with a gate on answer mass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evaluation.frames import LABELS, frame, question
from plenary.chat.base import ChatBackend, Choice, check_replies
from plenary.errors import BackendError, DataError
from plenary.preferences import BoolArray, Cells, IntArray


class ElicitationSettings(BaseModel):
    """How preferences are read from a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame: str = Field(default="plain", description="id of the prompt frame (frames.FRAMES)")
    samples: int = Field(
        default=10, ge=1, description="answers a prompt if the backend only samples"
    )
    min_mass: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="cells whose answer labels hold less total probability are excluded",
    )
    max_unusable: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of cells excluded or without a valid answer that stops the run",
    )


@dataclass(frozen=True, slots=True)
class Elicitation:
    """What came back, two cells a pair (N = 2P): pair 0 as given, pair 0 swapped, pair 1, ...

    cells [N]: answers as the model gave them. excluded [N]: answer mass below the gate.
    asked, invalid: answers asked for, and those refused, failed or unreadable, over all cells.
    """

    cells: Cells
    excluded: BoolArray
    asked: int
    invalid: int

    @property
    def accepted(self) -> Cells:
        """The cells [N], excluded ones emptied: no valid answer, mass kept for the record."""
        keep = ~self.excluded
        cells = self.cells
        return replace(
            cells,
            wins=np.where(keep, cells.wins, 0.0),
            trials=np.where(keep, cells.trials, 0.0),
            invalid=np.where(keep, cells.invalid, cells.invalid + cells.trials),
        )

    @property
    def invalid_share(self) -> float:
        """Share of the answers asked for that were invalid; lower is better."""
        return self.invalid / self.asked if self.asked else 0.0


def both_orders(pairs: IntArray) -> IntArray:
    """Presentations [2P, 2] (shown first, shown second): every pair as given, then swapped."""
    pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    return np.stack([pairs, pairs[:, ::-1]], axis=1).reshape(-1, 2)


def _cells(shown: IntArray, choices: Sequence[Choice]) -> Cells:
    wins = [choice.shares[0] * choice.valid if choice.shares else 0.0 for choice in choices]
    mass = [np.nan if choice.mass is None else choice.mass for choice in choices]
    return Cells(
        shown[:, 0],
        shown[:, 1],
        np.array(wins, dtype=float),
        np.array([choice.valid if choice.shares else 0 for choice in choices], dtype=float),
        np.array([choice.invalid for choice in choices], dtype=float),
        np.array(mass, dtype=float),
    )


def _check_usable(
    cells: Cells,
    excluded: BoolArray,
    choices: Sequence[Choice],
    name: str,
    settings: ElicitationSettings,
) -> None:
    unusable = excluded | (cells.trials == 0)
    if not len(cells) or unusable.mean() <= settings.max_unusable:
        return
    if 2 * excluded.sum() >= unusable.sum():
        mass = float(np.median(cells.mass[excluded]))
        raise BackendError(
            f"answer mass {mass:.3g} of {name!r} is below {settings.min_mass!r} in "
            f"{excluded.mean():.0%} of questions; use a model that answers A or B, another frame, "
            "or a lower elicitation.min_mass"
        )
    reasons = [choice.failure for choice in choices if choice.failure]
    raise BackendError(
        f"{name!r} gave no valid answer to {unusable.mean():.0%} of questions "
        f"(first reason: {reasons[0] if reasons else 'unreadable'!r}); check the model or raise "
        "elicitation.max_unusable"
    )


async def elicit(
    backend: ChatBackend,
    texts: Sequence[str],
    pairs: IntArray,
    settings: ElicitationSettings,
    *,
    system: str | None = None,
    seed: int = 0,
) -> Elicitation:
    """Ask every pair [P, 2] of `texts` [K] in both orders, as the persona `system` if given.

    Raises BackendError when more than `max_unusable` of the cells are excluded or without a valid
    answer.
    """
    shown = both_orders(pairs)
    if len(shown) and not 0 <= shown.min() <= shown.max() < len(texts):
        raise DataError(
            f"pair names outcome {int(shown.max())!r} of {len(texts)}; "
            "pass the pairs' own catalogue"
        )
    form = frame(settings.frame)
    asked = [question(form, texts[int(a)], texts[int(b)], system=system) for a, b in shown]
    choices = await backend.choose(asked, LABELS, samples=settings.samples, seed=seed)
    check_replies(backend.name, len(asked), len(choices))
    cells = _cells(shown, choices)
    excluded = cells.mass < settings.min_mass
    _check_usable(cells, excluded, choices, backend.name, settings)
    return Elicitation(
        cells, excluded, sum(c.asked for c in choices), sum(c.invalid for c in choices)
    )
