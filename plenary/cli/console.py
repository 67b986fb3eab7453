"""Terminal output: progress bars while a run is under way, and the tables at its end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from assembly.record.progress import Event
from plenary.pipeline.costs import StageCost, total_cost
from plenary.runs.config import PipelineConfig, flat_settings
from plenary.runs.progress import NullWatcher, TrainingProgress, Watcher
from plenary.runs.records.assembly import Summary
from plenary.safe_text import strip_hidden

A_LINE_EVERY = 60.0


class Terminal:
    """Progress bars with ballots, statements, invalid share, tokens, cost and time left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._counts = dict.fromkeys(("votes", "statements", "declarations", "invalid"), 0)

    def begin(self, stage: str, place: int, stages: int) -> None:
        """Open the bar of a stage."""
        self._task = self._progress.add_task(f"[{place}/{stages}] {stage}", total=None, detail="")

    def end(self, stage: str, seconds: float, *, skipped: bool) -> None:
        """Close the bar of a stage."""
        if self._task is None:
            return
        task = self._progress.tasks[self._progress.task_ids.index(self._task)]
        detail = "already done" if skipped else (task.fields["detail"] or f"{seconds:.1f} s")
        self._progress.update(self._task, total=1, completed=1, detail=detail)
        self._progress.stop_task(self._task)
        self._task = None

    def assembly(self, event: Event) -> None:
        """Add up what was recorded."""
        kind = "votes" if event.kind == "resumed" else event.kind
        if kind in self._counts:
            self._counts[kind] += event.count
            self._counts["invalid"] += event.invalid
        said, votes = self._counts["statements"], self._counts["votes"]
        share = self._counts["invalid"] / max(
            sum(self._counts.values()) - self._counts["invalid"], 1
        )
        parts = [f"{votes:,} votes", f"{said:,} statements", f"{share:.1%} invalid"]
        if event.tokens:
            parts.append(f"{event.tokens:,} tokens")
        if event.cost:
            parts.append(f"{event.cost:,.2f} spent")
        if event.left is not None and event.done < event.shards:
            parts.append(f"{event.left:,.0f} s left")
        self._show(event.done, event.shards, ", ".join(parts))

    def training(self, progress: TrainingProgress) -> None:
        """Show the step and its loss."""
        self._show(progress.step, progress.steps, f"loss {progress.loss:.3f}")

    def asked(self, what: str, answers: int) -> None:
        """Show how much was asked."""
        self._show(1, 1, f"{answers:,} answers {what} training")

    def _show(self, done: int, total: int, detail: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=total, detail=detail)


class Lines(NullWatcher):
    """For logs: prints one line when a stage ends, and one per minute during a long stage."""

    def begin(self, stage: str, place: int, stages: int) -> None:
        """Note which stage begins."""
        self._stage = f"[{place}/{stages}] {stage}"
        self._said = time.monotonic()

    def end(self, stage: str, seconds: float, *, skipped: bool) -> None:
        """Print how long the stage took."""
        self._say("already done" if skipped else f"{seconds:.1f} s")

    def assembly(self, event: Event) -> None:
        """Print how far the assembly is."""
        left = "" if event.left is None else f", {event.left:,.0f} s left"
        self._now_and_then(f"{event.done} of {event.shards} parts{left}")

    def training(self, progress: TrainingProgress) -> None:
        """Print how far training is."""
        self._now_and_then(f"step {progress.step} of {progress.steps}, loss {progress.loss:.3f}")

    def _now_and_then(self, what: str) -> None:
        if time.monotonic() - self._said >= A_LINE_EVERY:
            self._said = time.monotonic()
            self._say(what)

    def _say(self, what: str) -> None:
        print(f"{self._stage}: {what}", file=sys.stderr, flush=True)


