"""Viewer pages on pairs: the list of pairs, one pair's ballots, one table's discussion."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from assembly.record.ledger import Spoken
from plenary.figures.charts import PlottedChange, PlottedInterval, changes
from plenary.figures.page_parts import Head
from plenary.figures.svg import Series, scatter
from plenary.safe_text import strip_hidden
from plenary.viewer import queries
from plenary.viewer.blocks import (
    Block,
    ChoiceField,
    Figure,
    Form,
    Heading,
    Links,
    Page,
    PageLink,
    PageTable,
    Text,
)
from plenary.viewer.lists import Query, around, asked_of, percent, plain, waiting
from plenary.viewer.panel_pages import NOT_SEATED, speech
from plenary.viewer.run_view import RunSnapshot, RunView
from plenary.viewer.tables import ATTRIBUTES
from plenary.viewer.written_texts import briefing, common_statement, summaries

PAIRS = (
    Head("Pair"), Head("Topic"), Head("Split"), Head("Before", True), Head("After", True),
    Head("Changed sides", True), Head("Moved by", True), Head("Invalid", True), Head("Decision"),
)  # fmt: skip
SPLIT = {"train": "training", "held_out": "held out"}
_SIDES = ("first", "second")
DECISION = {None: "not counted yet", 0: "decided", 1: "contested"}


def pairs(viewed: RunView, query: Query) -> Page:
    """The list of pairs, with a figure of those that match the filter."""
    room = viewed.room()
    if room is None:
        return waiting("Pairs", "/pairs", NOT_SEATED)
    asked = asked_of(queries.PAIRS, query)
    found = queries.find(room.store, queries.PAIRS, asked)
    parts = around(queries.PAIRS, asked, found, "/pairs", "pairs", "words of the outcomes")
    rows = tuple(
        (
            PageLink(f"{first} / {second}", f"/pairs/{number}"), plain(topic), SPLIT[side],
            percent(before), percent(after), percent(turned), percent(moved), percent(invalid),
            DECISION[contested],
        )
        for number, first, second, topic, side, contested, before, after, turned, moved, invalid, _
        in found.rows
    )  # fmt: skip
    caption = (
        "Before and after: weighted share for the first outcome. Changed sides: weighted share of "
        "citizens. Moved by: mean absolute change in a citizen's probability. Contested: the "
        "interval includes one half."
    )
    table = PageTable(caption, PAIRS, rows)
    return Page("Pairs", "/pairs", (parts.form, _cloud(room, asked), parts.pager, table))


def pair(viewed: RunView, number: int, query: Query) -> Page | None:
    """A pair's ballots before and after by stratum, with links to its tables; None for no pair."""
    room = viewed.room()
    if room is None:
        return waiting("Pair", "/pairs", NOT_SEATED)
    if number >= len(room.plan.pairs):
        return None
    first, second = outcomes_of(room, number)
    attribute = query.get("by", ATTRIBUTES[0])
    attribute = attribute if attribute in ATTRIBUTES else ATTRIBUTES[0]
    level = viewed.config.comparison.level
    standings = queries.standings(room, number, attribute, level)
    options = tuple((name, plain(name)) for name in ATTRIBUTES)
    lead = f"Shares are for the first outcome, “{first}”; the remainder is for the second."
    return Page(
        f"“{first}” or “{second}”",
        "/pairs",
        (
            Text(lead, soft=True),
            Form(None, "", (ChoiceField("by", "By", options, attribute),)),
            _ballots(standings, plain(attribute), level),
            *briefing(viewed, room, number),
            Heading("The discussion"),
            _tables(room, number),
        ),
    )


def table(viewed: RunView, number: int, place: int) -> Page | None:
    """What a table said about a pair, and who moved after it; None for no such table."""
    room = viewed.room()
    if room is None:
        return waiting("Table", "/pairs", NOT_SEATED)
    if number >= len(room.plan.pairs) or place >= len(room.seating.tables):
        return None
    first, second = outcomes_of(room, number)
    heard = queries.heard_at(room.store, number, place)
    blocks: list[Block] = [
        Links("Back to", (PageLink(f"{first} / {second}", f"/pairs/{number}"),)),
        Heading("What was said"),
    ]
    for turn, said in groupby(heard, lambda one: one.round):
        blocks.append(Text(f"Round {turn + 1}", soft=True))
        blocks += [speech(room, one, _person(room, one.citizen)) for one in said]
    if not heard:
        blocks.append(Text("No statement on this pair is recorded at this table."))
    blocks += summaries(viewed, room, number, place)
    blocks += common_statement(viewed, room, number, place)
    members = room.seating.tables[place]
    blocks += [Heading("Who moved afterwards"), *_moved(room, number, members, heard)]
    return Page(f"Table {place + 1}: “{first}” or “{second}”", "/pairs", tuple(blocks))


def outcomes_of(room: RunSnapshot, number: int) -> tuple[str, str]:
    """The two sentences of a pair."""
    first, second = room.plan.pairs[number].tolist()
    return strip_hidden(room.plan.texts[first]), strip_hidden(room.plan.texts[second])


