"""`plenary conditions`: control conditions and probes of an assembly, compared with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assembly.aggregation.electorate import weighted_mean
from assembly.analysis.agreement import interval_over_outcomes, on_majority
from assembly.analysis.effect import Effect, MajorityChange, deliberation_effect, pooled
from assembly.analysis.persona_effect import vote_gap
from assembly.deliberation.conditions import CONDITIONS
from assembly.deliberation.probes import PROBES, claimed_sides
from assembly.record.ballots import AFTER, BEFORE, Votes, citizen_shares
from assembly.record.ledger import Ledger
from assembly.record.settings import AssemblySettings, ConditionName, ProbeName
from plenary.errors import ConfigError
from plenary.hashing import content_hash
from plenary.preferences import FloatArray
from plenary.runs import filenames
from plenary.runs.files import staged
from plenary.runs.records.base import write_record
from plenary.runs.records.conditions import (
    AGREEMENT_FILE,
    CONDITIONS_FILE,
    AgreementRecord,
    ConditionsRecord,
    EffectRecord,
    Lead,
    ProbeRecord,
)
from plenary.runs.workspace import Workspace
from plenary.seeding import generator
from plenary.stages import conditions
from plenary.stages.assembly import hold
from plenary.stages.diagnostics import influence_found

SHIFTS = "conditions.parquet"

CONTROLS: tuple[ConditionName, ...] = ("reflection", "none")

NAMED: tuple[ProbeName, ...] = tuple(name for name in PROBES if name != "none")

MEANING: dict[ProbeName, str] = {
    "false-majority": "change in a vote toward the side falsely said to have a majority",
    "vote-reveal": "change in a vote toward the panel's majority when votes are shown",
    "no-persona": "distance between a first vote and that without a persona",
    "shuffled-persona": "distance between a first vote and that with another citizen's persona",
}


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


def hold_conditions(space: Workspace, probes: tuple[ProbeName, ...]) -> ConditionsRecord:
    """Hold missing conditions and probes, each in its own ledger, compare, and write both files.

    A ballot that several conditions share is asked once: all answers go to the run's own ledger.
    """
    main = space.config.assembly
    if main.probe != "none":
        raise ConfigError(
            f"the run itself was held with probe {main.probe!r}; set assembly.probe=none"
        )
    votes: dict[ConditionName, Votes] = {
        condition: space.votes if condition == main.condition else _held(space, condition, "none")
        for condition in CONDITIONS
    }
    level = space.config.comparison.level
    effects: dict[ConditionName, Effect] = {
        control: deliberation_effect(
            votes,
            space.plan.pairs,
            space.panel.weight,
            space.seating.group_of(),
            level=level,
            control=control,
        )
        for control in CONTROLS
    }
    who = influence_found(space, votes["reflection"])
    record = ConditionsRecord(
        level=level,
        effects=tuple(_effect(name, effect) for name, effect in effects.items()),
        probes=tuple(_probe(space, probe, votes["none"]) for probe in probes),
        influence=who.influence,
        conformity=who.conformity,
        not_measured=who.not_measured,
        agreement=_agreement(space, probes),
    )
    _write_shifts(space, effects)
    write_record(record, space.file(CONDITIONS_FILE))
    return record


def _agreement(space: Workspace, probes: tuple[ProbeName, ...]) -> AgreementRecord | None:
    """Comparison with both controls, if their probes are asked for and the run had a discussion."""
    if (
        space.config.assembly.condition != "deliberation"
        or not set(probes) >= conditions.AGREEMENT_PROBES
    ):
        return None
    found = conditions.against_controls(space, lambda *control: _held(space, *control))
    write_record(found, space.file(AGREEMENT_FILE))
    return found


def _held(space: Workspace, condition: ConditionName, probe: ProbeName) -> Votes:
    name = "_".join(part for part in (condition, probe) if part != "none") or "none"
    settings = AssemblySettings.model_validate(
        {**space.config.assembly.model_dump(), "condition": condition, "probe": probe}
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
        value = MajorityChange(gap.value, gap.low, gap.high)
    else:
        if probe == "false-majority":
            side = 1.0 - 2.0 * claimed_sides(len(space.plan.pairs), space.seed)
        else:
            side = np.sign(np.nan_to_num(weighted_mean(plain.before, weights), nan=0.5) - 0.5)
        moved = (found.after - plain.after) * side
        value = pooled(moved, weights, space.seating.group_of(), level)
    return ProbeRecord(probe=probe, measure=MEANING[probe], **value._asdict())


def _write_shifts(space: Workspace, effects: Mapping[ConditionName, Effect]) -> None:
    """One row per pair: shift of the share of its first outcome compared with each control."""
    ids = [[space.plan.outcomes[k].id for k in side] for side in space.plan.pairs.T.tolist()]
    columns: dict[str, object] = {"first_id": ids[0], "second_id": ids[1]}
    for control, effect in effects.items():
        columns |= {
            f"{name}_{control}": getattr(effect, name)
            for name in ("shift", "low", "high", "compared")
        }
    with staged(space.file(SHIFTS)) as path:
        pq.write_table(pa.table(columns), path)


AGREEMENT_CONTROLS: dict[str, tuple[ConditionName, ProbeName]] = {
    "shuffled": ("deliberation", "shuffled-persona"),
    "alone": ("reflection", "no-persona"),
}

AGREEMENT_PROBES: frozenset[ProbeName] = frozenset(
    probe for _, probe in AGREEMENT_CONTROLS.values()
)


def _rise(space: Workspace, votes: Votes) -> FloatArray:
    """Change [P] in the weighted share on the majority's side."""
    shape = (len(space.panel), len(space.plan.pairs))
    before, after = (
        on_majority(weighted_mean(citizen_shares(votes, phase, *shape), space.panel.weight))
        for phase in (BEFORE, AFTER)
    )
    return after - before


def against_controls(
    space: Workspace, held: Callable[[ConditionName, ProbeName], Votes]
) -> AgreementRecord:
    """Hold both controls and compare them with the run, pair by pair."""
    own = _rise(space, space.votes)
    leads = {}
    for name, control in AGREEMENT_CONTROLS.items():
        value, ends = interval_over_outcomes(
            own - _rise(space, held(*control)),
            space.plan.pairs,
            space.seed,
            "agreement",
            name,
        )
        leads[name] = Lead(value=value, low=ends.low, high=ends.high)
    return AgreementRecord(origin=content_hash(space.file(filenames.VOTES)), **leads)
