"""Tables and figures of the report's main sections: utilities, measures, panel, ballots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow.parquet as pq
from markupsafe import Markup

from assembly.record.ballots import STATES, VALID
from personas.representativeness import CategoryShare
from plenary.figures.page_parts import Head
from plenary.figures.panel import finding, panel_figure
from plenary.figures.svg import Range, Series, ranges, scatter
from plenary.preferences import pair_shares
from plenary.prompt_templates import prompt_template
from plenary.report.elements import Drawing, QuotedStatement, Row, shown, three
from plenary.report.results import Results
from plenary.runs import filenames
from plenary.runs.config import PipelineConfig, flat_settings
from plenary.runs.records.assembly import AssemblyRecord, ElicitationRecord
from plenary.runs.records.base import read_record
from plenary.runs.records.panel import FidelityRecord
from plenary.runs.workspace import Workspace
from plenary.safe_text import strip_hidden
from plenary.seeding import generator

STATEMENTS = 10

NAMES = {
    "agreement": "agreement with the majority (higher is closer)",
    "kl": "KL divergence from the assembly's shares, nats (lower is closer)",
    "brier": "squared distance to the assembly's shares (lower is closer)",
    "order_gap": "preference for the outcome shown first (0 is none)",
    "order_gap_size": "change in an answer when the two outcomes swap places (0 is none)",
    "decisiveness": "decisiveness (0: every answer is even; 1: every answer is certain)",
    "undecided": "share of “no preference” answers, where that is offered",
    "mass": "probability that the model gives an answer at all (1 is best)",
    "tied": "pairs answered exactly even",
    "unanswered": "pairs without a valid answer in both orders",
}

TIE = "weight of “no preference” between equals (Davidson's nu; 1: as likely as either outcome)"

MEASURES = (Head("Measure"), Head("Before", True), Head("After", True))

MARGINS = (Head("Attribute"), Head("Distance", True), Head("Expected", True), Head("Cells", True))

CATEGORIES = (
    Head("Attribute"),
    Head("Category"),
    Head("Population", True),
    Head("Panel", True),
    Head("95 % band", True),
    Head("Citizens", True),
    Head(""),
)

BALLOTS = (Head("Phase"), *(Head(state, True) for state in STATES))

SETTINGS = (Head("Setting"), Head("Value"), Head(""))

TRAINING = {
    "objective": "objective",
    "rows": "training rows",
    "steps": "steps",
    "resumed_at": "steps taken before an interruption",
    "rank": "rank of the adapter",
    "parameters": "trained parameters",
    "trained_share": "trained share of all parameters",
    "seconds": "seconds",
    "loss_first": "loss at the start (nats)",
    "loss_last": "loss at the end",
    "loss_floor": "lowest loss possible",
    "replay": "neutral text used to keep the model unchanged elsewhere",
    "replay_kl_last": "KL from the base model on neutral text at the end (nats)",
    "mass_last": "probability that the model gives an answer at the end",
    "validation_agreement": "best agreement on validation pairs",
}


def scatters(results: Results) -> tuple[Drawing, ...]:
    """Utilities before and after, plotted against the assembly's, on one scale."""
    u = results.held_out
    if u is None:
        return ()
    everything = np.concatenate([u.before.mu, u.after.mu, u.assembly.mu])
    limits = (float(everything.min()), float(everything.max()))
    drawings = []
    for when, fitted in (("before", u.before), ("after", u.after)):
        r = float(np.corrcoef(fitted.mu, u.assembly.mu)[0, 1])
        finding = (
            f"Correlation with the assembly's utilities {when}: {r:.2f} ({len(u.texts)} outcomes)."
        )
        series = Series(u.assembly.mu, fitted.mu, u.texts, when)
        title = f"Model {when} training"
        drawing = scatter(series, limits, ("assembly", title.lower()), title, finding)
        drawings.append(Drawing(drawing, f"{title}. {finding}"))
    return tuple(drawings)


def calibration(results: Results) -> tuple[Drawing, ...]:
    """Probabilities of the held-out pairs before and after, against the assembly's shares."""
    space = results.space
    held = space.held_out_mask
    pairs, target = space.consensus.pairs[held], space.consensus.p[held]
    texts = [strip_hidden(text, 60) for text in space.plan.texts]
    labels = [f"{texts[a]} / {texts[b]}" for a, b in pairs.tolist()]
    drawings = []
    for when in filenames.WHEN:
        p = pair_shares(space.cells(when), pairs).p
        gap = float(np.nanmean(np.abs(p - target)))
        finding = (
            f"Mean distance between model and assembly {when}: {gap:.3f} ({len(pairs)} pairs)."
        )
        names = ("assembly's share for the first outcome", f"model {when} training")
        drawing = scatter(
            Series(target, p, labels, when), (0.0, 1.0), names, f"Pairs, {when}", finding
        )
        drawings.append(Drawing(drawing, finding))
    return tuple(drawings)


