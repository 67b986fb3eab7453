"""Who moved others and who went with the table, and what that is measured against."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from assembly.ballots import AFTER, BEFORE, VALID, Votes, citizen_shares
from assembly.conformity import Conformity, conformity
from assembly.sway import Sway, movement_in_log_odds, sway
from plenary.app.diagnostics_record import (
    CONFORMITY,
    SWAY,
    ConformityRecord,
    SpeakerRecord,
    SwayRecord,
)
from plenary.app.workspace import Workspace
from plenary.errors import measured
from plenary.preferences import FloatArray

SHOWN = 10
TABLES = (
    "what tables that the citizen never met did on the same pairs; no arm was held beside "
    "(plenary arms does)"
)
ALONE = "the same citizens thinking alone on the same pairs (arm reflection)"


class Influence(NamedTuple):
    """What could be told. merit [N]: movement after each statement, to rank arguments.

    not_measured: why sway or conformity (SWAY, CONFORMITY) is None.
    """

    sway: SwayRecord | None
    conformity: ConformityRecord | None
    merit: FloatArray | None
    not_measured: dict[str, str]


def known(value: float) -> float | None:
    """The value, None where it is NaN."""
    return None if np.isnan(value) else float(value)


def heard(space: Workspace) -> bool:
    """Whether anybody said what others could hear."""
    return any(s.side is not None and s.state == VALID for s in space.transcript)


def influence(space: Workspace, alone: Votes | None = None) -> Influence:
    """Sway and conformity of the run's discussion, beyond what happens without one.

    alone: votes of the same citizens on the same pairs in a control arm. Without them the control
    is inside the run: what others did on the same pair at tables that a citizen never met.
    """
    settings, pairs = space.config.assembly, len(space.plan.pairs)
    if settings.arm != "deliberation" or not heard(space):
        why = "no statement could be used; look at the failed ones"
        if settings.arm != "deliberation":
            why = f"nobody hears others in arm {settings.arm!r}"
        return Influence(None, None, None, {SWAY: why, CONFORMITY: why})
    rounds = range(max(settings.rounds, 1))
    tables = np.stack([space.seating.table_of(turn) for turn in rounds])
    citizens = len(space.panel)
    reasons: dict[str, str] = {}
    without = None if alone is None else movement_in_log_odds(alone, pairs, citizens)
    moved = measured(
        lambda: sway(space.votes, pairs, tables, space.transcript, expected=without),
        SWAY,
        reasons,
    )
    if moved is not None and not moved.ranked:
        reasons[SWAY] = "no table heard a side that others did not"
    conforms = measured(
        lambda: conformity(
            space.votes,
            pairs,
            space.panel.weight,
            tables[0],
            halls=space.seating.hall_of() if alone is None else None,
            expected=None if alone is None else _change(alone, citizens, pairs),
        ),
        CONFORMITY,
        reasons,
    )
    against = TABLES if alone is None else ALONE
    return Influence(
        None if moved is None or SWAY in reasons else _sway_record(space, moved, against),
        None if conforms is None else _conformity_record(space, conforms, against),
        None if moved is None else moved.of_statement,
        reasons,
    )


def _change(votes: Votes, citizens: int, pairs: int) -> FloatArray:
    """Change [C, P] of each citizen's share."""
    before, after = (citizen_shares(votes, phase, citizens, pairs) for phase in (BEFORE, AFTER))
    return after - before


def _sway_record(space: Workspace, moved: Sway, against: str) -> SwayRecord:
    return SwayRecord(
        speakers=len(moved.ranked),
        moving=int(moved.moves.sum()),
        mean=float(np.nanmean(moved.effect)),
        standing_out=int(moved.stands_out.sum()),
        against=against,
        first=tuple(
            SpeakerRecord(
                citizen=space.panel.personas[c].id,
                statements=int(moved.statements[c]),
                effect=float(moved.effect[c]),
                error=known(moved.error[c]),
                shrunk=float(moved.shrunk[c]),
                moves=bool(moved.moves[c]),
            )
            for c in moved.ranked[:SHOWN]
        ),
    )


def _conformity_record(space: Workspace, found: Conformity, against: str) -> ConformityRecord:
    return ConformityRecord(
        index=found.panel,
        strangers=known(found.strangers),
        toward=found.toward_share,
        away=found.away_share,
        flagged=tuple(space.panel.personas[c].id for c in np.flatnonzero(found.flagged)),
        against=against,
    )