@contextmanager
def watching(*, quiet: bool) -> Iterator[Watcher]:
    """A watcher that draws progress bars on a terminal; elsewhere it prints one line per stage."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield NullWatcher() if quiet else Lines()
        return
    columns = (
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield Terminal(progress)


def before_after(summary: Summary) -> tuple[tuple[str, str], ...]:
    """The lines of the table that a run ends with."""
    compared = (
        ("agreement before", f"{summary.agreement_before:.1%}"),
        ("agreement after", f"{summary.agreement_after:.1%}"),
        (
            "gain",
            f"{100 * summary.gain:+.1f} points "
            f"(95 % {100 * summary.gain_low:+.1f} to {100 * summary.gain_high:+.1f})",
        ),
    )
    return (
        *(compared if summary.measured else (("agreement", "not measured"),)),
        (
            "ceiling (another panel, held-out pairs)",
            "not measured" if summary.ceiling is None else f"{summary.ceiling:.1%}",
        ),
        ("held-out pairs", str(summary.held_out_pairs)),
        ("citizens", str(summary.citizens)),
        ("pairs voted on", str(summary.pairs)),
        ("invalid ballots", f"{summary.invalid_share:.2%}"),
        *((("cut short", summary.cut_short),) if summary.cut_short else ()),
        ("imputed, by weight", f"{summary.imputed_share:.1%}"),
        ("seconds", f"{summary.seconds:.1f}"),
    )


def print_summary(summary: Summary) -> None:
    """Print the before/after table, the finding in one sentence, and where the report is."""
    print_rows(
        f"{summary.name}: agreement with the assembly on held-out outcomes", before_after(summary)
    )
    if summary.finding:
        print(strip_hidden(summary.finding))
    print(f"report: {summary.report}")


def cost_lines(costs: Sequence[StageCost]) -> tuple[tuple[str, str], ...]:
    """One line per stage and the total; a figure unknown for one stage is unknown in the total."""
    return tuple((cost.stage, _cost_line(cost)) for cost in (*costs, total_cost(costs)))


def _cost_line(cost: StageCost) -> str:
    if not cost.calls:
        return "no calls"
    asked = f"{cost.calls:,} calls, {cost.prompt_tokens + cost.completion_tokens:,} tokens"
    money = (
        "price unknown (set budget.prices)" if cost.money is None else f"{cost.money:,.2f} to pay"
    )
    return f"{asked}, {money}, " + (
        "time unknown" if cost.seconds is None else f"about {cost.seconds:,.0f} s"
    )


def print_settings(config: PipelineConfig, kept: Path) -> None:
    """Print the settings that differ from their defaults, and the file that lists all of them."""
    default = flat_settings(PipelineConfig())
    values = [f"{k}={v}" for k, v in flat_settings(config).items() if default.get(k) != v]
    said = "  ".join(values) or "all at their defaults"
    console = Console(soft_wrap=False)
    console.print(Text(f"settings: {said}  (all settings: {kept})", style="dim"))


def print_content(title: str, content: Mapping[str, object]) -> None:
    """Print named values as a table, and each list of records among them as a separate table."""
    tables = {k: v for k, v in content.items() if _is_records(v)}
    rows = [(k, _shown(v)) for k, v in content.items() if k not in tables]
    if rows:
        print_rows(title, rows)
    for name, records in tables.items():
        print_records(f"{title}: {name}", cast("Sequence[Mapping[str, object]]", records))


def _is_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def print_records(title: str, records: Sequence[Mapping[str, object]]) -> None:
    """Print a table with one line per record; figures to four digits."""
    table = _titled(title, show_header=True)
    for name in records[0]:
        table.add_column(strip_hidden(name), overflow="fold")
    for record in records:
        table.add_row(*(Text(strip_hidden(_shown(value), 400)) for value in record.values()))
    Console().print(table)


def print_rows(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print a titled table of two columns."""
    table = _titled(title, show_header=False)
    table.add_column()
    table.add_column()
    for name, value in rows:
        table.add_row(Text(strip_hidden(name)), Text(strip_hidden(value, 2000)))
    Console().print(table)


def _titled(title: str, *, show_header: bool) -> Table:
    """An empty table that is wide enough for its title."""
    return Table(
        title=strip_hidden(title),
        title_justify="left",
        title_style="bold",
        show_header=show_header,
        min_width=min(len(title), Console().width),
    )  # fmt: skip
