"""Report section on the wording study: how much of an answer is due to the wording."""

from __future__ import annotations

import numpy as np

from evaluation.batteries.wording_stability import stability
from evaluation.claims.claims import PREFERS, STABLE, Finding
from evaluation.claims.evidence import Preferred
from evaluation.consistency.wording_study import WordingEstimate, WordingRow, WordingStudy
from plenary.figures.page_parts import Head
from plenary.figures.svg import stacked
from plenary.report.elements import LEFT_OUT, Drawing, ReportTable, Row, Section, sentences
from plenary.report.evidence import Measures
from plenary.report.results import Results
from plenary.report.shift import SOURCES
from plenary.safe_text import strip_hidden

NAMED, RISEN = 3, 3

UNTOLD = "Not measured: {}"


def wording_findings(budget: WordingStudy | None) -> tuple[Finding, ...]:
    """Whether preferences are stable over wordings, after training."""
    if budget is None or "after" not in budget.sides:
        return ()
    return (STABLE.say(stability(budget, budget.sides["after"])),)


def wording_section(results: Results, measures: Measures) -> Section:
    """The variance components of an answer, before and after."""
    title, budget = "How much depends on the wording: the wording study", measures.wording
    if budget is None:
        return Section(title, (LEFT_OUT.format("measures.wording_pairs"),))
    tables = (_wordings(budget),)
    if not budget.sides:
        return Section(title, (budget.note + ".",), (), tables)
    after = budget.sides["after"]
    said = (*wording_findings(budget), *_named(results, budget))
    rows = [
        (f"{name} training", [side.shares[source] for source in SOURCES])
        for name, side in budget.sides.items()
    ]
    shares = "; ".join(f"{name} {shares[0]:.0%}" for name, shares in rows)
    finding = f"Share of an answer's variance due to the outcomes themselves: {shares}"
    bar = stacked(rows, tuple(SOURCES.values()), "What an answer depends on", f"{finding}.")
    caption = (
        f"{finding}. Shares of the variance of an answer's log odds, over {len(budget.pairs)} "
        f"held-out pairs in {len(budget.used)} wordings and both presentation orders. Outcomes: "
        "what "
        "is the same in every wording; presentation order: which outcome is shown first; the rest "
        "depends on how the question was asked. The reliability of one wording after training is "
        f"{after.icc.value:.2f} (95 % {after.icc.low:.2f} to {after.icc.high:.2f}, jackknife over "
        "outcomes and wordings)."
    )
    return Section(
        title,
        sentences(said),
        (Drawing(bar, caption),),
        (_budget_table(budget), *_factors(budget), *tables),
    )


def _named(results: Results, budget: WordingStudy) -> tuple[Finding, ...]:
    """The strongest of the pairs whose preference holds over the wordings."""
    side, texts = budget.sides["after"], results.space.plan.texts
    used = [row for row in budget.wordings["after"] if row.name in budget.used]
    mass = min((row.mass for row in used if row.mass is not None), default=None)
    order = sorted(side.named, key=lambda k: -abs(side.preference[k]))[:NAMED]
    found = []
    for k in order:
        a, b = budget.pairs[k]
        first, second = (a, b) if side.preference[k] > 0 else (b, a)
        pair = (strip_hidden(texts[first]), strip_hidden(texts[second]))
        ties = side.ties[k] if side.ties else None
        found.append(PREFERS.say(Preferred(*pair, True, ties, mass, len(budget.used))))
    return tuple(found)


def _budget_table(budget: WordingStudy) -> ReportTable:
    sides = list(budget.sides.values())
    rows: list[Row] = [
        (f"share: {name}", *(f"{side.shares[key]:.1%}" for side in sides), "")
        for key, name in SOURCES.items()
    ]
    rows += [
        ("reliability of one wording", *(_estimate(side.icc) for side in sides), "0"),
        ("wordings needed for reliability .9", *(f"{s.wordings_needed:.0f}" for s in sides), ""),
        ("answers against the other wordings' mean", *(_estimate(s.flips) for s in sides), "0.5"),
        ("pairs whose preference holds over wordings", *(_estimate(s.strong) for s in sides),
         f"{sides[0].strong.floor:.3f}"),
        ("same position chosen in both orders", *(_estimate(s.position) for s in sides), "0.5"),
        ("agreement of wordings on the ranking (W)", *(f"{s.concordance:.3f}" for s in sides),
         f"{1 / len(budget.used):.3f}"),
        ("“no preference” where offered", *(_mean(side.ties) for side in sides), ""),
        ("preferences stated only when forced", *(_estimate(s.manufactured) for s in sides), "0"),
    ]  # fmt: skip
    if budget.gain is not None:
        rows.append(
            ("agreement gained in wordings not trained on", "", _estimate(budget.gain), "0")
        )
    heads = (Head("Measure"), Head("Before", True), Head("After", True), Head("Floor", True))
    caption = (
        "The same in numbers, with 95 % intervals. Floor: what a chooser without preferences gives."
    )
    return ReportTable(caption, heads, tuple(rows))


def _mean(values: tuple[float, ...]) -> str:
    return f"{np.mean(values):.3f}" if values else "not offered"


def _estimate(found: WordingEstimate | None) -> str:
    if found is None:
        return "not offered"
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _factors(budget: WordingStudy) -> tuple[ReportTable, ...]:
    rows = budget.sides["after"].factors
    if not rows:
        return ()
    heads = (
        Head("Factor"),
        Head("High / low level"),
        Head("Order effect", True),
        Head("Size", True),
    )
    shown = tuple(
        (row.name, f"{row.high} / {row.low}", f"{row.slot:+.2f}", f"{row.size:+.2f}")
        for row in rows
    )
    caption = (
        "Main effects after training, in log odds, on the order effect and on the size of "
        "preferences. "
        "They are not confounded with each other, but partly with two-factor interactions."
    )
    return (ReportTable(caption, heads, shown, "Which factor of the wording matters"),)


def _wordings(budget: WordingStudy) -> ReportTable:
    heads = (
        Head("Wording"), Head("Trained in"), Head("Mass before", True), Head("Mass after", True),
        Head("Invalid", True), Head("No preference", True), Head("Counts"),
    )  # fmt: skip
    sides = list(budget.wordings.values())
    rows = tuple(_wording(rows, budget) for rows in zip(*sides, strict=True))
    out = sum(not row[-1].startswith("yes") for row in rows)
    caption = (
        f"{budget.asked:,} answers asked for, {budget.invalid:,} invalid. {out} of {len(rows)} "
        "wordings are left out because the model does not give one of the offered answers in them; "
        "what it prefers there is unknown."
    )
    return ReportTable(caption, heads, rows, f"All {len(rows)} wordings")


def _wording(sides: tuple[WordingRow, ...], budget: WordingStudy) -> Row:
    last = sides[-1]
    undecided = "not offered" if last.undecided is None else f"{last.undecided:.1%}"
    reason = next((row.excluded for row in sides if row.excluded), "")
    return (
        last.name,
        "yes" if last.trained else "",
        *("counts only" if row.mass is None else f"{row.mass:.3f}" for row in sides),
        f"{last.invalid:.1%}",
        undecided,
        "yes" if last.name in budget.used else f"no: {reason}",
    )
