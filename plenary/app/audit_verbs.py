"""The hiring audit of a model, or of a model before and after training."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

from evaluation.hiring_audit import AuditPlan, HiringAudit, audit, audit_plan
from evaluation.hiring_change import AlignmentEffect, alignment_effect
from evaluation.hiring_examination import examine
from evaluation.hiring_findings import Finding, HiringFindings
from evaluation.hiring_stimuli import default_stimuli, load_stimuli
from plenary.app.config import PipelineConfig
from plenary.app.executor import HERE, Executor
from plenary.app.loose_outputs import asked_under, claim
from plenary.app.models import call_store
from plenary.app.run_directory import content_hash
from plenary.app.tasks import open_shared
from plenary.chat.cache import CachedBackend

Record = dict[str, object]


class AuditRequest(NamedTuple):
    """What is audited; `adapter` is of the same model after training, asked by the same plan."""

    config: PipelineConfig
    plan: AuditPlan
    adapter: Path | None
    out: Path
    cues: str = "default"


def audit_request(
    config: PipelineConfig, cues: Path | None, adapter: Path | None, out: Path
) -> AuditRequest:
    """The plan under the settings; ConfigError for one that costs too many calls."""
    stimuli = default_stimuli() if cues is None else load_stimuli(cues)
    plan = audit_plan(stimuli, config.hiring, config.seed)
    return AuditRequest(config, plan, adapter, out, content_hash(cues) if cues else "default")


class Audited(NamedTuple):
    """One model's answers and what they show."""

    answers: HiringAudit
    findings: HiringFindings


def audit_models(request: AuditRequest, executor: Executor = HERE) -> Record:
    """Ask, examine and write answers (Parquet) and findings (JSON) into the folder.

    ConfigError for a folder with those of another model or other settings.
    """
    for when, adapter in (("before", None), ("after", request.adapter)):
        if when == "before" or adapter is not None:
            made = asked_under(request.config, "hiring", adapter=adapter)
            claim(_outputs(request, when), made | {"cues": request.cues}, "--out")
    before = audited(request, None, "before", executor)
    record = _rows(before.findings)
    if request.adapter is None:
        return record
    after = audited(request, request.adapter, "after", executor)
    record |= {f"{name} after": value for name, value in _rows(after.findings).items()}
    effects = alignment_effect(request.plan, before.answers, after.answers)
    return record | {f"effect of alignment, {_named(e)}": _told(e) for e in effects}


def audited(
    request: AuditRequest, adapter: Path | None, when: str, executor: Executor = HERE
) -> Audited:
    """All answers and findings of one model; recorded calls are not asked again."""
    request.out.mkdir(parents=True, exist_ok=True)
    model = open_shared(request.config.model, request.config, adapter, executor)
    with call_store(request.out / "calls.sqlite") as store:
        answers = asyncio.run(audit(CachedBackend(model, store), request.plan))
    table, findings = _outputs(request, when)
    answers.write(table)
    found = examine(request.plan, answers)
    found.write(findings)
    return Audited(answers, found)


def _outputs(request: AuditRequest, when: str) -> tuple[Path, Path]:
    return request.out / f"answers_{when}.parquet", request.out / f"findings_{when}.json"


def _rows(found: HiringFindings) -> Record:
    rows: Record = {
        "groups": f"{', '.join(found.groups)}{' (invented)' if found.fictional else ''}",
        "answers": f"{found.asked}, of which invalid {found.invalid}",
        "tests": found.tests,
        "manipulation check": f"background named from its cue in {found.check.balanced:.0%}, "
        f"chance {found.check.chance:.0%}, p {found.check.p:.3f}",
    }
    for finding in found.findings:
        contrast = _named(finding)
        gap = finding.gap
        rows[f"verdict, {contrast}"] = finding.verdict.words
        rows[f"gap in log odds, {contrast}"] = (
            f"{gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f}), p {finding.p_holm:.3f}, "
            f"placebo limit {finding.placebo.limit:.3f}"
        )
    return rows


def _named(contrast: Finding | AlignmentEffect) -> str:
    return f"{contrast.compared} against {contrast.reference}"


def _told(effect: AlignmentEffect) -> str:
    gap = effect.gap
    return f"{effect.words} ({gap.value:+.3f}, {gap.low:+.3f} to {gap.high:+.3f})"