def agreement_figure(results: Results) -> Markup:
    """Agreement before and after beside the ceiling, with intervals."""
    c, d = results.comparison, results.decision
    rows = [
        Range("before training", c.before.agreement, c.before.low, c.before.high, "before"),
        Range("after training", c.after.agreement, c.after.low, c.after.high, "after"),
    ]
    ceiling = "not measured"
    if d.ceiling is not None and d.ceiling_low is not None and d.ceiling_high is not None:
        ceiling = f"{d.ceiling:.3f}"
        rows.append(Range("another panel", d.ceiling, d.ceiling_low, d.ceiling_high, "target"))
    low = min(0.5, *(row.low for row in rows))
    finding = (
        f"Agreement {c.agreement_before:.3f} before, {c.agreement_after:.3f} after, "
        f"ceiling {ceiling}."
    )
    title = "Agreement with the assembly's majority"
    return ranges(rows, (low, 1.0), title, finding, narrow=True)


def measures(results: Results) -> tuple[Row, ...]:
    """Every measure before and after; "no preference" only where it was offered."""
    sides = (results.comparison.before, results.comparison.after)
    before, after = (side.model_dump() for side in sides)
    templates = results.space.config.elicitation.templates
    offered = any(prompt_template(name).offers_no_preference for name in templates)
    rows = tuple(
        (NAMES[name], three(value), three(after[name]))
        for name, value in before.items()
        if name in NAMES and (offered or name != "undecided")
    )
    if not offered or results.held_out is None:
        return rows
    fits = (results.held_out.before, results.held_out.after)
    return (*rows, (TIE, *(three(fitted.tie) for fitted in fits)))


def margins(fidelity: FidelityRecord) -> tuple[Row, ...]:
    """One row per attribute."""
    return tuple(
        (m.name.replace("_", " "), f"{m.distance:.3f}", f"{m.expected:.3f}", str(m.cells))
        for m in fidelity.margins
    )


def panel_drawing(results: Results) -> Drawing:
    """Panel against population for every category, with a caption."""
    f = results.fidelity
    caption = (
        f"{finding(results.shares)} Dots are the weighted shares of {f.citizens} citizens, upright "
        f"lines those of the population ({results.population.rows:,} records); the bands contain "
        f"95 % of simple random samples of the panel's effective size ({f.effective_size:.1f})."
    )
    return Drawing(panel_figure(results.shares), caption)


def categories(shares: Sequence[CategoryShare]) -> tuple[Row, ...]:
    """One row per category."""
    return tuple(
        (
            row.attribute.replace("_", " "),
            strip_hidden(row.category),
            f"{row.population:.1%}",
            f"{row.panel:.1%}",
            f"{row.low:.1%} to {row.high:.1%}",
            str(row.citizens),
            "" if row.inside else "outside",
        )
        for row in shares
    )


def ballots(assembly: AssemblyRecord) -> tuple[Row, ...]:
    """Votes by phase and state."""
    return tuple(
        (phase, *(f"{counts[state]:,}" for state in STATES))
        for phase, counts in assembly.states.items()
    )


def cut_short(space: Workspace) -> str:
    """What was cut short before giving an answer, by kind; "" if nothing was or it is unknown."""
    told = []
    assembly = read_record(AssemblyRecord, space.file(filenames.ASSEMBLY))
    if assembly.cut_share:
        told.append(f"{assembly.cut_share:.2%} of the answers to ballots")
    if assembly.cut_statements:
        told.append(f"{assembly.cut_statements:,} of {assembly.statements:,} statements")
    for when in filenames.WHEN:
        path = space.file(f"{when}.json")
        asked = read_record(ElicitationRecord, path) if path.exists() else None
        if asked is not None and asked.cut:
            told.append(f"{asked.cut / asked.asked:.2%} of the answers {when} training")
    return ", ".join(told)


def statements(space: Workspace) -> tuple[QuotedStatement, ...]:
    """A random sample of what was said, in the order of the pairs."""
    rows = pq.read_table(space.file(filenames.STATEMENTS)).to_pylist()
    spoken = [row for row in rows if row["state"] == VALID and row["side"] is not None]
    size = min(STATEMENTS, len(spoken))
    picked = generator(space.seed, "report", "statements").choice(len(spoken), size, replace=False)
    texts, pairs = space.plan.texts, space.plan.pairs
    said = []
    for k in sorted(picked.tolist()):
        row = spoken[k]
        persona = space.panel.personas[row["citizen"]]
        pair = pairs[row["pair"]]
        speaker = f"{persona.name} ({persona.age}, {persona.state or 'place unknown'})"
        side, other = (strip_hidden(texts[pair[s]]) for s in (row["side"], 1 - row["side"]))
        said.append(QuotedStatement(strip_hidden(row["text"]), strip_hidden(speaker), side, other))
    return tuple(said)


def settings(config: PipelineConfig) -> tuple[Row, ...]:
    """Every setting with its value, marked if it differs from the default."""
    usual = flat_settings(PipelineConfig())
    return tuple(
        (name, shown(value), "" if usual.get(name) == value else "set")
        for name, value in flat_settings(config).items()
    )
