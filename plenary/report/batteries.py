"""Report section on batteries and the human anchor: before and after, or one model alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from evaluation.batteries.base import BatteryResult, Measure, PairedChange, paired_change
from evaluation.batteries.human_anchor import TITLE
from plenary.figures.page_parts import Head
from plenary.figures.svg import Range, ranges
from plenary.report.elements import LEFT_OUT, Drawing, ReportTable, Row, Section
from plenary.report.evidence import Measures
from plenary.report.results import Results
from plenary.runs import filenames
from plenary.runs.records.base import read_results
from plenary.safe_text import strip_hidden

Sides = Mapping[str, BatteryResult]
LONGEST = 24
PAIRED = (
    "Difference: after minus before on the same items, with its 95 % interval. No paired test: the "
    "figure is not a mean over items that both models were asked."
)
APART = (
    "No figure here is a mean over items that both models were asked, so the two columns are not "
    "tested against each other."
)
OTHER = "This is neither the run's model before training nor the one after it."


@dataclass(frozen=True)
class BatteryBySide:
    """One battery: by side (before, after) where the run's models were asked, else the model."""

    sides: Sides

    @cached_property
    def changes(self) -> dict[str, PairedChange]:
        """Paired differences by name of the measure, if both sides have its items."""
        if tuple(self.sides) != filenames.WHEN:
            return {}
        before, after = self.sides.values()
        pairs = ((m.name, m, _named(after, m.name)) for m in before.measures)
        found = {name: paired_change(one, two, 0) for name, one, two in pairs if two is not None}
        return {name: change for name, change in found.items() if change is not None}

    @property
    def tests(self) -> int:
        """Number of tests among its figures, paired differences included."""
        return sum(result.tests for result in self.sides.values()) + len(self.changes)


def read_batteries(results: Results) -> tuple[BatteryBySide, ...]:
    """Batteries asked beside the run, one entry per battery; models are recognised by name."""
    folder = results.space.file(filenames.BATTERIES)
    sides = {asked.backend: when for when, asked in zip(filenames.WHEN, results.asked, strict=True)}
    own: dict[str, dict[str, BatteryResult]] = {}
    others = []
    for path in sorted(folder.glob("*.json")):
        for result in read_results(path):
            if result.model in sides:
                own.setdefault(result.battery, {})[sides[result.model]] = result
            else:
                others.append(BatteryBySide({"": result}))
    ordered = [{when: by[when] for when in filenames.WHEN if when in by} for by in own.values()]
    return (*map(BatteryBySide, ordered), *others)


def anchor_section(measures: Measures) -> Section:
    """Survey answers against those of people."""
    if measures.anchor.result is None:
        return Section(TITLE, (LEFT_OUT.format("measures.human_anchor"),))
    return _section(BatteryBySide({"": measures.anchor.result}), "")


def battery_section(found: BatteryBySide) -> Section:
    """The section on one battery, whichever command asked it."""
    if len(found.sides) > 1:
        return _section(found, PAIRED if found.changes else APART)
    return _section(found, OTHER * ("" in found.sides))


def _section(found: BatteryBySide, note: str) -> Section:
    sides, changes = found.sides, found.changes
    first = next(iter(sides.values()))
    heads = (
        Head("Measure"), *(Head(when.capitalize() or "Value", True) for when in sides),
        *((Head("Difference", True),) if changes else ()),
        Head("Floor", True), Head("n", True), Head("Note"),
    )  # fmt: skip
    every = {m.name: m for result in sides.values() for m in result.measures}
    known = [m for m in every.values() if any(_known(r, m.name) for r in sides.values())]
    models = "; ".join(strip_hidden(" ".join((when, r.model)).strip()) for when, r in sides.items())
    return Section(
        strip_hidden(first.title),
        _said(sides),
        _figure(sides),
        (
            ReportTable(
                _caption(sides, every), heads, tuple(_row(m, sides, changes) for m in known)
            ),
        ),
        f"Model: {models}. {note}".strip(),
    )


