"""Viewer pages on the whole run: progress, results, and cost."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import Field

from alignment.training.record import TrainingRecord
from plenary.figures.charts import bars
from plenary.figures.page_parts import Head, Tile
from plenary.runs import filenames
from plenary.runs.plan import Plan
from plenary.runs.progress import ProgressRecord
from plenary.runs.records.assembly import AssemblyRecord, ElicitationRecord, Summary
from plenary.runs.records.base import Record, read_record
from plenary.viewer.blocks import (
    Bar,
    Block,
    Figure,
    Heading,
    Links,
    Page,
    PageLink,
    PageTable,
    Text,
    Tiles,
)
from plenary.viewer.lists import percent
from plenary.viewer.run_view import RunView

STALE = 60.0
FACTS = (Head("What"), Head("Value", True), Head("Note"))


class Live(Record):
    """What the page of a run under way polls."""

    over: bool = Field(description="whether the run has ended")
    share: float = Field(description="ballots cast divided by ballots due, 0 to 1")
    said: dict[str, str] = Field(description="key of a tile -> its text")


def live(viewed: RunView) -> Live:
    """How far the run is, from its ledger and its progress file."""
    cast, invalid = viewed.ballots_cast()
    spoken, silent = viewed.statements_made()
    due = _ballots_due(viewed)
    word = viewed.progress
    said = {
        "stage": _stage(viewed, word),
        "votes": f"{cast:,}",
        "due": f"of {due:,}" if due else "total not known yet",
        "statements": f"{spoken:,}",
        "silent": f"{silent:,} without usable text",
        "invalid": percent(invalid / cast if cast else None),
        "invalid_count": f"{invalid:,} ballots",
        "tokens": f"{word.tokens:,}" if word else "not known",
        "cost": "not known" if word is None or word.cost is None else f"{word.cost:,.2f}",
        "left": _left(word),
        "updated": _age(word),
    }
    over = word is None or word.state != "running"
    return Live(over=over, share=min(cast / due, 1.0) if due else 0.0, said=said)


def overview(viewed: RunView) -> Page:
    """How far the run is, and its results once it has ended."""
    now, manifest = live(viewed), viewed.manifest
    blocks: list[Block] = [_headline(viewed), *_result(viewed), Heading("Progress")]
    blocks += [Bar("Ballots cast", now.share, "share"), _tiles(now)]
    rows = [
        (name, f"{record.seconds:,.1f} s" if record.done else "under way", _outputs(record.outputs))
        for name, record in manifest.stages.items()
    ]
    heads = (Head("Stage"), Head("Time", True), Head("Files"))
    blocks.append(PageTable("Stages so far, in the order in which they ran.", heads, tuple(rows)))
    facts = (
        ("seed", str(manifest.seed), "seed of all random draws"),
        ("settings", manifest.config_hash, "hash of the settings"),
        ("repeatable", "yes" if manifest.deterministic else "no", manifest.reason),
    )
    heads = (Head("What"), Head("Value"), Head("Note"))
    blocks.append(PageTable("Where this run comes from.", heads, facts))
    return Page("Overview", "/", tuple(blocks))


def cost(viewed: RunView) -> Page:
    """What the run cost: time by stage, calls, tokens, money."""
    stages = [(n, r.seconds) for n, r in viewed.manifest.stages.items() if r.done]
    if not stages:
        return Page("Cost and time", "/cost", (Text("No stage has ended yet."),))
    total = sum(seconds for _, seconds in stages)
    longest = max(stages, key=lambda stage: stage[1])
    finding = (
        f"{total:,.1f} seconds in total; the longest stage was {longest[0]} with "
        f"{longest[1]:,.1f} seconds."
    )
    table = PageTable(
        "Seconds of wall time by stage.",
        (Head("Stage"), Head("Seconds", True), Head("Share", True)),
        tuple((n, f"{s:,.2f}", percent(s / total if total else None)) for n, s in stages),
        "The numbers",
    )
    drawing = bars(stages, "s", "Time by stage", finding)
    rows = (*_asked(viewed), *_assembly(viewed), *_training(viewed))
    taken = PageTable("Calls, tokens and money.", FACTS, rows)
    return Page("Cost and time", "/cost", (Figure(drawing, finding, table), taken))


def _headline(viewed: RunView) -> Text:
    path = viewed.path / filenames.PLAN
    if not path.exists():
        return Text("The outcomes and pairs are not chosen yet.")
    plan = Plan.read(path)
    return Text(
        f"{viewed.config.panel.citizens} simulated citizens, {len(plan.pairs)} pairs of "
        f"{len(plan.outcomes)} outcomes; {len(plan.held_out_pairs)} pairs are kept out of training."
    )


def _result(viewed: RunView) -> tuple[Block, ...]:
    if not viewed.done("report"):
        return ()
    found = read_record(Summary, viewed.path / filenames.SUMMARY)
    if not found.measured:
        return (Heading("Result"), Text(found.finding))
    gain = f"95 % {100 * found.gain_low:+.1f} to {100 * found.gain_high:+.1f} points"
    tiles = (
        Tile("Agreement before", percent(found.agreement_before), "held-out pairs"),
        Tile("Agreement after", percent(found.agreement_after), "same pairs"),
        Tile("Gain", f"{100 * found.gain:+.1f}", gain),
        Tile(
            "Ceiling",
            "not measured" if found.ceiling is None else percent(found.ceiling),
            "two independent panels, held-out pairs",
        ),
    )
    there = (viewed.path / filenames.REPORT).exists()
    links = (PageLink("The report of this run", "/report"),) if there else ()
    said = (Text(found.finding),) if found.finding else ()
    return (Heading("Result"), *said, Tiles(tiles), Links("Read more", links))


def _tiles(now: Live) -> Tiles:
    def tile(name: str, key: str, note: str = "") -> Tile:
        known = note in now.said
        return Tile(name, now.said[key], now.said.get(note, note), key, note if known else "")

    return Tiles(
        (
            tile("Stage", "stage"),
            tile("Ballots", "votes", "due"),
            tile("Statements", "statements", "silent"),
            tile("Invalid ballots", "invalid", "invalid_count"),
            tile("Tokens", "tokens", "new calls of the assembly"),
            tile("Cost", "cost", "in the currency of the price table"),
            *(
                ()
                if now.over
                else (tile("Time left", "left", "for this stage, at the current pace"),)
            ),
            tile("Last update", "updated"),
        ),
        live=not now.over,
    )


def _ballots_due(viewed: RunView) -> int:
    path = viewed.path / filenames.PLAN
    if not path.exists():
        return 0
    config = viewed.config
    phases = 3 if config.assembly.follow_up else 2
    return len(Plan.read(path).pairs) * config.panel.citizens * 2 * phases


def _stage(viewed: RunView, word: ProgressRecord | None) -> str:
    if word is None:
        stages = [n for n, r in viewed.manifest.stages.items() if r.done]
        return f"after {stages[-1]}" if stages else "not begun"
    place = f"{word.stage} ({word.place} of {word.stages})"
    return place if word.state == "running" else f"{word.state} after {place}"


def _left(word: ProgressRecord | None) -> str:
    if word is None or word.state != "running":
        return "none"
    return "not known yet" if word.left is None else _duration(word.left)


def _age(word: ProgressRecord | None) -> str:
    if word is None:
        return "not recorded"
    if word.state != "running":
        return f"{word.updated:%Y-%m-%d %H:%M} UTC"
    seconds = (datetime.now(UTC) - word.updated).total_seconds()
    late = "; the run may have been killed" if seconds > STALE else ""
    return f"{_duration(max(seconds, 0.0))} ago{late}"


def _duration(seconds: float) -> str:
    return f"{seconds:,.0f} s" if seconds < 120 else f"{seconds / 60:,.1f} min"


def _outputs(outputs: dict[str, str]) -> str:
    names = list(outputs)
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _asked(viewed: RunView) -> tuple[tuple[str, str, str], ...]:
    rows = []
    for when in filenames.WHEN:
        path = viewed.path / f"{when}.json"
        if path.exists():
            r = read_record(ElicitationRecord, path)
            neither = f", {r.undecided:,.0f} without a preference" if r.undecided else ""
            cut = f", {r.cut:,} of them cut short" if r.cut else ""
            note = f"{r.seconds:,.1f} s, {r.invalid:,} invalid{cut}{neither}"
            rows.append((f"answers asked {when} training", f"{r.asked:,}", note))
    return tuple(rows)


def _assembly(viewed: RunView) -> tuple[tuple[str, str, str], ...]:
    path, word = viewed.path / filenames.ASSEMBLY, viewed.progress
    if not path.exists():
        return ()
    r = read_record(AssemblyRecord, path)
    t = r.timing
    return (
        ("calls of the assembly", f"{r.calls:,}", "in the last session"),
        ("tokens of the assembly", f"{word.tokens:,}" if word else "not known", "new calls"),
        ("price of the assembly", "not known" if r.cost is None else f"{r.cost:,.4f}", ""),
        ("turns", f"{t.turns:,}", f"{t.milliseconds_a_turn:,.2f} ms each"),
        ("seconds with the model", f"{t.model:,.1f}", "a call was under way"),
        ("seconds in the framework", f"{t.framework:,.1f}", "graph, checkpoints, prompts"),
        ("seconds in the ledger", f"{t.ledger:,.1f}", "reading and writing"),
    )


def _training(viewed: RunView) -> tuple[tuple[str, str, str], ...]:
    path = viewed.path / filenames.TRAINING
    if not path.exists():
        return ()
    r = read_record(TrainingRecord, path)
    return (("training steps", f"{r.steps:,}", f"{r.seconds:,.1f} s, {r.rows:,} rows"),)
