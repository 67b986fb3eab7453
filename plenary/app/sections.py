"""Sections of the report about what was measured beside utilities: sentences, figures, tables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from alignment.retention import Retention
from evaluation.battery import Finding
from evaluation.claim_evidence import Preferred
from evaluation.claims import CAPABILITY, PREFERS, ROSE, SIDE_EFFECTS, STABLE
from evaluation.framing_battery import stability
from evaluation.framing_budget import Estimate, FramingBudget, WordingRow
from evaluation.shift import on_scale
from plenary.app import workspace as ws
from plenary.app.clean import visible
from plenary.app.evidence import Measures, kept, rose, side_effects
from plenary.app.fits import load_fits
from plenary.app.report_parts import UTILITIES, Drawing, Head, Results, Row
from plenary.app.retention_verbs import read_harness
from plenary.app.svg import histogram, stacked

NAMED, RISEN = 3, 3
SOURCES = {
    "outcome": "outcome",
    "wording": "wording by pair",
    "frame": "wording alone",
    "position": "slot",
    "sampling": "sampling",
}
LEFT_OUT = "Not measured in this run; set {} to measure it."
UNTOLD = "Not measured: {}"
KEPT_NAMES = {
    "kl_neutral": "KL(base || model) on neutral text, nats",
    "bits_per_byte": "bits per byte on neutral text",
    "accuracy": "share of right answers",
    "accuracy_by_length": "the same, by length of the options",
}


class Table(NamedTuple):
    """A table; folded under a summary line if that is given."""

    caption: str
    heads: tuple[Head, ...]
    rows: tuple[Row, ...]
    folded: str = ""


class Section(NamedTuple):
    """A heading, gated sentences, figures, tables, and a note below them."""

    title: str
    said: tuple[str, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    tables: tuple[Table, ...] = ()
    note: str = ""


def sentences(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """What findings say; an omitted claim says nothing."""
    return tuple(finding.sentence for finding in findings if finding.sentence)


def null_section(results: Results) -> Section:
    """The shifts of the null run beside the observed ones."""
    title = "Shifts against the null run"
    if results.held_out is None:
        return Section(title, (f"Not measured: {results.not_measured[UTILITIES]}",))
    first, second = load_fits(results.space, ws.NULLS, "held_out")
    null = np.abs(on_scale(first, second).values - first.mu)
    seen = np.abs(results.held_out.shift.shift)
    limit = float(np.median(results.held_out.shift.threshold))
    finding = (
        f"Median size of a shift: {np.median(seen):.2f} with training, {np.median(null):.2f} in "
        f"the null run; the largest {seen.max():.2f} and {null.max():.2f}."
    )
    sides = (("before", null), ("after", seen))
    drawing = histogram(sides, "size of an outcome's shift", "Shifts and the null run", finding)
    caption = (
        f"{finding} {len(seen)} held-out outcomes. Outlined: null run, the unchanged model against "
        "itself; filled: after training. A shift counts only beyond its outcome's limit, which "
        f"grows with the outcome's own error and is {limit:.2f} for half of them; the largest of "
        "as many null shifts stays below its limit in 95 % of runs."
    )
    return Section(title, (), (Drawing(drawing, caption),))


def framing_findings(budget: FramingBudget | None) -> tuple[Finding, ...]:
    """Whether preferences are stable over wordings, after training."""
    if budget is None or "after" not in budget.sides:
        return ()
    return (STABLE.say(stability(budget, budget.sides["after"])),)


def framing_section(results: Results, measures: Measures) -> Section:
    """The variance budget of an answer, before and after."""
    title, budget = "How much is wording: the framing budget", measures.framing
    if budget is None:
        return Section(title, (LEFT_OUT.format("measures.framing_pairs"),))
    tables = (_wordings(budget),)
    if not budget.sides:
        return Section(title, (budget.note + ".",), (), tables)
    after = budget.sides["after"]
    said = (*framing_findings(budget), *_named(results, budget))
    rows = [
        (f"{name} training", [side.shares[source] for source in SOURCES])
        for name, side in budget.sides.items()
    ]
    shares = "; ".join(f"{name} {shares[0]:.0%}" for name, shares in rows)
    finding = f"Part of an answer that the pair itself explains: {shares}"
    bar = stacked(rows, tuple(SOURCES.values()), "What one answer is made of", f"{finding}.")
    caption = (
        f"{finding}. Shares of the variance of one answer's log odds, {len(budget.pairs)} held-out "
        f"pairs in {len(budget.used)} wordings and both orders. Outcome: what the pair itself "
        "brings in every wording (the outcome share); slot: the place shown first; the rest is "
        "what an answer owes to how it was asked. Reliability "
        f"of one wording after training {after.icc.value:.2f} (95 % {after.icc.low:.2f} to "
        f"{after.icc.high:.2f}, jackknife over outcomes and wordings)."
    )
    return Section(
        title,
        sentences(said),
        (Drawing(bar, caption),),
        (_budget_table(budget), *_factors(budget), *tables),
    )


def _named(results: Results, budget: FramingBudget) -> tuple[Finding, ...]:
    """The strongest pairs that may be named one by one."""
    side, texts = budget.sides["after"], results.space.plan.texts
    used = [row for row in budget.wordings["after"] if row.name in budget.used]
    mass = min((row.mass for row in used if row.mass is not None), default=None)
    order = sorted(side.named, key=lambda k: -abs(side.preference[k]))[:NAMED]
    found = []
    for k in order:
        a, b = budget.pairs[k]
        first, second = (a, b) if side.preference[k] > 0 else (b, a)
        pair = (visible(texts[first]), visible(texts[second]))
        ties = side.ties[k] if side.ties else None
        found.append(PREFERS.say(Preferred(*pair, True, ties, mass, len(budget.used))))
    return tuple(found)


def _budget_table(budget: FramingBudget) -> Table:
    sides = list(budget.sides.values())
    rows: list[Row] = [
        (f"share: {name}", *(f"{side.shares[key]:.1%}" for side in sides), "")
        for key, name in SOURCES.items()
    ]
    rows += [
        ("reliability of one wording", *(_estimate(side.icc) for side in sides), "0"),
        ("wordings needed for reliability .9", *(f"{s.wordings_needed:.0f}" for s in sides), ""),
        ("answers against the other wordings", *(_estimate(side.flips) for side in sides), "0.5"),
        ("pairs that may be named one by one", *(_estimate(s.strong) for s in sides),
         f"{sides[0].strong.floor:.3f}"),
        ("same slot in both orders", *(_estimate(side.position) for side in sides), "0.5"),
        ("agreement of wordings on the ranking (W)", *(f"{s.concordance:.3f}" for s in sides),
         f"{1 / len(budget.used):.3f}"),
        ("no preference where offered", *(_mean(side.ties) for side in sides), ""),
        ("preferences only when forced", *(_maybe(side.manufactured) for side in sides), "0"),
    ]  # fmt: skip
    if budget.gain is not None:
        rows.append(
            ("agreement gained in wordings not trained on", "", _estimate(budget.gain), "0")
        )
    heads = (Head("Measure"), Head("Before", True), Head("After", True), Head("Floor", True))
    caption = "The same in numbers; intervals 95 %. Floor: a chooser without preferences."
    return Table(caption, heads, tuple(rows))


def _mean(values: tuple[float, ...]) -> str:
    return f"{np.mean(values):.3f}" if values else "not offered"


def _maybe(found: Estimate | None) -> str:
    return "not offered" if found is None else _estimate(found)


def _estimate(found: Estimate) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _factors(budget: FramingBudget) -> tuple[Table, ...]:
    rows = budget.sides["after"].factors
    if not rows:
        return ()
    heads = (Head("Factor"), Head("High against low"), Head("Slot", True), Head("Size", True))
    shown = tuple(
        (row.name, f"{row.high} / {row.low}", f"{row.slot:+.2f}", f"{row.size:+.2f}")
        for row in rows
    )
    caption = (
        "Main effects after training, log odds: on the slot effect, and on the size of preferences."
        " Clear of each other, partly mixed with interactions of two factors."
    )
    return (Table(caption, heads, shown, "Which factor of the wording matters"),)


def _wordings(budget: FramingBudget) -> Table:
    heads = (
        Head("Wording"), Head("Trained in"), Head("Mass before", True), Head("Mass after", True),
        Head("Invalid", True), Head("No preference", True), Head("Counts"),
    )  # fmt: skip
    sides = list(budget.wordings.values())
    rows = tuple(_wording(rows, budget) for rows in zip(*sides, strict=True))
    out = sum(not row[-1].startswith("yes") for row in rows)
    caption = (
        f"{budget.asked:,} answers asked for, {budget.invalid:,} invalid. {out} of {len(rows)} "
        "wordings are left out, because the model does not give their answers; what it prefers in "
        "them is not known."
    )
    return Table(caption, heads, rows, f"All {len(rows)} wordings")


def _wording(sides: tuple[WordingRow, ...], budget: FramingBudget) -> Row:
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


def risen(results: Results, measures: Measures) -> tuple[str, ...]:
    """The outcomes that may be said to have moved, the farthest first."""
    if results.held_out is None:
        return ()
    sizes = np.abs(results.held_out.shift.shift)
    texts = results.held_out.texts
    found = [ROSE.say(evidence) for evidence in sorted(
        rose(results, measures), key=lambda e: -sizes[texts.index(e.outcome)]
    )]  # fmt: skip
    return sentences(tuple(found))[:RISEN]


def retention_findings(results: Results, measures: Measures) -> tuple[Finding, ...]:
    """Whether ability was kept, and what else moved."""
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
        f"Retention set “{found.name}”: items and neutral texts of our own, a smoke test and no "
        "benchmark of ability. Losses with one-sided 95 % bounds; can rule out: the smallest loss "
        "that so many items exclude with power 0.8."
    )
    tables = (Table(caption, heads, rows), _health(found), *_harness(results))
    return Section(title, said, (), tables)


def _harness(results: Results) -> tuple[Table, ...]:
    """Standard tasks, where somebody ran them on this run's adapter."""
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
        (visible(s.task), visible(s.metric), f"{s.before:.3f}", f"{s.after:.3f}", s.told)
        for s in found.scores
    )
    caption = (
        "Tasks run by lm_eval on the same weights with the adapter off and on: proxies of "
        "capability, from data that the user chose. Change: paired by item, one-sided 95 % bounds."
    )
    return (Table(caption, heads, rows, "Standard tasks"),)


