"""What the discussion did, and how far the labels can be trusted; None is "not measured"."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from assembly.ballots import AFTER, grid
from assembly.error_budget import ErrorBudget, error_budget
from assembly.error_parts import between_groups, between_wordings
from assembly.error_sources import exact
from assembly.movement import Change, OpinionSpread, by_stratum, opinion_spread
from assembly.novelty import novelty
from assembly.persona_effect import citizen_cycles
from assembly.reliability import Curve, size_curve
from assembly.strata import strata_of
from personas.diversity import open_encoder
from plenary.app.diagnostics_record import (
    CYCLES,
    ERRORS,
    NOVELTY,
    SIZES,
    SPREAD,
    ChangeRecord,
    CyclesRecord,
    DiagnosticsRecord,
    NoveltyRecord,
    PartRecord,
    SizeRecord,
    SpreadRecord,
    StratumRecord,
)
from plenary.app.influence import heard, influence, known
from plenary.app.rewording import read_reworded
from plenary.app.workspace import Workspace
from plenary.errors import NotMeasured, measured
from plenary.preferences import FloatArray, IntArray
from plenary.seeding import generator

TOLD = {
    "panel draw": "another panel of this size",
    "persona wording": "profiles in every rendering, first ballots of some citizens and pairs",
    "discussion": "what the citizens of a hall have in common after it",
    "sampling": "the model's answers drawn again",
    "order": "the two orders of presentation",
    "models": "other models playing the citizens",
    "interactions": "of two or more of these",
}
UNTOLD = {
    "panel draw": "too few citizens with every ballot",
    "persona wording": "profiles were worded in one way; set dataset.reworded",
    "discussion": "nobody heard others",
    "sampling": "one draw an answer cannot tell; it is part of the others",
    "order": "one order of presentation",
    "models": "one model plays all citizens; name several in citizens_model",
    "interactions": "nothing but order was crossed with citizens",
}
PANEL_SIZES = (0.25, 0.5, 1.0, 2.0, 4.0)


class Diagnosis(NamedTuple):
    """The record, and the parts that the dataset needs whole; None is "not measured"."""

    record: DiagnosticsRecord
    curve: Curve | None
    budget: ErrorBudget | None
    merit: FloatArray | None


def diagnose(space: Workspace) -> Diagnosis:
    """Measure what the ballots and the transcript of the run tell, and note why not the rest."""
    found = influence(space)
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
        sway=found.sway,
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


def _errors(budget: ErrorBudget) -> tuple[PartRecord, ...]:
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
    def change(found: Change) -> ChangeRecord:
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


def _curve(space: Workspace) -> Curve:
    citizens = len(space.panel)
    return size_curve(
        space.votes,
        len(space.plan.pairs),
        space.panel.weight,
        AFTER,
        [max(2, round(citizens * size)) for size in PANEL_SIZES],
        generator(space.seed, "diagnostics", "sizes"),
        clusters=space.seating.hall_of(),
    )


def _sizes(curve: Curve) -> tuple[SizeRecord, ...]:
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


def _budget(space: Workspace) -> ErrorBudget:
    """Citizens and order are crossed in the ballots; the rest is known from beside them."""
    laid = grid(space.votes, AFTER, len(space.panel), len(space.plan.pairs)).share
    answers = laid.transpose(2, 1, 0)[:, :, None, None, :, None]
    beside = _beside(space, laid.mean(axis=0))
    return error_budget(
        answers,
        space.plan.pairs,
        exact=exact(space.votes, AFTER),
        effective_n=space.panel.effective_size,
        beside=beside,
    )


def _beside(space: Workspace, shares: FloatArray) -> dict[str, FloatArray]:
    """Variances [P] of a label by halls, models and wordings, where the run has several."""
    size = space.panel.effective_size
    groups: dict[str, IntArray] = {}
    if space.config.assembly.arm == "deliberation" and heard(space):
        groups["discussion"] = space.seating.hall_of()
    models, cast = np.unique(space.cast, return_inverse=True)
    if len(models) > 1:
        groups["models"] = cast
    parts = {source: between_groups(shares, of, size) for source, of in groups.items()}
    found = {source: part.own for source, part in parts.items()}
    if parts:
        found["panel draw"] = -np.nansum([part.in_draw for part in parts.values()], axis=0)
    again = read_reworded(space)
    if again is not None:
        found["persona wording"] = np.full(shares.shape[1], np.nan)
        found["persona wording"][again.pairs] = between_wordings(again.answers)
    return found


def _cycles(space: Workspace) -> CyclesRecord:
    laid = grid(space.votes, AFTER, len(space.panel), len(space.plan.pairs)).share.mean(axis=0)
    found = citizen_cycles(laid, space.plan.pairs, space.panel.weight, len(space.plan.outcomes))
    told = np.flatnonzero(~np.isnan(found.by_citizen))
    if not found.triads:
        raise NotMeasured("the design closes no triad")
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