def _caption(sides: Sides, every: Mapping[str, Measure]) -> str:
    first = next(iter(sides.values()))
    kinds = sorted({measure.interval for measure in every.values() if measure.interval})
    asked, invalid = (sum(getattr(r, n) for r in sides.values()) for n in ("asked", "invalid"))
    told = [
        strip_hidden(first.definition, 600),
        f"{asked:,} answers, {invalid:,} invalid. Floor: what a chooser without preferences gives.",
    ]
    told += [f"Intervals in brackets: {'; '.join(kinds)}."] if kinds else []
    missing = [m.name for m in every.values() if not any(_known(r, m.name) for r in sides.values())]
    told += [f"These answers do not show: {strip_hidden('; '.join(missing), 600)}."] * bool(missing)
    return " ".join(told)


def _said(sides: Sides) -> tuple[str, ...]:
    """Every sentence once, with the side or sides to which it applies."""
    of: dict[str, list[str]] = {}
    for when, result in sides.items():
        for finding in result.findings:
            if finding.sentence:
                of.setdefault(strip_hidden(finding.sentence, 600), []).append(when)
    return tuple(
        f"{' and '.join(whens).capitalize()} training: {text}" if whens != [""] else text
        for text, whens in of.items()
    )


def _row(m: Measure, sides: Sides, changes: Mapping[str, PairedChange]) -> Row:
    better = "" if m.better == "neither" else f"{m.better} is better"
    return (
        strip_hidden(f"{m.name}, {m.unit}" if m.unit else m.name),
        *(_value(_named(result, m.name)) for result in sides.values()),
        *((_difference(changes.get(m.name)),) if changes else ()),
        "" if m.floor is None else f"{m.floor:.3f}",
        f"{m.n:,}",
        "; ".join(part for part in (strip_hidden(m.note), better) if part),
    )


def _difference(change: PairedChange | None) -> str:
    if change is None:
        return "no paired test"
    return f"{change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f})"


def _named(result: BatteryResult, name: str) -> Measure | None:
    return next((m for m in result.measures if m.name == name), None)


def _known(result: BatteryResult, name: str) -> bool:
    found = _named(result, name)
    return found is not None and found.value is not None


def _value(m: Measure | None) -> str:
    if m is None or m.value is None:
        return "unknown"
    ends = "" if m.low is None or m.high is None else f" ({m.low:.3f} to {m.high:.3f})"
    return f"{m.value:.3f}{ends}"


def _figure(sides: Sides) -> tuple[Drawing, ...]:
    """Unitless figures with intervals on one axis; none if they are too far apart to compare."""
    rows = _ranges(sides)
    if len(rows) < 2:
        return ()
    low, high = min(r.low for r in rows), max(r.high for r in rows)
    if not -1.5 <= low <= high <= 1.5:
        return ()
    finding = "; ".join(f"{row.label} {row.value:.2f}" for row in rows[:3])
    title = next(iter(sides.values())).title
    rows = [row._replace(label=_short(row.label)) for row in rows]
    drawing = ranges(rows, (min(low, 0.0), high), title, finding)
    return (Drawing(drawing, f"{finding}. Bars are the intervals in the table."),)


def _ranges(sides: Sides) -> Sequence[Range]:
    names = dict.fromkeys(m.name for result in sides.values() for m in result.measures)
    rows = []
    for name in names:
        for when, result in sides.items():
            m = _named(result, name)
            if m is None or m.value is None or m.low is None or m.high is None or m.unit:
                continue
            label = f"{name}, {when}" if when else name
            rows.append(Range(label, m.value, m.low, m.high, when or "after"))
    return rows


def _short(label: str) -> str:
    """A label short enough to stand beside the axis; the side at its end is kept."""
    name, comma, when = label.rpartition(", ")
    if when not in filenames.WHEN:
        name, comma, when = label, "", ""
    room = LONGEST - len(comma + when)
    return (name if len(name) <= room else f"{name[: room - 1]}…") + comma + when
