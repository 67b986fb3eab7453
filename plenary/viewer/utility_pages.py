"""Viewer page on utilities before and after training, and the assembly's."""

from __future__ import annotations

import numpy as np

from evaluation.comparison.utility_shift import UtilityShift
from plenary.figures.page_parts import Head
from plenary.figures.svg import Series, scatter
from plenary.runs import filenames
from plenary.runs.records.base import Unmeasured, read_record
from plenary.viewer import queries
from plenary.viewer.blocks import Block, Figure, Figures, Page, PageTable, Text
from plenary.viewer.lists import Query, around, asked_of, plain, signed, waiting
from plenary.viewer.pair_pages import SPLIT
from plenary.viewer.run_view import RunSnapshot, RunView

PATH = "/utilities"
HEADS = (
    Head("Outcome"), Head("Topic"), Head("Split"), Head("Assembly", True), Head("Before", True),
    Head("After", True), Head("Change", True), Head("Moved"),
)  # fmt: skip
MOVED = {None: "no common scale", 0: "within noise", 1: "beyond noise"}
BEFORE, AFTER, TARGET = 4, 5, 6


def utilities(viewed: RunView, query: Query) -> Page:
    """Utilities of the outcomes that match the filter."""
    room = viewed.room()
    if room is None or not viewed.done("compare"):
        return waiting("Utilities", PATH, "Utilities have not been compared yet.")
    asked = asked_of(queries.OUTCOMES, query)
    found = queries.find(room.store, queries.OUTCOMES, asked)
    parts = around(queries.OUTCOMES, asked, found, PATH, "outcomes", "words of the outcome, topic")
    rows = tuple(
        (
            text, plain(topic), SPLIT[side], signed(target), signed(before), signed(after),
            f"{signed(shift)} ({signed(low)} to {signed(high)})",
            "not fitted" if shift is None else MOVED[moved],
        )
        for _, text, topic, side, before, after, target, shift, low, high, moved in found.rows
    )  # fmt: skip
    level = viewed.config.comparison.level
    caption = (
        f"Thurstonian utilities on the scale of the model before training; the change has a "
        f"{level:.0%} interval. They describe choices between sentences, not values held."
    )
    notes = [_scale(viewed, side) for side in filenames.SIDES]
    return Page(
        "Utilities",
        PATH,
        (parts.form, _scatters(room, asked), *notes, parts.pager, PageTable(caption, HEADS, rows)),
    )


def _scatters(room: RunSnapshot, asked: queries.ListQuery) -> Block:
    found = queries.marks(room.store, queries.OUTCOMES, asked)
    rows = [row for row in found.rows if None not in (row[BEFORE], row[AFTER], row[TARGET])]
    if len(rows) < 2:
        return Text("Fewer than two matching outcomes have utilities, so no figure is drawn.")
    before, after, target = (np.array([row[k] for row in rows]) for k in (BEFORE, AFTER, TARGET))
    everything = np.concatenate([before, after, target])
    limits = (float(everything.min()), float(everything.max()))
    labels = [row[1] for row in rows]
    drawn = []
    for when, values in (("before", before), ("after", after)):
        title = f"Model {when} training and the assembly"
        distance = float(np.abs(values - target).mean())
        finding = f"Mean distance from the assembly's utilities {when} training: {distance:.2f}"
        finding += f" ({len(rows)} outcomes)."
        names = ("assembly", f"model {when} training")
        drawing = scatter(Series(target, values, labels, when), limits, names, title, finding)
        caption = f"{finding} On the dashed line they agree. The table below has the numbers."
        drawn.append(Figure(drawing, caption))
    return Figures(tuple(drawn))


def _scale(viewed: RunView, side: str) -> Text:
    """Whether single outcomes on one side of the split can be said to have moved."""
    if not (viewed.path / filenames.shift_file(side)).exists():
        noted = viewed.path / filenames.SHIFTS
        why = read_record(Unmeasured, noted).not_measured.get(side, "") if noted.exists() else ""
        return Text(f"{SPLIT[side].capitalize()} outcomes: not measured. {why}", soft=True)
    shift = UtilityShift.read(viewed.path / filenames.shift_file(side))
    said = (
        f"{SPLIT[side].capitalize()} outcomes: rank correlation with the assembly "
        f"{shift.correlation_before:.2f} before and {shift.correlation_after:.2f} after; "
    )
    if shift.scale_holds:
        return Text(f"{said}{int(shift.moved.sum())} of {len(shift.shift)} moved.", soft=True)
    return Text(
        f"{said}most of them moved, so a single outcome cannot be said to have moved.", soft=True
    )
