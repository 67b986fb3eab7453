"""Viewer pages on the panel: the map, the list of citizens, and one citizen's history."""

from __future__ import annotations

from collections import Counter
from itertools import groupby

import numpy as np

from assembly.record.ledger import Spoken
from personas.representativeness import CategoryShare
from plenary.figures.charts import GRID, distribution, tile_map
from plenary.figures.page_parts import Head, Tile
from plenary.figures.panel import finding as panel_finding
from plenary.figures.panel import read_shares
from plenary.figures.svg import Series, scatter
from plenary.runs import filenames
from plenary.safe_text import strip_hidden
from plenary.viewer import queries
from plenary.viewer.blocks import (
    Block,
    Figure,
    Figures,
    Heading,
    Page,
    PageLink,
    PageTable,
    Speech,
    Text,
    Tiles,
)
from plenary.viewer.lists import Query, around, asked_of, page_of, pager, percent, plain, waiting
from plenary.viewer.run_view import RunSnapshot, RunView

NOT_SEATED = "The panel is not seated yet."
SHOWN = (
    "age", "sex", "race_origin", "education", "field_of_degree", "marital", "employment",
    "occupation", "industry", "hours", "personal_income", "household_income", "household_type",
    "household_size", "children", "tenure", "citizenship", "nativity", "language", "veteran",
    "disability", "insured", "state", "region", "metro", "metro_area",
)  # fmt: skip
CITIZENS = (
    Head("Citizen"), Head("Age", True), Head("Sex"), Head("State"), Head("Education"),
    Head("Occupation"), Head("Weight", True), Head("Changed sides", True), Head("Moved by", True),
    Head("Invalid", True), Head("Statements", True),
)  # fmt: skip
JOURNEY = (
    Head("Pair"), Head("Before", True), Head("After", True), Head("Change", True),
    Head("Invalid", True), Head("Table"),
)  # fmt: skip


def panel(viewed: RunView) -> Page:
    """The panel on a map and by attribute, compared with the population."""
    room = viewed.room()
    if room is None or not (viewed.path / filenames.SHARES).exists():
        return waiting("Panel", "/panel", NOT_SEATED)
    shares = read_shares(viewed.path / filenames.SHARES)
    lead = (
        f"{len(room.panel)} citizens, effective size {room.panel.effective_size:.1f}, drawn by "
        f"{room.panel.method!r}; {percent(room.panel.imputed_share)} of them, by weight, have "
        "values imputed from a donor record."
    )
    blocks: list[Block] = [Text(lead)]
    if any(person.state for person in room.panel):
        blocks += [Heading("Where they live"), *_map(viewed, room)]
    blocks += [Heading("By attribute, compared with the population"), Text(panel_finding(shares))]
    blocks.append(
        Text(
            "Dots are weighted shares in the panel, upright lines those in the population. Bands "
            "contain 95 % of simple random samples of the panel's effective size.",
            soft=True,
        )
    )
    grouped = groupby(shares, lambda share: share.attribute)
    blocks.append(Figures(tuple(_attribute(plain(name), tuple(rows)) for name, rows in grouped)))
    return Page("Panel", "/panel", tuple(blocks))


def citizens(viewed: RunView, query: Query) -> Page:
    """The list of citizens."""
    room = viewed.room()
    if room is None:
        return waiting("Citizens", "/citizens", NOT_SEATED)
    asked = asked_of(queries.CITIZENS, query)
    found = queries.find(room.store, queries.CITIZENS, asked)
    parts = around(
        queries.CITIZENS, asked, found, "/citizens", "citizens", "name, state, occupation"
    )
    rows = tuple(
        (
            PageLink(name, f"/citizens/{number}"), str(age), sex, state, education, occupation,
            f"{weight:.2f}", percent(turned), percent(moved), percent(invalid), f"{spoken:,}",
        )
        for number, name, age, sex, education, state, occupation, weight, turned, moved, invalid,
        spoken in found.rows
    )  # fmt: skip
    caption = (
        "Changed sides: share of pairs. Moved by: mean absolute change in probability from the "
        "ballot before to the ballot after. Names are invented."
    )
    table = PageTable(caption, CITIZENS, rows)
    return Page("Citizens", "/citizens", (parts.form, parts.pager, table))


