"""The arms and probes of a run: the same citizens and pairs, with nothing or other things heard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from assembly.arms import ARMS
from assembly.ballots import AFTER, BEFORE, Votes, citizen_shares
from assembly.effect import Effect, Estimate, deliberation_effect, pooled
from assembly.ledger import Ledger
from assembly.persona_effect import vote_gap
from assembly.probes import PROBES, claimed_sides
from assembly.rules import weighted_mean
from assembly.settings import ArmName, AssemblySettings, ProbeName
from plenary.app import agreement
from plenary.app.agreement import AgreementRecord, agreement_rows
from plenary.app.diagnostics_record import (
    ConformityRecord,
    SwayRecord,
    conformity_rows,
    sway_rows,
    unmeasured_rows,
)
from plenary.app.influence import influence
from plenary.app.records import Record, write_record
from plenary.app.run_directory import staged
from plenary.app.stages import hold
from plenary.app.workspace import Workspace
from plenary.errors import ConfigError
from plenary.preferences import FloatArray
from plenary.seeding import generator

ARMS_FILE = "arms.json"
SHIFTS = "arms.parquet"
CONTROLS: tuple[ArmName, ...] = ("reflection", "none")
NAMED: tuple[ProbeName, ...] = tuple(name for name in PROBES if name != "none")
MEANING: dict[ProbeName, str] = {
    "false-majority": "change of a vote toward the side that a majority is falsely said to hold",
    "vote-reveal": "change of a vote toward the panel's majority when votes are shown",
    "no-persona": "distance of a first vote from that without a persona",
    "shuffled-persona": "distance of a first vote from that under another's persona",
}


class EffectRecord(Record):
    """What discussion did, against one control arm."""

    control: str = Field(description="arm that deliberation is compared with")
    toward_majority: float = Field(
        description="mean change of a vote toward the majority before; positive widens majorities"
    )
    low: float = Field(description="lower end of its interval")
    high: float = Field(description="upper end of its interval")
    size: float = Field(
        description="root mean square shift of a pair's share, sampling variance taken off"
    )
    shifted: int = Field(description="pairs whose own interval leaves out 0")
    pairs: int = Field(description="pairs compared")


class ProbeRecord(Record):
    """What a planted disturbance did."""

    probe: str = Field(description="name")
    measure: str = Field(description="what the value is")
    value: float = Field(description="mean over citizens x pairs, by weight")
    low: float = Field(description="lower end of its interval")
    high: float = Field(description="upper end of its interval")


class ArmsRecord(Record):
    """Arms and probes of a run."""

    level: float = Field(description="level of the intervals")
    effects: tuple[EffectRecord, ...] = Field(description="deliberation minus each control")
    probes: tuple[ProbeRecord, ...] = Field(description="against being asked again")
    sway: SwayRecord | None = Field(description="who moved others, beyond thinking alone")
    conformity: ConformityRecord | None = Field(
        description="who went with the table, beyond thinking alone"
    )
    not_measured: dict[str, str] = Field(
        default={}, description="what the ballots cannot tell -> why"
    )
    agreement: AgreementRecord | None = Field(
        default=None, description="rise of agreement against controls; none without their probes"
    )


def probe_names(text: str) -> tuple[ProbeName, ...]:
    """Probes from the command line; ConfigError for an unknown one."""
    if text in ("all", "none"):
        return NAMED if text == "all" else ()
    asked = text.split(",")
    unknown = sorted(set(asked) - set(NAMED))
    if unknown:
        raise ConfigError(
            f"unknown probe {unknown[0]!r}; use all, none or some of {', '.join(NAMED)}"
        )
    return tuple(name for name in NAMED if name in asked)


def hold_arms(space: Workspace, probes: tuple[ProbeName, ...]) -> ArmsRecord:
    """Hold what is missing, each in a ledger of its own, compare, and write both files.

    A ballot that arms have in common is asked once: all answers go to the run's own ledger.
    """
    main = space.config.assembly
    if main.probe != "none":
        raise ConfigError(f"the run itself holds probe {main.probe!r}; set assembly.probe=none")
    votes: dict[ArmName, Votes] = {
        arm: space.votes if arm == main.arm else _held(space, arm, "none") for arm in ARMS
    }
    level = space.config.comparison.level
    effects: dict[ArmName, Effect] = {
        control: deliberation_effect(
            votes,
            space.plan.pairs,
            space.panel.weight,
            space.seating.hall_of(),
            level=level,
            control=control,
        )
        for control in CONTROLS
    }
    who = influence(space, votes["reflection"])
    record = ArmsRecord(
        level=level,
        effects=tuple(_effect(name, effect) for name, effect in effects.items()),
        probes=tuple(_probe(space, probe, votes["none"]) for probe in probes),
        sway=who.sway,
        conformity=who.conformity,
        not_measured=who.not_measured,
        agreement=_agreement(space, probes),
    )
    _write_shifts(space, effects)
    write_record(record, space.file(ARMS_FILE))
    return record


def _agreement(space: Workspace, probes: tuple[ProbeName, ...]) -> AgreementRecord | None:
    """Against both controls where their probes are asked for and the run held a discussion."""
    if space.config.assembly.arm != "deliberation" or not set(probes) >= agreement.PROBES:
        return None
    found = agreement.against_controls(space, lambda *control: _held(space, *control))
    write_record(found, space.file(agreement.FILE))
    return found


def _held(space: Workspace, arm: ArmName, probe: ProbeName) -> Votes:
    name = "_".join(part for part in (arm, probe) if part != "none") or "none"
    settings = AssemblySettings.model_validate(
        {**space.config.assembly.model_dump(), "arm": arm, "probe": probe}
    )
    with (
        Ledger(space.ledger) as calls,
        Ledger(space.file(f"ledger_{name}.sqlite")) as own,
    ):
        return hold(space, settings, own, space.file(f"checkpoints_{name}.sqlite"), calls)


def _effect(control: str, effect: Effect) -> EffectRecord:
    toward = effect.toward_majority
    return EffectRecord(
        control=control,
        toward_majority=toward.value,
        low=toward.low,
        high=toward.high,
        size=effect.size,
        shifted=int(((effect.low > 0) | (effect.high < 0)).sum()),
        pairs=int((effect.compared > 0).sum()),
    )


class _Shares(NamedTuple):
    """Shares [C, P] of the first outcome, before and after."""

    before: FloatArray
    after: FloatArray


def _shares(space: Workspace, votes: Votes) -> _Shares:
    shape = (len(space.panel), len(space.plan.pairs))
    return _Shares(*(citizen_shares(votes, phase, *shape) for phase in (BEFORE, AFTER)))


def _probe(space: Workspace, probe: ProbeName, again: Votes) -> ProbeRecord:
    found, plain = _shares(space, _held(space, "none", probe)), _shares(space, again)
    weights, level = space.panel.weight, space.config.comparison.level
    if probe in ("no-persona", "shuffled-persona"):
        rng = generator(space.seed, "probe", probe)
        gap = vote_gap(plain.before, found.before, space.plan.pairs, weights, rng, level=level).gap
        value = Estimate(gap.value, gap.low, gap.high)
    else:
        if probe == "false-majority":
            side = 1.0 - 2.0 * claimed_sides(len(space.plan.pairs), space.seed)
        else:
            side = np.sign(np.nan_to_num(weighted_mean(plain.before, weights), nan=0.5) - 0.5)
        moved = (found.after - plain.after) * side
        value = pooled(moved, weights, space.seating.hall_of(), level)
    return ProbeRecord(probe=probe, measure=MEANING[probe], **value._asdict())


def _write_shifts(space: Workspace, effects: Mapping[ArmName, Effect]) -> None:
    """One row a pair: shift of the share of its first outcome against each control."""
    ids = [[space.plan.outcomes[k].id for k in side] for side in space.plan.pairs.T.tolist()]
    columns: dict[str, object] = {"first_id": ids[0], "second_id": ids[1]}
    for control, effect in effects.items():
        columns |= {
            f"{name}_{control}": getattr(effect, name)
            for name in ("shift", "low", "high", "compared")
        }
    with staged(space.file(SHIFTS)) as path:
        pq.write_table(pa.table(columns), path)


def arms_rows(record: ArmsRecord) -> tuple[tuple[str, str], ...]:
    """What the terminal shows."""
    ends = f"{record.level:.0%}"
    effects = tuple(
        (
            f"discussion against {one.control}",
            f"{one.toward_majority:+.4f} toward the majority before ({ends} {one.low:+.4f} to "
            f"{one.high:+.4f}); size {one.size:.4f}; {one.shifted} of {one.pairs} pairs shifted",
        )
        for one in record.effects
    )
    probes = tuple(
        (one.probe, f"{one.value:+.4f} ({ends} {one.low:+.4f} to {one.high:+.4f}): {one.measure}")
        for one in record.probes
    )
    who = (
        *sway_rows(record.sway),
        *conformity_rows(record.conformity),
        *unmeasured_rows(record.not_measured),
    )
    return (
        effects
        + probes
        + agreement_rows(record.agreement)
        + tuple((name, f"{value}: {note}") for name, value, note in who)
    )
