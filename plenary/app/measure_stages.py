"""Measuring the model before and after: side effects, framing, hiring, retention, human anchor."""

from __future__ import annotations

import asyncio

import numpy as np
from scipy.special import expit

from evaluation.comparison import compare
from evaluation.frames import FRAMES
from evaluation.framing_budget import ask_wordings, framing_budget, some_pairs
from evaluation.hiring_audit import AuditPlan
from evaluation.hiring_change import alignment_effect
from evaluation.human_anchor import (
    Citizens,
    Given,
    SurveyQuestion,
    anchored,
    survey_answers,
)
from evaluation.steering import steering
from personas.groups import groups
from personas.survey import Survey, load_survey
from plenary.app import workspace as ws
from plenary.app.audit_verbs import Audited, audit_request, audited
from plenary.app.fits import load_fits
from plenary.app.laboratory import reference_retention, side_of, untrained_wordings
from plenary.app.measure_records import (
    AnchorRecord,
    ExamplePair,
    FramingRecord,
    HiringRecord,
    RetentionRecord,
    SteeringRecord,
)
from plenary.app.models import EMBEDDED, call_store
from plenary.app.records import write_measured, write_record
from plenary.app.stages import Stage, citizens_of, subject
from plenary.app.survey_asking import survey_questions
from plenary.app.workspace import Workspace
from plenary.chat.base import ChatBackend
from plenary.chat.cache import CachedBackend
from plenary.preferences import IntArray
from plenary.seeding import derived_seed, generator

EXAMPLES = 5


def steer(space: Workspace) -> None:
    """How far and how cleanly utilities moved, beside the same of the null run."""
    write_measured(lambda: _steered(space), space.file(ws.STEERING))


def _steered(space: Workspace) -> SteeringRecord:
    before, after, target, *null = load_fits(space, (*ws.SOURCES, *ws.NULLS), "held_out")
    settings = space.config.comparison
    moved = steering(before, after, target, settings, space.seed)
    noise = steering(null[0], null[1], target, settings, space.seed)
    old, new = (space.of_side(space.cells(when), "train") for when in ws.WHEN)
    goal = side_of(space, space.consensus, held=False)
    trained = compare(old, new, goal, None, settings, space.seed)
    return SteeringRecord(
        gain=moved.gain.value,
        low=moved.gain.low,
        high=moved.gain.high,
        side_effect=moved.side_effect.value,
        null_low=noise.gain.low,
        null_high=noise.gain.high,
        null_side_effect=noise.side_effect.value,
        trained=trained.gain,
        trained_low=trained.gain_low,
        trained_high=trained.gain_high,
    )


def _sides(space: Workspace) -> dict[str, ChatBackend]:
    """The model before and after."""
    model = space.config.model
    return {"before": space.model(model), "after": space.model(model, space.file(ws.ADAPTER))}


def measure_framing(space: Workspace) -> None:
    """Ask some held-out pairs in every designed wording, before and after."""
    config = space.config
    if not config.measures.framing_pairs:
        write_record(FramingRecord(budget=None), space.file(ws.FRAMING))
        return
    rng = generator(space.seed, "framing", "pairs")
    pairs = some_pairs(space.plan.pairs[space.held_out_mask], config.measures.framing_pairs, rng)
    forms = tuple(FRAMES.values())
    if config.model == EMBEDDED:
        forms += untrained_wordings(config.model)
    answers = {}
    with call_store(space.file(ws.CALLS)) as store:
        for name, model in _sides(space).items():
            asking = ask_wordings(
                CachedBackend(model, store), space.plan.texts, pairs, forms,
                config.alignment.frames, config.elicitation, derived_seed(space.seed, "framing"),
            )  # fmt: skip
            answers[name] = asyncio.run(asking)
            space.watcher.asked(f"framing {name}", answers[name].asked)
    target = side_of(space, space.consensus, held=True)
    record = FramingRecord(budget=framing_budget(answers, pairs, target, space.seed))
    write_record(record, space.file(ws.FRAMING))


def audit_hiring(space: Workspace) -> None:
    """Audit hiring decisions before and after."""
    write_measured(lambda: _hiring(space), space.file(ws.HIRING))