def citizen(viewed: RunView, number: int, query: Query) -> Page | None:
    """One citizen: persona, ballots before and after, statements, tables; None for no citizen."""
    room = viewed.room()
    if room is None:
        return waiting("Citizen", "/citizens", NOT_SEATED)
    if number >= len(room.panel):
        return None
    person = room.panel.personas[number]
    moves = queries.journey(room.store, number)
    found = queries.paged(moves, page_of(query))
    blocks: list[Block] = [_tiles(room, number, moves)]
    facts = tuple(
        (plain(name), "does not apply" if value is None else strip_hidden(str(value)))
        for name, value in ((name, getattr(person, name)) for name in SHOWN)
    )
    heads = (Head("What"), Head("In the record"))
    caption = "The persona, from one survey record; the name is invented."
    blocks.append(PageTable(caption, heads, facts, "Persona"))
    if person.attitudes:
        drawn = tuple((a.about, a.answer, a.source) for a in person.attitudes)
        heads = (Head("About"), Head("Answer drawn"), Head("From"))
        blocks.append(
            PageTable("Attitudes: drawn from a survey, not part of the record.", heads, drawn)
        )
    blocks += [Heading("Ballots before and after"), *_ballots(room, number, moves)]
    path = f"/citizens/{number}"
    blocks += [pager(found, path, {}, "pairs"), _journey(room, number, found)]
    blocks += [Heading("Statements"), *_statements(room, number)]
    return Page(strip_hidden(person.name), "/citizens", tuple(blocks))


def _map(viewed: RunView, room: RunSnapshot) -> tuple[Block, ...]:
    states = [person.state or "unknown" for person in room.panel]
    counts = Counter(states)
    weighed: Counter[str] = Counter()
    for state, weight in zip(states, room.panel.weight.tolist(), strict=True):
        weighed[state] += weight
    truth = viewed.population_by_state()
    names = sorted({*counts, *(name for name, share in truth.items() if share)})
    rows = tuple(
        (
            strip_hidden(name),
            str(counts[name]),
            percent(weighed[name] / room.panel.weight.sum()),
            percent(truth.get(name)),
        )
        for name in names
    )
    heads = (Head("State"), Head("Citizens", True), Head("Panel", True), Head("Population", True))
    table = PageTable(
        "Citizens by state, with weighted shares.", heads, rows, "All states as numbers"
    )
    if not counts.keys() & GRID.keys():
        return (table._replace(summary=""),)
    most = counts.most_common(1)[0]
    finding = (
        f"Citizens live in {len(counts)} states; most of them, {most[1]}, in "
        f"{strip_hidden(most[0])}. Darker tiles have more citizens; each shows its number."
    )
    return (Figure(tile_map(counts, "Citizens by state", finding), finding, table),)


def _attribute(name: str, rows: tuple[CategoryShare, ...]) -> Figure:
    outside = [row.category for row in rows if not row.inside]
    finding = f"{name.capitalize()}: {len(outside)} of {len(rows)} categories are outside the band"
    finding += f" ({', '.join(map(strip_hidden, outside))})." if outside else "."
    cells = tuple(
        (
            strip_hidden(row.category), percent(row.population), percent(row.panel),
            f"{percent(row.low)} to {percent(row.high)}", str(row.citizens),
        )
        for row in rows
    )  # fmt: skip
    heads = (
        Head(name.capitalize()), Head("Population", True), Head("Panel", True),
        Head("95 % band", True), Head("Citizens", True),
    )  # fmt: skip
    table = PageTable(f"Weighted shares by {name}.", heads, cells, "The numbers")
    drawing = distribution(rows, f"Panel and population by {name}", finding)
    return Figure(drawing, finding, table)


