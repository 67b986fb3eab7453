"""From the files of a run to the evidence that the claims require."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from alignment.retention.retention import Retention
from assembly.aggregation.consensus import Consensus
from assembly.analysis.agreement import interval_over_outcomes, on_majority
from evaluation.claims import evidence as on
from evaluation.comparison.compare import Comparison
from evaluation.consistency.wording_study import WordingStudy
from evaluation.hiring.change import AlignmentEffect
from evaluation.hiring.findings import HiringFinding, HiringFindings
from evaluation.hiring.settings import HiringSettings
from plenary.errors import measured
from plenary.report.results import Results
from plenary.report.verdict import Controls
from plenary.runs import filenames
from plenary.runs.records.base import read_record
from plenary.runs.records.conditions import read_agreement
from plenary.runs.records.measures import (
    AnchorRecord,
    HiringRecord,
    RetentionRecord,
    SteeringRecord,
    WordingRecord,
    read_harness,
)
from plenary.runs.workspace import Workspace

DIRECTIONS = {"narrowed": "narrower", "widened": "wider", "reversed": "reversed"}


class Measures(NamedTuple):
    """Results of the measuring stages; not_measured: reasons for parts that are None."""

    steering: SteeringRecord | None
    wording: WordingStudy | None
    hiring: HiringRecord
    retention: Retention | None
    anchor: AnchorRecord
    not_measured: dict[str, str]


def read_measures(space: Workspace) -> Measures:
    """Read them; DataError when a stage has not run."""
    reasons: dict[str, str] = {}
    steering = measured(
        lambda: read_record(SteeringRecord, space.file(filenames.STEERING)), "steering", reasons
    )
    hiring = measured(
        lambda: read_record(HiringRecord, space.file(filenames.HIRING)), "hiring", reasons
    )
    return Measures(
        steering,
        read_record(WordingRecord, space.file(filenames.WORDING)).budget,
        hiring or HiringRecord(before=None, after=None, effects=(), examples=()),
        read_record(RetentionRecord, space.file(filenames.RETENTION)).kept,
        read_record(AnchorRecord, space.file(filenames.ANCHOR)),
        reasons,
    )


def toward(comparison: Comparison, measures: Measures, controls: Controls | None) -> on.Toward:
    """Whether the model moved toward the assembly."""
    gain = None if measures.wording is None else measures.wording.gain
    steered = measures.steering
    return on.Toward(
        outcomes_low=comparison.gain_low,
        outcomes_high=comparison.gain_high,
        wordings_low=None if gain is None else gain.low,
        beyond_retest=None if steered is None else steered.beyond_retest,
        away_beyond_retest=None if steered is None else steered.away_beyond_retest,
        trained_low=None if steered is None else steered.trained_low,
        seeds=1 if controls is None else controls.seeds,
    )


def margins(results: Results) -> on.PanelMargins:
    """The panel's margins."""
    widest = max(results.fidelity.margins, key=lambda margin: margin.distance)
    source = results.population.survey
    return on.PanelMargins(source, widest.distance, widest.expected, len(results.fidelity.margins))


def agreement(results: Results) -> on.Agreement:
    """Citizens on the majority's side before and after, and compared with the controls if any."""
    space, d = results.space, results.decision
    first = Consensus.read(space.file(filenames.CONSENSUS_BEFORE)).p
    before, after = on_majority(first), on_majority(space.consensus.p)
    known = ~np.isnan(before) & ~np.isnan(after)
    _, found = interval_over_outcomes(
        after - before, space.plan.pairs, space.seed, "report", "agreement"
    )
    held = read_agreement(space.run.path)
    return on.Agreement(
        float(before[known].mean()),
        float(after[known].mean()),
        found.low,
        d.contested / d.pairs,
        None if held is None else held.shuffled.low,
        None if held is None else held.alone.low,
    )


def kept(found: Retention) -> on.Kept:
    """Right answers, and whether every other figure (free replies included) is within margin."""
    answers = found.finding("accuracy")
    others = all(f.verdict == "kept" for f in found.findings if f.what != "accuracy")
    others = others and found.replies_kept
    return on.Kept(
        answers.loss, answers.low, answers.high, answers.margin, answers.units,
        answers.supported if answers.supported is not None else float("inf"), others,
    )  # fmt: skip


