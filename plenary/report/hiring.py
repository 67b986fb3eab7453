"""Report section on the hiring audit: before and after, placebo band, reasons and examples."""

from __future__ import annotations

from collections.abc import Mapping

from evaluation.claims.claims import EQUIVALENT, FAIRER, HIRING, IMPACT, UNACCOUNTED, Finding
from evaluation.hiring.findings import HiringFinding, HiringFindings
from evaluation.hiring.gaps import Clustered, Gap
from evaluation.hiring.settings import HiringSettings
from plenary.figures.page_parts import Head
from plenary.figures.svg import Range, ranges
from plenary.report.elements import LEFT_OUT, Drawing, ReportTable, Row, Section, sentences
from plenary.report.evidence import Measures, fairness, influence, ratio
from plenary.report.wording import UNTOLD
from plenary.runs.records.measures import HiringRecord
from plenary.safe_text import strip_hidden

TITLE = "Hiring audit, synthetic resumes"
NOTE = (
    "Synthetic resumes in the listed prompts; this is neither a finding about people nor a legal "
    "one. The gap is in log odds of an invitation, compared group minus reference group, with cues "
    "as a random factor."
)


def hiring_findings(
    measures: Measures, settings: HiringSettings, *, whole: bool = False
) -> tuple[Finding, ...]:
    """What the audit after training shows, and what alignment changed; whole: also the ratio."""
    sides = _sides(measures.hiring)
    if not sides:
        return ()
    found = sides["after"]
    said: list[Finding] = []
    for one in found.findings:
        evidence = influence(found, one, settings)
        claims = (HIRING, UNACCOUNTED, EQUIVALENT)
        said += [claim.say(evidence) for claim in claims]
    rates = ratio(found)
    if whole and rates is not None:
        said.append(IMPACT.say(rates))
    # If the audit after training is uninformative, so is the change, for the same reason.
    if found.check.recovered:
        said += [FAIRER.say(fairness(e, sides, settings)) for e in measures.hiring.effects]
    return tuple(said)


def _sides(record: HiringRecord) -> dict[str, HiringFindings]:
    if record.before is None or record.after is None:
        return {}
    return {"before": record.before, "after": record.after}


def hiring_section(measures: Measures, settings: HiringSettings) -> Section:
    """The audit before and after."""
    record = measures.hiring
    sides = _sides(record)
    if not sides:
        why = measures.not_measured.get("hiring")
        said = LEFT_OUT.format("measures.hiring") if why is None else UNTOLD.format(why)
        return Section(TITLE, (said,))
    return Section(
        TITLE,
        sentences(hiring_findings(measures, settings, whole=True)),
        _forest(record, sides),
        (
            _verdicts(sides),
            _change(record),
            _reasons(sides),
            _examples(record),
        ),
        NOTE,
    )


def _forest(record: HiringRecord, sides: Mapping[str, HiringFindings]) -> tuple[Drawing, ...]:
    rows, limit = [], 0.0
    for when, found in sides.items():
        for one in found.findings:
            if one.gap.value == one.gap.value:
                g = one.gap
                rows.append(Range(f"{one.compared}, {when}"[:28], g.value, g.low, g.high, when))
                limit = max(limit, one.placebo.limit)
    for effect in record.effects:
        g = effect.gap
        rows.append(Range("change with alignment", g.value, g.low, g.high, "gain"))
    if not rows:
        return ()
    low, high = min(r.low for r in rows), max(r.high for r in rows)
    finding = "; ".join(f"{row.label}: {row.value:+.2f}" for row in rows)
    ends = (min(low, -limit), max(high, limit))
    drawing = ranges(rows, ends, "Gap between the groups, log odds", finding, (-limit, limit))
    first = next(iter(sides.values()))
    caption = (
        f"{finding}. Bars are 95 % intervals (pigeonhole bootstrap over resumes and cues); the "
        f"band contains 95 % of placebo gaps between cues of the same group. Groups: "
        f"{', '.join(map(strip_hidden, first.groups))}{' (invented)' if first.fictional else ''}."
    )
    return (Drawing(drawing, caption),)


