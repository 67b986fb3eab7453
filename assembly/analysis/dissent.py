"""The minority report: strata that oppose a decision, their size, and their best argument.

Shapes: C citizens, P pairs, G strata, N statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from assembly.aggregation.electorate import weighted_mean
from assembly.aggregation.strata import Strata
from assembly.record.ballots import VALID
from assembly.record.ledger import Spoken
from plenary.preferences import BoolArray, FloatArray

LEAST = 3


class Dissent(NamedTuple):
    """A stratum whose weighted share lies on the opposite side of one half from the panel's.

    citizens: members with a ballot. size: their share of the weight of all ballots on the pair.
    p: the stratum's share for the pair's first outcome. intensity: weighted mean |2 s - 1| of the
    members who oppose, 0 undecided, 1 certain. statement, text: id and words of the argument for
    the opposing outcome (see `best_argument`); None if nobody spoke for it.
    """

    attribute: str
    category: str
    citizens: int
    size: float
    p: float
    intensity: float
    statement: str | None
    text: str | None


def statement_id(spoken: Spoken) -> str:
    """pair.table.round.seat, the key of a statement in the ledger."""
    return f"{spoken.pair}.{spoken.table}.{spoken.round}.{spoken.seat}"


def best_argument(
    statements: Sequence[Spoken], merit: FloatArray, pair: int, side: int, members: BoolArray
) -> Spoken | None:
    """The statement heard for an outcome that has the most merit.

    `merit` [N] is its influence, or how central it is among the statements for that outcome; NaN
    comes last. Statements of the stratum's own `members` [C] come before all others.
    """
    heard = [
        (bool(members[s.citizen]), float(np.nan_to_num(m, nan=-np.inf)), -k)
        for k, (s, m) in enumerate(zip(statements, merit, strict=True))
        if s.pair == pair and s.side == side and s.state == VALID and s.text
    ]
    return statements[-max(heard)[2]] if heard else None


def minority_report(
    shares: FloatArray,
    weights: FloatArray,
    strata: Strata,
    statements: Sequence[Spoken] = (),
    merit: FloatArray | None = None,
) -> tuple[tuple[Dissent, ...], ...]:
    """Opposing strata of every pair [P], largest first; strata of fewer than 3 are left out.

    shares [C, P] after the discussion; merit [N] of `statements` (default: unknown).
    """
    merit = np.full(len(statements), np.nan) if merit is None else merit
    lean = _side(weighted_mean(shares, weights))
    voted = ~np.isnan(shares)
    counts = strata.members.astype(np.int64) @ voted.astype(np.int64)
    opposed = (_side(strata.means(shares, weights)) * lean == -1) & (counts >= LEAST)
    by_pair: dict[int, list[int]] = {}
    for k, spoken in enumerate(statements):
        by_pair.setdefault(spoken.pair, []).append(k)
    reports: list[tuple[Dissent, ...]] = []
    for pair in range(shares.shape[1]):
        at = by_pair.get(pair, [])
        said = _Said([statements[k] for k in at], merit[at], pair, int(lean[pair] > 0))
        found = [
            _dissent(shares[:, pair], weights, strata, g, said)
            for g in np.flatnonzero(opposed[:, pair]).tolist()
        ]
        reports.append(tuple(sorted(found, key=lambda dissent: -dissent.size)))
    return tuple(reports)


def _side(p: FloatArray) -> FloatArray:
    """1 for the first outcome, -1 for the second, 0 for a tie up to rounding; NaN stays."""
    return np.sign(np.where(np.abs(p - 0.5) < 1e-9, 0.0, p - 0.5))


class _Said(NamedTuple):
    """What was said about a pair, and the outcome (0 or 1) that the panel rejected."""

    statements: list[Spoken]
    merit: FloatArray
    pair: int
    rejected: int


def _dissent(
    share: FloatArray, weights: FloatArray, strata: Strata, g: int, said: _Said
) -> Dissent:
    valid = ~np.isnan(share)
    there = valid & strata.members[g]
    against = there & ((share < 0.5) if said.rejected else (share > 0.5))
    spoken = best_argument(*said, strata.members[g])
    return Dissent(
        *strata.names[g],
        citizens=int(there.sum()),
        size=float(weights[there].sum() / weights[valid].sum()),
        p=float(np.average(share[there], weights=weights[there])),
        intensity=float(np.average(np.abs(2 * share[against] - 1), weights=weights[against])),
        statement=None if spoken is None else statement_id(spoken),
        text=None if spoken is None else spoken.text,
    )
