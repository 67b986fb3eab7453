"""Pooling control experiments over several panels: means over panels with Student intervals.

The interval of one control experiment includes the choice of outcomes and of training seeds, but
not of the panel. A panel drawn from another root seed is a replicate of the whole chain (citizens,
outcomes held out, deliberation, training), so Student's interval over the panels' means includes
all of these at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from alignment.experiments.control_table import ControlRow, ControlTable
from alignment.experiments.estimates import ScoreEstimate
from evaluation.stats.intervals import mean_interval
from plenary.errors import DataError
from plenary.preferences import FloatArray

LEVEL = 0.95


class PooledArm(BaseModel):
    """One arm over N panels: means of the panels' own figures, 95 % Student intervals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arm: str = Field(description="name of the arm or dose")
    panels: int = Field(description="panels it was run with")
    gain: ScoreEstimate = Field(description="agreement after minus before")
    gains: tuple[float, ...] = Field(description="the same, panel by panel")
    behind: ScoreEstimate | None = Field(
        description="the assembly arm's gain minus this one's; None for that arm itself"
    )
    kl_behind: ScoreEstimate | None = Field(
        description="the assembly arm's fall of KL minus this one's, nats; None for that arm itself"
    )
    overlap_behind: ScoreEstimate | None = Field(
        description="the assembly arm's overlap minus this one's; None for that arm itself"
    )
    behind_where_apart: ScoreEstimate | None = Field(
        description="gain behind the assembly, on held-out pairs where the arm's own target has "
        "the opposite majority; None if a panel has too few of them"
    )
    of_ceiling: ScoreEstimate = Field(description="agreement over the panel's reliability ceiling")
    kl_neutral: ScoreEstimate = Field(
        description="KL(base || model) on neutral text, nats per position"
    )
    gain_untrained: ScoreEstimate | None = Field(
        description="gain in wordings that were not trained on; None if they were not asked"
    )


def pooled(tables: Sequence[ControlTable]) -> tuple[PooledArm, ...]:
    """The arms that all experiments share, pooled over panels; DataError for fewer than two."""
    if len(tables) < 2:
        raise DataError(
            f"{len(tables)!r} control experiment is one panel; give runs of at least two panels "
            "(plenary control --set seed=1 --name another)"
        )
    common = [
        row.arm
        for row in tables[0].rows
        if all(row.arm in {other.arm for other in table.rows} for table in tables)
    ]
    if not common:
        raise DataError(
            f"no arm is in all {len(tables)!r} control experiments; run them with the same --arms"
        )
    return tuple(_pooled(arm, [table.row(arm) for table in tables]) for arm in common)


def _pooled(arm: str, rows: Sequence[ControlRow]) -> PooledArm:
    def over(figure: Callable[[ControlRow], float | None]) -> ScoreEstimate | None:
        values = [figure(row) for row in rows]
        known = [value for value in values if value is not None]
        return _mean(np.array(known)) if len(known) == len(rows) else None

    gains = tuple(row.gain.value for row in rows)
    return PooledArm(
        arm=arm,
        panels=len(rows),
        gain=_mean(np.array(gains)),
        gains=gains,
        behind=over(lambda row: row.behind and row.behind.value),
        kl_behind=over(lambda row: row.kl_behind and row.kl_behind.value),
        overlap_behind=over(lambda row: row.overlap_behind and row.overlap_behind.value),
        behind_where_apart=over(_where_apart),
        of_ceiling=_mean(np.array([row.of_ceiling for row in rows])),
        kl_neutral=_mean(np.array([row.kl_neutral for row in rows])),
        gain_untrained=over(lambda row: row.wordings and row.wordings.share * row.gain.value),
    )


def _where_apart(row: ControlRow) -> float | None:
    return row.contrast.lead.value if row.contrast is not None and row.contrast.lead else None


def _mean(values: FloatArray) -> ScoreEstimate:
    low, high = mean_interval(values, LEVEL)
    return ScoreEstimate(value=float(values.mean()), low=low, high=high)