def _verdicts(sides: Mapping[str, HiringFindings]) -> ReportTable:
    heads = (
        Head("When"), Head("Contrast"), Head("Verdict"), Head("Gap", True), Head("Holm p", True),
        Head("Placebo limit", True), Head("Rate gap", True), Head("In years", True),
    )  # fmt: skip
    rows: list[Row] = []
    for when, found in sides.items():
        rows += [_verdict_row(when, one) for one in found.findings]
    rates = [
        f"{when} {r.value:.2f} ({r.low:.2f} to {r.high:.2f})"
        for when, found in sides.items()
        if (r := ratio(found)) is not None
    ]
    checks = [f"{when} {found.check.balanced:.0%}" for when, found in sides.items()]
    first = next(iter(sides.values()))
    tests = sum(found.tests for found in sides.values())
    caption = (
        f"Manipulation check (share of cues whose background the model names; chance is "
        f"{first.check.chance:.0%}): {', '.join(checks)}. Ratio of selection rates: "
        f"{', '.join(rates) or 'unknown'}; on its own it is no evidence. "
        f"{sum(f.asked for f in sides.values()):,} answers, "
        f"{sum(f.invalid for f in sides.values()):,} invalid; {tests} tests."
    )
    return ReportTable(caption, heads, tuple(rows))


def _verdict_row(when: str, one: HiringFinding) -> Row:
    years = one.years
    return (
        when,
        f"{strip_hidden(one.compared)} against {strip_hidden(one.reference)}",
        one.verdict.words,
        _between(one.gap),
        f"{one.p_holm:.3f}",
        f"{one.placebo.limit:.3f}",
        "none" if one.rate is None else f"{100 * one.rate.expected.value:+.1f} points",
        "unknown" if years is None or years.value != years.value else f"{years.value:+.1f}",
    )


def _between(found: Gap | Clustered) -> str:
    if found.value != found.value:
        return "unknown"
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _change(record: HiringRecord) -> ReportTable:
    heads = (
        Head("Contrast"), Head("Change, log odds", True), Head("p", True),
        Head("Placebo limit", True), Head("Change in rate", True), Head("Reading"),
    )  # fmt: skip
    rows = tuple(
        (
            f"{strip_hidden(e.compared)} against {strip_hidden(e.reference)}",
            _between(e.gap),
            f"{e.gap.p:.3f}",
            f"{e.placebo.limit:.3f}",
            f"{100 * e.rate.value:+.1f} points",
            e.words,
        )
        for e in record.effects
    )
    caption = "Difference in differences: the same questions before and after alignment."
    return ReportTable(caption, heads, rows)


def _reasons(sides: Mapping[str, HiringFindings]) -> ReportTable:
    heads = (
        Head("When"), Head("Contrast"), Head("Net effect", True), Head("Disclosed", True),
        Head("Undisclosed, lower limit", True), Head("Reasons held fixed", True),
        Head("Criteria shift, p", True),
    )  # fmt: skip
    rows = []
    for when, found in sides.items():
        for one in found.findings:
            if one.reasons is not None:
                r = one.reasons
                rows.append((
                    when, f"{strip_hidden(one.compared)} against {strip_hidden(one.reference)}",
                    f"{r.net.net:+.3f}", f"{r.net.disclosed:.3f}",
                    f"{r.net.concealed.value:+.3f}, {r.net.concealed.lower:+.3f}",
                    _between(r.held.direct), f"{r.shift.p:.3f}",
                ))  # fmt: skip
    caption = (
        "Stated reasons (prompt P2). Net effect: share of pairs in which only the favoured group "
        "is "
        "invited, minus those in which only the other is. Disclosed: the part of it with a stated "
        "reason that uses background. Reasons held fixed: change in log odds due to the cue when "
        "the reason is the same text."
    )
    return ReportTable(caption, heads, tuple(rows), "Stated reasons")


def _examples(record: HiringRecord) -> ReportTable:
    heads = (
        Head("Resume"), Head("Cues compared"), Head("P(invite) before", True),
        Head("P(invite) after", True),
    )  # fmt: skip
    rows = tuple(
        (
            strip_hidden(pair.resume),
            f"{strip_hidden(pair.cues[0])} / {strip_hidden(pair.cues[1])}",
            f"{pair.before[0]:.3f} / {pair.before[1]:.3f}",
            f"{pair.after[0]:.3f} / {pair.after[1]:.3f}",
        )
        for pair in record.examples
    )
    return ReportTable("Drawn at random, not chosen.", heads, rows, f"{len(rows)} pairs of resumes")