def _tiles(room: RunSnapshot, number: int, moves: list[queries.CitizenMove]) -> Tiles:
    both = [move for move in moves if move.turned is not None]
    turned = sum(move.turned == 1 for move in both)
    table = int(room.seating.table_of()[number])
    invalid = sum(move.invalid for move in moves)
    return Tiles(
        (
            Tile("Weight", f"{room.panel.weight[number]:.2f}", "mean 1"),
            Tile("Table", str(table + 1), "in the first round"),
            Tile("Changed sides", f"{turned}", f"of {len(both)} pairs"),
            Tile("Invalid ballots", f"{invalid}", f"on {len(moves)} pairs"),
        )
    )


def _ballots(room: RunSnapshot, number: int, moves: list[queries.CitizenMove]) -> tuple[Block, ...]:
    both = [move for move in moves if move.turned is not None]
    if not both:
        return (Text("No pair has valid ballots both before and after yet."),)
    before = np.array([move.before for move in both])
    after = np.array([move.after for move in both])
    size = float(np.abs(after - before).mean())
    finding = f"On {len(both)} pairs the probabilities moved by {size:.3f} on average."
    labels = [_names(room, move.pair) for move in both[: queries.MARKS]]
    series = Series(before[: queries.MARKS], after[: queries.MARKS], labels, "after")
    drawing = scatter(
        series, (0.0, 1.0), ("before", "after"), "Ballots before and after, pair by pair", finding
    )
    caption = (
        f"{finding} Each mark is a pair: the probability of its first outcome in this citizen's "
        "ballots (mean of both orders). On the dashed line nothing changed. The table below has "
        "the "
        "numbers."
    )
    return (Figure(drawing, caption),)


def _journey(room: RunSnapshot, number: int, found: queries.ListPage) -> PageTable:
    table = int(room.seating.table_of()[number])
    rows = []
    for move in (queries.CitizenMove(*row) for row in found.rows):
        change = move.change
        path = f"/pairs/{move.pair}"
        rows.append(
            (
                PageLink(_names(room, move.pair), path),
                percent(move.before),
                percent(move.after),
                "none" if change is None else f"{100 * change:+.1f}",
                str(move.invalid),
                PageLink(f"table {table + 1}", f"{path}/tables/{table}"),
            )
        )
    caption = "Probability of the first outcome; change in points, largest first."
    return PageTable(caption, JOURNEY, tuple(rows))


def _statements(room: RunSnapshot, number: int) -> tuple[Block, ...]:
    said = queries.said_by(room.store, number)
    if not said:
        return (Text("This citizen made no statement."),)
    shown = said[: queries.PAGE]
    count = f"{len(said)} statements" + (
        f", the first {len(shown)}" if len(shown) < len(said) else ""
    )
    return (Text(f"{count}, pair by pair.", soft=True), *(_speech(room, one) for one in shown))


def _speech(room: RunSnapshot, heard: Spoken) -> Speech:
    link = PageLink(_names(room, heard.pair), f"/pairs/{heard.pair}/tables/{heard.table}")
    return speech(room, heard, link)


def speech(room: RunSnapshot, heard: Spoken, speaker: PageLink) -> Speech:
    """A statement with the outcome it spoke for."""
    if heard.side is None:
        return Speech(heard.text or "(no usable text)", speaker, "for neither", "none")
    outcome = room.plan.texts[int(room.plan.pairs[heard.pair][heard.side])]
    text = heard.text or "(no usable text)"
    return Speech(text, speaker, f"for “{strip_hidden(outcome)}”", ("first", "second")[heard.side])


def _names(room: RunSnapshot, pair: int) -> str:
    first, second = (strip_hidden(room.plan.texts[k], 160) for k in room.plan.pairs[pair].tolist())
    return f"{first} / {second}"