def _hiring(space: Workspace) -> HiringRecord:
    record = HiringRecord(before=None, after=None, effects=(), examples=())
    if space.config.measures.hiring:
        request = audit_request(space.config, None, None, space.file("hiring"))
        before = audited(request, None, "before", space.executor)
        after = audited(request, space.file(ws.ADAPTER), "after", space.executor)
        record = HiringRecord(
            before=before.findings,
            after=after.findings,
            effects=alignment_effect(request.plan, before.answers, after.answers),
            examples=_examples(request.plan, before, after),
        )
    return record


def _examples(plan: AuditPlan, before: Audited, after: Audited) -> tuple[ExamplePair, ...]:
    """Resumes drawn at random, each with its first cue of the second group and of the first."""
    sheets = [side.answers.sheet(plan.primary("P1")) for side in (before, after)]
    tables = [
        {(int(s.resume[k]), int(s.variant[k])): float(expit(s.value[k]))
         for k in np.flatnonzero(s.edit == 0)}
        for s in sheets if s is not None
    ]  # fmt: skip
    order = generator(plan.seed, "hiring", "examples").permutation(len(plan.shown))
    found = []
    for n in sorted(order[:EXAMPLES].tolist()):
        cells = [(n, int(plan.shown[n, 0, group])) for group in (1, 0)]
        resume = plan.stimuli.resumes[n]
        cues = [plan.stimuli.variants[v] for _, v in cells]
        old, new = (tuple(table[cell] for cell in cells) for table in tables)
        found.append(
            ExamplePair(
                resume=f"{plan.stimuli.job(resume).title}, {resume.years} years",
                cues=(cues[0].text, cues[1].text),
                before=(old[0], old[1]),
                after=(new[0], new[1]),
            )
        )
    return tuple(found)


def keep(space: Workspace) -> None:
    """What training kept of the base model."""
    kept = reference_retention(space) if space.config.measures.retention else None
    write_record(RetentionRecord(kept=kept), space.file(ws.KEPT))


def anchor(space: Workspace) -> None:
    """Survey answers before and after, and of the citizens, against those of people."""
    record = AnchorRecord(result=None)
    if space.config.measures.human_anchor:
        survey = load_survey()
        questions = survey_questions(survey)
        with call_store(space.file(ws.CALLS)) as store:
            before, after = (
                _survey(space, CachedBackend(model, store), questions, (None,))
                for model in _sides(space).values()
            )
            citizens = None
            if before.informative:
                speakers = CachedBackend(space.citizens, store)
                said = _survey(space, speakers, questions, space.persona_texts)
                citizens = Citizens(said, space.panel.weight, _members(survey, space))
        record = AnchorRecord(result=anchored(before, after, citizens, questions, space.seed))
    write_record(record, space.file(ws.ANCHOR))


def _survey(
    space: Workspace,
    model: ChatBackend,
    questions: tuple[SurveyQuestion, ...],
    systems: tuple[str | None, ...],
) -> Given:
    settings = space.config.elicitation
    return asyncio.run(
        survey_answers(
            model, questions, systems, samples=settings.samples,
            seed=derived_seed(space.seed, "survey"), least_mass=settings.min_mass,
        )
    )  # fmt: skip


def _members(survey: Survey, space: Workspace) -> dict[str, IntArray]:
    return {f"{group.by} {group.name}": group.members for group in groups(survey, space.panel)}


MEASURES: tuple[Stage, ...] = (
    Stage(
        "steering",
        steer,
        lambda c: (c.comparison, c.seed),
        ("plan", "elicit before", "elicit after", "consensus", "fit"),
        (ws.STEERING,),
    ),
    Stage(
        "framing",
        measure_framing,
        lambda c: (c.measures.framing_pairs, c.elicitation, *subject(c), c.alignment, c.seed),
        ("plan", "consensus", "align"),
        (ws.FRAMING,),
    ),
    Stage(
        "hiring",
        audit_hiring,
        lambda c: (str(c.measures.hiring), c.hiring, *subject(c), c.seed),
        ("align",),
        (ws.HIRING,),
    ),
    Stage(
        "retention",
        keep,
        lambda c: (str(c.measures.retention), *subject(c), c.seed),
        ("plan", "consensus", "align"),
        (ws.KEPT,),
    ),
    Stage(
        "human anchor",
        anchor,
        lambda c: (str(c.measures.human_anchor), c.elicitation, *subject(c), *citizens_of(c),
                   c.profile, c.seed),
        ("plan", "recruit", "align"),
        (ws.ANCHOR,),
    ),
)  # fmt: skip