def _health(found: Retention) -> Table:
    sides = (found.health_before, found.health_after)
    rows = tuple(
        (name, *(f"{getattr(side, key):.3g}" for side in sides))
        for key, name in (
            ("empty", "replies without text"),
            ("ended", "replies that came to an end"),
            ("repeated", "four-word runs said before"),
            ("words", "words a reply"),
            ("refused", "replies that refuse"),
            ("drifted", "replies in another language than the prompt"),
            ("answered", "preference questions answered in the asked format"),
        )
    )
    ratio = found.kl_task / max(found.finding("kl_neutral").loss, 1e-9)
    rows += (
        ("length of a reply, after over before", "", _over(sides[1].words, sides[0].words)),
        ("KL at preference questions over KL on neutral text", "", f"{ratio:.1f}"),
        ("same likeliest token on neutral text", "1", f"{found.top1:.3f}"),
        ("KL on neutral text, 95th percentile, nats", "0", f"{found.kl_neutral_p95:.3f}"),
        ("KL at the answer of preference questions, nats", "0", f"{found.kl_task:.3f}"),
    )
    heads = (Head("Free replies and divergence"), Head("Before", True), Head("After", True))
    return Table(f"{sides[0].replies} neutral prompts.", heads, rows, "Free replies")


def _over(after: float, before: float) -> str:
    return f"{after / before:.2f}" if before else "not known"
