"""Diagnostics of an assembly: influence, conformity, diversity, and how reliable the labels are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from assembly.aggregation.strata import strata_of
from assembly.analysis.conformity import Conformity, conformity
from assembly.analysis.influence import Influence, influence, movement_in_log_odds
from assembly.analysis.movement import MeanChange, OpinionSpread, by_stratum, opinion_spread
from assembly.analysis.novelty import novelty
from assembly.analysis.persona_effect import citizen_cycles
from assembly.analysis.reliability import ReliabilityCurve, size_curve
from assembly.analysis.variance_components import (
    VarianceComponents,
    between_groups,
    between_wordings,
    exact,
    variance_components,
)
from assembly.record.ballots import AFTER, BEFORE, VALID, Votes, citizen_shares, grid
from personas.diversity import open_encoder
from plenary.errors import NotMeasured, measured
from plenary.preferences import FloatArray, IntArray
from plenary.runs.records.diagnostics import (
    CONFORMITY,
    CYCLES,
    ERRORS,
    NOVELTY,
    SIZES,
    SPREAD,
    SWAY,
    ChangeRecord,
    ConformityRecord,
    CyclesRecord,
    DiagnosticsRecord,
    InfluenceRecord,
    NoveltyRecord,
    PartRecord,
    SizeRecord,
    SpeakerRecord,
    SpreadRecord,
    StratumRecord,
)
from plenary.runs.workspace import Workspace
from plenary.seeding import generator
from plenary.stages.paraphrase import read_paraphrased

TOLD = {
    "panel draw": "another panel of this size",
    "persona wording": "profiles in every rendering, from first ballots on some pairs",
    "discussion": "what the citizens of a group have in common after it",
    "sampling": "the model's answers drawn again",
    "order": "the two orders of presentation",
    "models": "other models playing the citizens",
    "interactions": "of two or more of these",
}

UNTOLD = {
    "panel draw": "too few citizens with every ballot",
    "persona wording": "profiles were worded in one way; set dataset.paraphrased",
    "discussion": "no citizen heard others",
    "sampling": "one draw per answer cannot show it; it is part of the other sources",
    "order": "one order of presentation",
    "models": "one model plays all citizens; name several in citizens_model",
    "interactions": "only order was crossed with citizens",
}

PANEL_SIZES = (0.25, 0.5, 1.0, 2.0, 4.0)


class Diagnosis(NamedTuple):
    """The record, and parts that the dataset needs in full; None means "not measured"."""

    record: DiagnosticsRecord
    curve: ReliabilityCurve | None
    budget: VarianceComponents | None
    merit: FloatArray | None


def diagnose(space: Workspace) -> Diagnosis:
    """Measure what ballots and transcript allow, and record why the rest is not measured."""
    found = influence_found(space)
    reasons = space.reading.not_measured | found.not_measured
    rng = generator(space.seed, "diagnostics", "spread")
    spread = measured(
        lambda: opinion_spread(space.votes, space.plan.pairs, space.panel.weight, rng),
        SPREAD,
        reasons,
    )
    curve = measured(lambda: _curve(space), SIZES, reasons)
    budget = measured(lambda: _budget(space), ERRORS, reasons)
    record = DiagnosticsRecord(
        influence=found.influence,
        conformity=found.conformity,
        spread=None if spread is None else _spread_record(spread),
        strata=_strata(space),
        sizes=() if curve is None else _sizes(curve),
        errors=() if budget is None else _errors(budget),
        cycles=measured(lambda: _cycles(space), CYCLES, reasons),
        novelty=measured(lambda: _novelty(space), NOVELTY, reasons),
        not_measured=reasons,
        unread=space.reading.unread,
    )
    return Diagnosis(record, curve, budget, found.merit)


def _errors(budget: VarianceComponents) -> tuple[PartRecord, ...]:
    return tuple(
        PartRecord(
            source=part.source,
            note=(TOLD if part.measured else UNTOLD)[part.source],
            share=known(part.share),
            low=known(part.low),
            high=known(part.high),
        )
        for part in budget.parts
    )


def _spread_record(spread: OpinionSpread) -> SpreadRecord:
    def change(found: MeanChange) -> ChangeRecord:
        return ChangeRecord(**found._asdict())

    return SpreadRecord(
        panel_entropy=change(spread.panel_entropy),
        own_entropy=change(spread.own_entropy),
        variance=change(spread.variance),
    )


def _strata(space: Workspace) -> tuple[StratumRecord, ...]:
    strata = strata_of(space.categories(space.config.dataset.strata), len(space.panel))
    weights, tables = space.panel.weight, space.seating.table_of()
    moved = by_stratum(space.votes, len(space.plan.pairs), weights, tables, strata)
    sizes = dict(zip(strata.names, strata.members.sum(axis=1).tolist(), strict=True))
    return tuple(
        StratumRecord(
            **name._asdict(),
            citizens=sizes[name],
            changed=one.changed,
            shift=one.shift,
            toward=one.toward,
        )
        for name, one in moved.items()
        if one is not None
    )


def _curve(space: Workspace) -> ReliabilityCurve:
    citizens = len(space.panel)
    return size_curve(
        space.votes,
        len(space.plan.pairs),
        space.panel.weight,
        AFTER,
        [max(2, round(citizens * size)) for size in PANEL_SIZES],
        generator(space.seed, "diagnostics", "sizes"),
        clusters=space.seating.group_of(),
    )


def _sizes(curve: ReliabilityCurve) -> tuple[SizeRecord, ...]:
    return tuple(
        SizeRecord(
            citizens=size,
            reliability=float(curve.reliability[k]),
            agreement=float(curve.agreement[k]),
            with_everybody=float(curve.with_everybody[k]),
            halves_agreement=known(curve.halves_agreement[k]),
        )
        for k, size in enumerate(curve.sizes)
    )


def _budget(space: Workspace) -> VarianceComponents:
    """Citizens and order are crossed in the ballots; other sources come from separate data."""
    laid = grid(space.votes, AFTER, len(space.panel), len(space.plan.pairs)).share
    answers = laid.transpose(2, 1, 0)[:, :, None, None, :, None]
    beside = _beside(space, laid.mean(axis=0))
    return variance_components(
        answers,
        space.plan.pairs,
        exact=exact(space.votes, AFTER),
        effective_n=space.panel.effective_size,
        beside=beside,
    )


def _beside(space: Workspace, shares: FloatArray) -> dict[str, FloatArray]:
    """Variances [P] of a label over groups, models and wordings, if the run has several."""
    size = space.panel.effective_size
    groups: dict[str, IntArray] = {}
    if space.config.assembly.condition == "deliberation" and heard(space):
        groups["discussion"] = space.seating.group_of()
    models, cast = np.unique(space.cast, return_inverse=True)
    if len(models) > 1:
        groups["models"] = cast
    parts = {source: between_groups(shares, of, size) for source, of in groups.items()}
    found = {source: part.own for source, part in parts.items()}
    if parts:
        found["panel draw"] = -np.nansum([part.in_draw for part in parts.values()], axis=0)
    again = read_paraphrased(space)
    if again is not None:
        found["persona wording"] = np.full(shares.shape[1], np.nan)
        found["persona wording"][again.pairs] = between_wordings(again.answers)
    return found


def _cycles(space: Workspace) -> CyclesRecord:
    laid = grid(space.votes, AFTER, len(space.panel), len(space.plan.pairs)).share.mean(axis=0)
    found = citizen_cycles(laid, space.plan.pairs, space.panel.weight, len(space.plan.outcomes))
    told = np.flatnonzero(~np.isnan(found.by_citizen))
    if not found.triads:
        raise NotMeasured("the design has no closed triad")
    if not len(told):
        raise NotMeasured(f"no citizen has valid ballots on any of {found.triads} triads")
    return CyclesRecord(
        triads=found.triads,
        panel=found.panel,
        citizens=float(found.by_citizen[told].mean()),
        by_citizen={space.panel.personas[c].id: float(found.by_citizen[c]) for c in told},
    )


def _novelty(space: Workspace) -> NoveltyRecord | None:
    if not space.config.dataset.novelty or not heard(space):
        return None
    found = novelty(space.transcript, open_encoder())
    return NoveltyRecord(repetition=known(found.repetition), distinct=found.distinct)


SHOWN = 10

TABLES = (
    "what tables that the citizen never met did on the same pairs; no control condition was held "
    "(plenary conditions holds one)"
)

ALONE = "the same citizens thinking alone on the same pairs (condition reflection)"


class InfluenceFound(NamedTuple):
    """What was found. merit [N]: movement after each statement, to rank arguments.

    not_measured: why influence or conformity (SWAY, CONFORMITY) is None.
    """

    influence: InfluenceRecord | None
    conformity: ConformityRecord | None
    merit: FloatArray | None
    not_measured: dict[str, str]


def known(value: float) -> float | None:
    """The value, or None if it is NaN."""
    return None if np.isnan(value) else float(value)


def heard(space: Workspace) -> bool:
    """Whether any citizen said something that others could hear."""
    return any(s.side is not None and s.state == VALID for s in space.transcript)


def influence_found(space: Workspace, alone: Votes | None = None) -> InfluenceFound:
    """Influence and conformity of the run's discussion, beyond what happens without one.

    alone: votes of the same citizens on the same pairs in a control condition. Without them, the
    control is within the run: what tables that a citizen never met did on the same pair.
    """
    settings, pairs = space.config.assembly, len(space.plan.pairs)
    if settings.condition != "deliberation" or not heard(space):
        why = "no statement was usable; look at the failed ones"
        if settings.condition != "deliberation":
            why = f"citizens do not hear each other in condition {settings.condition!r}"
        return InfluenceFound(None, None, None, {SWAY: why, CONFORMITY: why})
    rounds = range(max(settings.rounds, 1))
    tables = np.stack([space.seating.table_of(turn) for turn in rounds])
    citizens = len(space.panel)
    reasons: dict[str, str] = {}
    without = None if alone is None else movement_in_log_odds(alone, pairs, citizens)
    moved = measured(
        lambda: influence(space.votes, pairs, tables, space.transcript, expected=without),
        SWAY,
        reasons,
    )
    if moved is not None and not moved.ranked:
        reasons[SWAY] = "every table heard the same sides"
    conforms = measured(
        lambda: conformity(
            space.votes,
            pairs,
            space.panel.weight,
            tables[0],
            groups=space.seating.group_of() if alone is None else None,
            expected=None if alone is None else _change(alone, citizens, pairs),
        ),
        CONFORMITY,
        reasons,
    )
    against = TABLES if alone is None else ALONE
    return InfluenceFound(
        None if moved is None or SWAY in reasons else _influence_record(space, moved, against),
        None if conforms is None else _conformity_record(space, conforms, against),
        None if moved is None else moved.of_statement,
        reasons,
    )


def _change(votes: Votes, citizens: int, pairs: int) -> FloatArray:
    """Change [C, P] in each citizen's share."""
    before, after = (citizen_shares(votes, phase, citizens, pairs) for phase in (BEFORE, AFTER))
    return after - before


def _influence_record(space: Workspace, moved: Influence, against: str) -> InfluenceRecord:
    return InfluenceRecord(
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
