"""Stages that measure models besides the gain: wordings, hiring, retention, survey answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from evaluation.batteries.base import SurveyQuestion
from evaluation.batteries.human_anchor import Citizens, Given, anchored, survey_answers
from evaluation.consistency.wording_study import ask_wordings, some_pairs, wording_study
from evaluation.hiring.audit import AuditPlan, HiringAudit, audit, audit_plan
from evaluation.hiring.change import alignment_effect
from evaluation.hiring.findings import HiringFindings, examine
from evaluation.hiring.stimuli import default_stimuli, load_stimuli
from personas.survey.groups import groups
from personas.survey.interviews import question
from personas.survey.survey import Survey, load_survey
from plenary.executors.base import HERE, Executor
from plenary.hashing import content_hash
from plenary.models.base import ChatBackend
from plenary.models.wrappers.cache import CachedBackend
from plenary.preferences import FloatArray
from plenary.prompt_templates import PROMPT_TEMPLATES
from plenary.runs import filenames
from plenary.runs.config import PipelineConfig
from plenary.runs.models import EMBEDDED, call_store
from plenary.runs.records.base import write_measured, write_record
from plenary.runs.records.measures import (
    AnchorRecord,
    ExamplePair,
    HiringRecord,
    RetentionRecord,
    WordingRecord,
)
from plenary.runs.workers import open_distributed
from plenary.runs.workspace import Workspace
from plenary.seeding import derived_seed, generator
from plenary.stages.experiment_context import reference_retention, untrained_wordings

EXAMPLES = 5


def _sides(space: Workspace) -> dict[str, ChatBackend]:
    """The model before and after."""
    model = space.config.model
    return {
        "before": space.model(model),
        "after": space.model(model, space.file(filenames.ADAPTER)),
    }


def measure_wording(space: Workspace) -> None:
    """Ask some held-out pairs in every designed wording, before and after."""
    config = space.config
    if not config.measures.wording_pairs:
        write_record(WordingRecord(budget=None), space.file(filenames.WORDING))
        return
    rng = generator(space.seed, "framing", "pairs")
    pairs = some_pairs(space.plan.pairs[space.held_out_mask], config.measures.wording_pairs, rng)
    forms = tuple(PROMPT_TEMPLATES.values())
    if config.model == EMBEDDED:
        forms += untrained_wordings(config.model)
    answers = {}
    with call_store(space.file(filenames.CALLS)) as store:
        for name, model in _sides(space).items():
            asking = ask_wordings(
                CachedBackend(model, store), space.plan.texts, pairs, forms,
                config.alignment.templates, config.elicitation, derived_seed(space.seed, "framing"),
            )  # fmt: skip
            answers[name] = asyncio.run(asking)
            space.watcher.asked(f"wording {name}", answers[name].asked)
    target = space.targets("held_out")
    record = WordingRecord(budget=wording_study(answers, pairs, target, space.seed))
    write_record(record, space.file(filenames.WORDING))


def audit_hiring(space: Workspace) -> None:
    """Audit hiring decisions before and after."""
    write_measured(lambda: _hiring(space), space.file(filenames.HIRING))


def _hiring(space: Workspace) -> HiringRecord:
    record = HiringRecord(before=None, after=None, effects=(), examples=())
    if space.config.measures.hiring:
        request = audit_request(space.config, None, None, space.file("hiring"))
        before = audited(request, None, "before", space.executor)
        after = audited(request, space.file(filenames.ADAPTER), "after", space.executor)
        record = HiringRecord(
            before=before.findings,
            after=after.findings,
            effects=alignment_effect(request.plan, before.answers, after.answers),
            examples=_examples(request.plan, before, after),
        )
    return record


def _examples(plan: AuditPlan, before: Audited, after: Audited) -> tuple[ExamplePair, ...]:
    """Resumes drawn at random, each with its first cue of the second and of the first group."""
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
    """Measure what training kept of the base model."""
    kept = reference_retention(space) if space.config.measures.retention else None
    write_record(RetentionRecord(kept=kept), space.file(filenames.RETENTION))


def anchor(space: Workspace) -> None:
    """Compare survey answers before, after and of the citizens with those of people."""
    record = AnchorRecord(result=None)
    if space.config.measures.human_anchor:
        survey = load_survey()
        questions = survey_questions(survey)
        with call_store(space.file(filenames.CALLS)) as store:
            before, after = (
                _survey(space, CachedBackend(model, store), questions, (None,))
                for model in _sides(space).values()
            )
            citizens = None
            if before.informative:
                speakers = CachedBackend(space.citizens, store)
                said = _survey(space, speakers, questions, space.persona_texts)
                found = groups(survey, space.panel)
                members = {f"{group.by} {group.name}": group.members for group in found}
                citizens = Citizens(said, space.panel.weight, members)
        record = AnchorRecord(result=anchored(before, after, citizens, questions, space.seed))
    write_record(record, space.file(filenames.ANCHOR))


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


def survey_questions(survey: Survey) -> tuple[SurveyQuestion, ...]:
    """The survey's items as the human anchor asks them; groups by one attribute."""
    of_groups: dict[str, dict[str, FloatArray]] = {}
    for (item, by, name), shares in survey.shares.items():
        if by in survey.file.groupings:
            of_groups.setdefault(item, {})[f"{by} {name}"] = shares
    return tuple(
        SurveyQuestion(
            key,
            (
                question(item, "plain", None, reverse=False),
                question(item, "plain", None, reverse=True),
            ),
            survey.marginal(key),
            of_groups.get(key, {}),
            item.retest,
        )
        for key, item in survey.file.items.items()
    )


class AuditRequest(NamedTuple):
    """What is audited; `adapter`: the same model after training, asked with the same plan."""

    config: PipelineConfig
    plan: AuditPlan
    adapter: Path | None
    out: Path
    cues: str = "default"


def audit_request(
    config: PipelineConfig, cues: Path | None, adapter: Path | None, out: Path
) -> AuditRequest:
    """The audit plan from the settings; ConfigError if it needs too many calls."""
    stimuli = default_stimuli() if cues is None else load_stimuli(cues)
    plan = audit_plan(stimuli, config.hiring, config.seed)
    return AuditRequest(config, plan, adapter, out, content_hash(cues) if cues else "default")


class Audited(NamedTuple):
    """One model's answers and findings."""

    answers: HiringAudit
    findings: HiringFindings


def audited(
    request: AuditRequest, adapter: Path | None, when: str, executor: Executor = HERE
) -> Audited:
    """All answers and findings of one model; recorded calls are not asked again."""
    request.out.mkdir(parents=True, exist_ok=True)
    model = open_distributed(request.config.model, request.config, adapter, executor)
    with call_store(request.out / "calls.sqlite") as store:
        answers = asyncio.run(audit(CachedBackend(model, store), request.plan))
    table, findings = outputs_of(request, when)
    answers.write(table)
    found = examine(request.plan, answers)
    found.write(findings)
    return Audited(answers, found)


def outputs_of(request: AuditRequest, when: str) -> tuple[Path, Path]:
    """The two files of one audited model: its answers and its findings."""
    return request.out / f"answers_{when}.parquet", request.out / f"findings_{when}.json"
