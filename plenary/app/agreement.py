"""Whether citizens come to agree more in the discussion than under two controls.

Controls: the same discussion under each other's personas, and one model without personas that
thinks alone. Shapes: P pairs, C citizens.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import Field

from assembly.ballots import AFTER, BEFORE, Votes, citizen_shares
from assembly.rules import weighted_mean
from assembly.settings import ArmName, ProbeName
from evaluation.comparison import Interval, bootstrap_interval, node_weights
from plenary.app import workspace as ws
from plenary.app.records import Record, read_record
from plenary.app.run_directory import content_hash
from plenary.app.workspace import Workspace
from plenary.errors import NotMeasured
from plenary.preferences import FloatArray
from plenary.seeding import generator

FILE = "agreement.json"
REPLICATES = 2000
CONTROLS: dict[str, tuple[ArmName, ProbeName]] = {
    "shuffled": ("deliberation", "shuffled-persona"),
    "alone": ("reflection", "no-persona"),
}
PROBES: frozenset[ProbeName] = frozenset(probe for _, probe in CONTROLS.values())


class Lead(Record):
    """How much further the share on the majority's side rose than under a control; points / 100."""

    value: float = Field(description="mean over pairs")
    low: float = Field(description="lower end, 95 % bootstrap over outcomes")
    high: float = Field(description="upper end")


class AgreementRecord(Record):
    """The rise of a discussion against both controls."""

    origin: str = Field(description="hash of the ballots it is of")
    shuffled: Lead = Field(description="over the same discussion under each other's personas")
    alone: Lead = Field(description="over one model without personas that thinks alone")


def on_majority(p: FloatArray) -> FloatArray:
    """Share [P] on the side that has more."""
    return np.maximum(p, 1 - p)


def mean_interval(space: Workspace, values: FloatArray, *labels: str) -> tuple[float, Interval]:
    """Mean of values [P] and its interval over outcomes; pairs without a value left out."""
    known = ~np.isnan(values)
    if not known.any():
        raise NotMeasured(f"none of {len(values)!r} pairs is voted on in all that is compared")
    rng = generator(space.seed, *labels)
    weights = node_weights(space.plan.pairs[known], REPLICATES, rng)
    return float(values[known].mean()), bootstrap_interval(values[known], weights, 0.95)


def _rise(space: Workspace, votes: Votes) -> FloatArray:
    """Change [P] of the weighted share on the majority's side."""
    shape = (len(space.panel), len(space.plan.pairs))
    before, after = (
        on_majority(weighted_mean(citizen_shares(votes, phase, *shape), space.panel.weight))
        for phase in (BEFORE, AFTER)
    )
    return after - before


def against_controls(
    space: Workspace, held: Callable[[ArmName, ProbeName], Votes]
) -> AgreementRecord:
    """Hold both controls and compare, pair by pair."""
    own = _rise(space, space.votes)
    leads = {}
    for name, control in CONTROLS.items():
        value, ends = mean_interval(space, own - _rise(space, held(*control)), "agreement", name)
        leads[name] = Lead(value=value, low=ends.low, high=ends.high)
    return AgreementRecord(origin=content_hash(space.file(ws.VOTES)), **leads)


def read_agreement(space: Workspace) -> AgreementRecord | None:
    """What `plenary arms` found of the run's present ballots, if it was asked."""
    path = space.file(FILE)
    if not path.is_file():
        return None
    record = read_record(AgreementRecord, path)
    return record if record.origin == content_hash(space.file(ws.VOTES)) else None


def agreement_rows(record: AgreementRecord | None) -> tuple[tuple[str, str], ...]:
    """What the terminal shows."""
    if record is None:
        return ()
    return tuple(
        (f"agreement against {name}", f"rise beyond that control {100 * lead.value:+.1f} points "
         f"(95 % {100 * lead.low:+.1f} to {100 * lead.high:+.1f})")
        for name, lead in (
            ("shuffled personas", record.shuffled), ("one model asked alone", record.alone)
        )
    )  # fmt: skip
