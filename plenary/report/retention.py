"""Report section on what training kept of the base model, and on side effects."""

from __future__ import annotations

import numpy as np

from alignment.retention.retention import Retention
from evaluation.claims.claims import CAPABILITY, ROSE, SIDE_EFFECTS, Finding
from plenary.figures.page_parts import Head
from plenary.report.elements import LEFT_OUT, ReportTable, Section, sentences
from plenary.report.evidence import Measures, kept, rose, side_effects
from plenary.report.results import Results
from plenary.report.wording import RISEN
from plenary.runs.records.measures import read_harness
from plenary.safe_text import strip_hidden

KEPT_NAMES = {
    "kl_neutral": "KL(base || model) on neutral text, nats",
    "bits_per_byte": "bits per byte on neutral text",
    "accuracy": "share of right answers",
    "accuracy_by_length": "share of right answers, normalised by length of the options",
}


def risen(results: Results, measures: Measures) -> tuple[str, ...]:
    """The outcomes for which a movement was shown, largest first."""
    if results.held_out is None:
        return ()
    sizes = np.abs(results.held_out.shift.shift)
    texts = results.held_out.texts
    found = [ROSE.say(evidence) for evidence in sorted(
        rose(results, measures), key=lambda e: -sizes[texts.index(e.outcome)]
    )]  # fmt: skip
    return sentences(tuple(found))[:RISEN]


def retention_findings(results: Results, measures: Measures) -> tuple[Finding, ...]:
    """Whether abilities were kept, and what else moved."""
    said = (SIDE_EFFECTS.say(side_effects(results, measures)),)
    return said if measures.retention is None else (
        CAPABILITY.say(kept(measures.retention)), *said,
    )  # fmt: skip


def retention_section(results: Results, measures: Measures) -> Section:
    """What training kept of the base model, with margins."""
    found, title = measures.retention, "What training kept"
    said = sentences(retention_findings(results, measures))
    if found is None:
        left_out = (LEFT_OUT.format("measures.retention"), *said)
        return Section(title, left_out, (), _harness(results))
    heads = (
        Head("Measure"), Head("Before", True), Head("After", True), Head("Loss", True),
        Head("Margin", True), Head("Can rule out", True), Head("n", True), Head("Verdict"),
    )  # fmt: skip
    rows = tuple(
        (
            KEPT_NAMES[f.what],
            f"{f.before:.3f}",
            f"{f.after:.3f}",
            f"{f.loss:+.3f} ({f.low:+.3f} to {f.high:+.3f})",
            f"{f.margin:.3f}",
            "" if f.supported is None else f"{f.supported:.3f}",
            str(f.units),
            f.verdict,
        )
        for f in found.findings
    )
    caption = (
        f"Retention set “{found.name}”: questions and neutral texts written for plenary. It is a "
        "smoke "
        "test, not a benchmark of ability. Losses have one-sided 95 % bounds. Can rule out: the "
        "smallest loss that this number of items can exclude with power 0.8."
    )
    tables = (ReportTable(caption, heads, rows), _health(found), *_harness(results))
    return Section(title, said, (), tables)


def _harness(results: Results) -> tuple[ReportTable, ...]:
    """Standard tasks, if they were run on this run's adapter."""
    found = read_harness(results.space.run.path)
    if found is None:
        return ()
    heads = (
        Head("Task"),
        Head("Metric"),
        Head("Before", True),
        Head("After", True),
        Head("Change"),
    )
    rows = tuple(
        (strip_hidden(s.task), strip_hidden(s.metric), f"{s.before:.3f}", f"{s.after:.3f}", s.told)
        for s in found.scores
    )
    caption = (
        "Tasks run by lm_eval on the same weights with the adapter off and on: proxies of "
        "capability on data chosen by the user. Change: paired by item, with one-sided 95 % bounds."
    )
    return (ReportTable(caption, heads, rows, "Standard tasks"),)


def _health(found: Retention) -> ReportTable:
    sides = (found.health_before, found.health_after)
    rows = tuple(
        (name, *(f"{getattr(side, key):.3g}" for side in sides))
        for key, name in (
            ("empty", "replies without text"),
            ("ended", "replies that ended before the length limit"),
            ("repeated", "repeated four-word sequences"),
            ("words", "words per reply"),
            ("refused", "replies that refuse"),
            ("drifted", "replies in a language other than the prompt's"),
            ("answered", "preference questions answered in the asked format"),
        )
    )
    ratio = found.kl_task / max(found.finding("kl_neutral").loss, 1e-9)
    rows += (
        ("length of a reply, after divided by before", "", _over(sides[1].words, sides[0].words)),
        ("KL on preference questions divided by KL on neutral text", "", f"{ratio:.1f}"),
        ("share of neutral text with the same most likely token", "1", f"{found.top1:.3f}"),
        ("KL on neutral text, 95th percentile, nats", "0", f"{found.kl_neutral_p95:.3f}"),
        ("KL of answers to preference questions, nats", "0", f"{found.kl_task:.3f}"),
    )
    heads = (Head("Free replies and divergence"), Head("Before", True), Head("After", True))
    return ReportTable(f"{sides[0].replies} neutral prompts.", heads, rows, "Free replies")


def _over(after: float, before: float) -> str:
    return f"{after / before:.2f}" if before else "unknown"