def influence(
    found: HiringFindings, one: HiringFinding, settings: HiringSettings
) -> on.HiringInfluence:
    """One contrast of the hiring audit."""
    inside = _inside(one.gap.low, one.gap.high, settings.margin)
    same = [
        row
        for row in one.secondary
        if row.unit == "log odds" and _inside(row.gap.low, row.gap.high, settings.margin)
    ]
    primary = (settings.contexts[0], settings.statements[0])
    return on.HiringInfluence(
        level=one.verdict.level,
        words=one.verdict.words,
        margin=settings.margin,
        recovered=found.check.recovered,
        inside=inside,
        contexts=1 + len({row.context for row in same if row.prompt == "P1"} - {primary[0]}),
        prompts=1 + len({r.prompt for r in same if (r.context, r.statement) == primary} - {"P1"}),
    )


def _inside(low: float, high: float, margin: float) -> bool:
    return -margin < low and high < margin


def ratio(found: HiringFindings) -> on.Ratio | None:
    """The impact ratio, if it could be computed."""
    i = found.impact
    return None if i is None else on.Ratio(i.value, i.low, i.high, i.omnibus, i.chance)


def fairness(
    effect: AlignmentEffect, sides: Mapping[str, HiringFindings], settings: HiringSettings
) -> on.Fairness:
    """What alignment did to one gap."""
    return on.Fairness(
        change=effect.gap.value,
        low=effect.gap.low,
        high=effect.gap.high,
        direction=DIRECTIONS.get(effect.movement, ""),
        margin=settings.margin,
        recovered=all(side.check.recovered for side in sides.values()),
    )


def side_effects(results: Results, measures: Measures) -> on.SideEffects:
    """Part of the move not toward the target, minus that of asking again; topics need control arms.

    Unknown if most outcomes moved, so that there is no common scale, and if asking again alone
    moves the model as far.
    """
    s, held = measures.steering, results.held_out
    if s is None or held is None:
        return on.SideEffects(None, ())
    shift = held.shift
    null = s.retest_side_effect if s.retest_side_effect == s.retest_side_effect else 0.0
    moved = s.beyond_retest or s.away_beyond_retest or bool(shift.moved.any())
    known = s.side_effect == s.side_effect and shift.scale_holds and moved
    return on.SideEffects(max(s.side_effect - null, 0.0) if known else None, ())


def rose(results: Results, measures: Measures) -> tuple[on.Rose, ...]:
    """Every held-out outcome that was asked about in several wordings."""
    held, plan, budget = results.held_out, results.space.plan, measures.wording
    if budget is None or held is None:
        return ()
    shift = held.shift
    found = []
    for k, outcome in enumerate(plan.held_out):
        if outcome in budget.rises:
            up, (rose_in, fell_in) = bool(shift.shift[k] > 0), budget.rises[outcome]
            moved = bool(shift.moved[k]) and shift.scale_holds
            same, wordings = rose_in if up else fell_in, len(budget.used)
            found.append(on.Rose(held.texts[k], moved, up, same, wordings))
    return tuple(found)


def count_tests(results: Results, measures: Measures) -> int:
    """Number of statistical tests behind the report, without batteries.

    P values of outcomes, right answers (standard tasks too), hiring audits and their change;
    intervals of the anchor.
    """
    hiring = [side.tests for side in (measures.hiring.before, measures.hiring.after) if side]
    kept_tests = 0 if measures.retention is None else 2
    anchored = 0 if measures.anchor.result is None else measures.anchor.result.tests
    change, tasks = 2 * len(measures.hiring.effects), read_harness(results.space.run.path)
    by_task = 0 if tasks is None else sum(s.p_value is not None for s in tasks.scores)
    outcomes = 0 if results.held_out is None else len(results.held_out.texts)
    return outcomes + sum(hiring) + change + kept_tests + by_task + anchored
