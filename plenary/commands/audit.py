"""`plenary audit`: the hiring audit of any model, or of a model before and after training."""

from __future__ import annotations

from evaluation.hiring.change import AlignmentEffect, alignment_effect
from evaluation.hiring.findings import HiringFinding, HiringFindings
from plenary.commands.loose_outputs import asked_under, claim
from plenary.executors.base import HERE, Executor
from plenary.stages.measures import AuditRequest, audited, outputs_of

Record = dict[str, object]


def audit_models(request: AuditRequest, executor: Executor = HERE) -> Record:
    """Ask the model, examine its answers, and write answers (Parquet) and findings (JSON).

    ConfigError if the folder holds those of another model or other settings.
    """
    for when, adapter in (("before", None), ("after", request.adapter)):
        if when == "before" or adapter is not None:
            made = asked_under(request.config, "hiring", adapter=adapter)
            claim(outputs_of(request, when), made | {"cues": request.cues}, "--out")
    before = audited(request, None, "before", executor)
    record = _rows(before.findings)
    if request.adapter is None:
        return record
    after = audited(request, request.adapter, "after", executor)
    record |= {f"{name} after": value for name, value in _rows(after.findings).items()}
    effects = alignment_effect(request.plan, before.answers, after.answers)
    return record | {f"effect of alignment, {_named(e)}": _told(e) for e in effects}


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


def _named(contrast: HiringFinding | AlignmentEffect) -> str:
    return f"{contrast.compared} against {contrast.reference}"


def _told(effect: AlignmentEffect) -> str:
    gap = effect.gap
    return f"{effect.words} ({gap.value:+.3f}, {gap.low:+.3f} to {gap.high:+.3f})"