def _cloud(room: RunSnapshot, asked: queries.ListQuery) -> Block:
    found = queries.marks(room.store, queries.PAIRS, asked)
    rows = [row for row in found.rows if row[6] is not None and row[7] is not None]
    if not rows:
        return Text("No matching pair has ballots before and after.")
    before, after = (np.array([row[k] for row in rows]) for k in (6, 7))
    crossed = int(((before > 0.5) != (after > 0.5)).sum())
    finding = f"On {crossed} of {len(rows)} pairs the majority of the ballots changed."
    labels = [f"{row[1]} / {row[2]}" for row in rows]
    drawing = scatter(
        Series(before, after, labels, "after"),
        (0.0, 1.0),
        ("share before", "share after"),
        "Shares for the first outcome before and after the discussion",
        finding,
    )
    return Figure(drawing, f"{finding} The table below has the numbers, page by page.")


def _ballots(
    standings: tuple[queries.Standing, ...], attribute: str, level: float
) -> Figure | Text:
    everybody = standings[0]
    if everybody.before is None:
        return Text("No ballot on this pair is complete yet.")
    moves = [PlottedChange(s.category, _interval(s.before), _interval(s.after)) for s in standings]
    finding = f"Everybody: {percent(everybody.before.p)} before"
    if everybody.after is not None:
        finding += f", {percent(everybody.after.p)} after"
    rows = tuple(
        (
            strip_hidden(s.category), str(s.citizens), _shown(s.before), _counts(s.before),
            _shown(s.after), _counts(s.after),
            *((_shown(s.follow_up),) if everybody.follow_up else ()),
        )
        for s in standings
    )  # fmt: skip
    heads = (
        Head("Stratum"), Head("Citizens", True), Head("Before", True), Head("Ballots before"),
        Head("After", True), Head("Ballots after"),
        *((Head("Follow-up", True),) if everybody.follow_up else ()),
    )  # fmt: skip
    drawing = changes(moves, f"Ballots before and after by {attribute}", f"{finding}.")
    caption = (
        f"{finding}. ○ before, ◆ after; weighted shares for the first outcome with {level:.0%} "
        f"intervals (Wilson; over citizens before, over groups after; with a single citizen or "
        f"group the interval is 0 to 100 %). {everybody.citizens} citizens."
    )
    return Figure(drawing, caption, PageTable(f"Ballots by {attribute}.", heads, rows))


def _interval(share: queries.Share | None) -> PlottedInterval | None:
    if share is None or np.isnan(share.p):
        return None
    return PlottedInterval(share.p, share.low, share.high)


def _shown(share: queries.Share | None) -> str:
    if share is None:
        return "none yet"
    return f"{percent(share.p)} ({percent(share.low)} to {percent(share.high)})"


def _counts(share: queries.Share | None) -> str:
    return "none yet" if share is None else queries.counted(share)


def _tables(room: RunSnapshot, number: int) -> PageTable:
    rows = []
    for place, members in enumerate(room.seating.tables):
        moves = queries.moves_on(room.store, number, members)
        both = [move for move in moves if move.turned is not None]
        turned = sum(move.turned == 1 for move in both)
        mean = [float(np.mean([getattr(m, k) for m in both])) for k in ("before", "after") if both]
        shares = [percent(value) for value in mean] or ["none", "none"]
        link = PageLink(f"Table {place + 1}", f"/pairs/{number}/tables/{place}")
        rows.append((link, str(len(members)), *shares, str(turned)))
    heads = (
        Head("Table"), Head("Citizens", True), Head("Mean before", True), Head("Mean after", True),
        Head("Changed sides", True),
    )  # fmt: skip
    caption = "Unweighted mean probability of the first outcome over the table's citizens."
    return PageTable(caption, heads, tuple(rows))


def _person(room: RunSnapshot, citizen: int) -> PageLink:
    person = room.panel.personas[citizen]
    place = strip_hidden(person.state or "place unknown")
    text = f"{strip_hidden(person.name)} ({person.age}, {place})"
    return PageLink(text, f"/citizens/{citizen}")


def _moved(
    room: RunSnapshot, number: int, members: tuple[int, ...], heard: list[Spoken]
) -> tuple[Block, ...]:
    moves = queries.moves_on(room.store, number, members)
    if not moves:
        return (Text("No ballot on this pair is recorded for this table yet."),)
    sides = [one.side for one in heard]
    pattern = [
        PlottedChange(room.panel.personas[m.citizen].name, _point(m.before), _point(m.after))
        for m in moves
    ]
    spoken = f"{sides.count(0)} statements for the first outcome, {sides.count(1)} for the second"
    turned = sum(move.turned == 1 for move in moves)
    finding = f"After {spoken}, {turned} of {len(moves)} citizens changed sides."
    rows = tuple(
        (
            _person(room, m.citizen), percent(m.before), percent(m.after), _toward(m),
            "spoke" if any(one.citizen == m.citizen for one in heard) else "listened",
        )
        for m in moves
    )  # fmt: skip
    heads = (
        Head("Citizen"), Head("Before", True), Head("After", True), Head("Moved"), Head("Role"),
    )  # fmt: skip
    table = PageTable("Each citizen's probability of the first outcome.", heads, rows)
    caption = (
        f"{finding} ○ before, ◆ after. That a citizen moved after a statement does not show that "
        "the statement moved them."
    )
    return (Figure(changes(pattern, "Who moved", finding), caption, table),)


def _point(value: float | None) -> PlottedInterval | None:
    return None if value is None else PlottedInterval(value, value, value)


def _toward(move: queries.CitizenMove) -> str:
    if move.change is None:
        return "not valid both times"
    if abs(move.change) < 0.0005:
        return "not at all"
    return f"{abs(100 * move.change):.1f} points toward the {_SIDES[move.change < 0]}"
