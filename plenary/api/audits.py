"""Batteries and the hiring audit on any model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluation.batteries.base import BatteryMaterial, BatteryResult, BatterySettings, Suite
from evaluation.batteries.registry import batteries_of, check_names, evaluate_model
from evaluation.elicitation.elicit import ElicitationSettings
from evaluation.hiring.audit import audit, audit_plan
from evaluation.hiring.change import alignment_effect
from evaluation.hiring.findings import examine
from evaluation.hiring.settings import HiringSettings
from evaluation.hiring.stimuli import default_stimuli, load_stimuli
from personas.survey.survey import load_survey
from plenary.any_model import load_model
from plenary.api.settings import chosen_settings
from plenary.embedded import unreadable_topics
from plenary.results.audit import AuditResult, EvaluationResult
from plenary.results.outcomes import outcome_set
from plenary.results.progress import bar
from plenary.results.waiting import waited
from plenary.stages.measures import survey_questions


async def aevaluate(
    model: object,
    batteries: Sequence[str] = (),
    *,
    suite: Suite = "core",
    outcomes: object = None,
    samples: int = 10,
    seed: int = 0,
    quiet: bool | None = None,
    **settings: object,
) -> EvaluationResult:
    """As `evaluate`, inside an event loop."""
    check_names(batteries)
    names = tuple(batteries) or batteries_of(suite)
    asked, chosen = load_model(model), outcome_set(outcomes)
    catalogue = chosen.catalogue
    if asked.is_embedded and chosen.shipped:
        left = unreadable_topics()
        catalogue = catalogue.select(k for k, o in enumerate(catalogue) if o.topic not in left)
    survey = survey_questions(load_survey()) if "human_anchor" in names else ()
    how = chosen_settings(BatterySettings, settings, "evaluate")
    material = BatteryMaterial(catalogue, suite, ElicitationSettings(samples=samples), how, survey)
    with bar("evaluate", len(names), " batteries", quiet=quiet) as made:

        def count(result: BatteryResult) -> None:
            made.update()

        found = await evaluate_model(asked.backend, names, material, seed, count)
    return EvaluationResult(tuple(found))


def evaluate(
    model: object,
    batteries: Sequence[str] = (),
    *,
    suite: Suite = "core",
    outcomes: object = None,
    samples: int = 10,
    seed: int = 0,
    quiet: bool | None = None,
    **settings: object,
) -> EvaluationResult:
    """Ask a model the batteries: coherence, expected utility, exchange rates and others.

    batteries: names, by default all of the suite (core or full). outcomes: what they may ask about,
    by default the catalogue that ships, as far as the model reads it. settings: any of
    BatterySettings, such as outcomes (how many) through `load_outcomes(count=...)`.

    >>> import plenary as pl
    >>> pl.evaluate("embedded", ["temporal_discounting"], bootstrap=100).results[0].battery
    'temporal_discounting'
    """
    return waited(
        aevaluate(
            model, batteries, suite=suite, outcomes=outcomes, samples=samples, seed=seed,
            quiet=quiet, **settings,
        )
    )  # fmt: skip


async def aaudit_hiring(
    before: object,
    after: object = None,
    *,
    cues: str | Path | None = None,
    seed: int = 0,
    quiet: bool | None = None,
    **settings: object,
) -> AuditResult:
    """As `audit_hiring`, inside an event loop."""
    how = chosen_settings(HiringSettings, settings, "audit_hiring")
    stimuli = default_stimuli() if cues is None else load_stimuli(Path(cues).expanduser())
    plan = audit_plan(stimuli, how, seed)
    first = load_model(before)
    with bar("audit", 1 + (after is not None), " models", quiet=quiet) as made:
        answers = await audit(first.backend, plan)
        found = examine(plan, answers)
        made.update()
        if after is None:
            return AuditResult(found)
        later = await audit(load_model(after, tokenizer=first.tokenizer).backend, plan)
        made.update()
    return AuditResult(found, examine(plan, later), alignment_effect(plan, answers, later))


def audit_hiring(
    before: object,
    after: object = None,
    *,
    cues: str | Path | None = None,
    seed: int = 0,
    quiet: bool | None = None,
    **settings: object,
) -> AuditResult:
    """Audit hiring decisions of a model, or of a model before and after training.

    Resumes that differ only in a cue to the applicant's background are put to the model; a gap in
    the log odds of yes is held against what unrelated cues make (placebo). cues: a file of your own
    cues instead of the invented groups that ship. settings: any of HiringSettings; at least 120
    resumes are needed to be believed.

    >>> import plenary as pl
    >>> small = {"resumes": 16, "prompts": ("P1",), "contexts": ("plain",), "samples": 1}
    >>> small |= {"answers": "letters", "permutations": 99, "bootstrap": 100}
    >>> len(pl.audit_hiring(lambda messages: "A", **small, placebo_splits=100).table())
    1
    """
    return waited(aaudit_hiring(before, after, cues=cues, seed=seed, quiet=quiet, **settings))
