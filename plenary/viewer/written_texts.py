"""Briefings, summaries and group texts that citizens saw, as the viewer shows them."""

from __future__ import annotations

from pathlib import Path

from assembly.deliberation.group_statement import CRITICISM, DRAFT, REVISED, TABLE
from assembly.record.ballots import STATES, VALID
from assembly.record.ledger import Argument, Gist, GroupText
from plenary.safe_text import strip_hidden
from plenary.viewer.blocks import Block, Cell, Heading, PageLink, Speech, Text
from plenary.viewer.queries import PAGE
from plenary.viewer.run_view import RunSnapshot, RunView

TONES = ("first", "second")
MODES = {"extract": "their first clauses", "model": "a sentence by the model"}
STEPS = {
    TABLE: "what weighed with table {table}",
    DRAFT: "draft of the common statement",
    CRITICISM: "what table {table} misses in the draft",
    REVISED: "common statement, revised",
}


def briefing(viewed: RunView, room: RunSnapshot, pair: int) -> tuple[Block, ...]:
    """The arguments for both sides of a pair, in the order in which everybody read them."""
    chosen = viewed.config.assembly.briefing
    if chosen is None:
        return ()
    return (Heading("Arguments of the briefing"), *_arguments(viewed, room, pair, chosen))


def _arguments(
    viewed: RunView, room: RunSnapshot, pair: int, chosen: str | Path
) -> tuple[Block, ...]:
    if isinstance(chosen, Path):
        return (Text(f"They come from the file {strip_hidden(str(chosen))}, not kept in the run."),)
    made = viewed.written("arguments", Argument, pair)
    if not made:
        return (Text("None is recorded on this pair."),)
    told = "Given to every citizen after the first ballot, in this order."
    if any(one.state != VALID for one in made):
        told = (
            "Nobody read them: arguments are shown only if there is an accepted one for each side."
        )
    return (Text(told, soft=True), *(_argument(room, one) for one in made))


def _argument(room: RunSnapshot, one: Argument) -> Speech:
    # `invalid` marks an argument that a reviewer did not accept.
    state = {"valid": "", "invalid": ", rejected by a reviewer"}.get(
        STATES[one.state], f", {STATES[one.state]}"
    )
    side = f"for “{_outcome(room, pair=one.pair, side=one.side)}”{state}"
    return Speech(_or_none(one.text), "An argument", side, TONES[one.side])


def summaries(viewed: RunView, room: RunSnapshot, pair: int, table: int) -> tuple[Block, ...]:
    """Summaries of a table's older statements, as shown to citizens instead of the statements."""
    made = [
        one
        for one in viewed.written("gists", Gist, pair)
        if any(int(source.split(".")[1]) == table for source in one.sources.split())
    ]
    if not made:
        return ()
    lead = "Summaries of statements that no longer fitted into a citizen's prompt."
    if len(made) > PAGE:
        lead += f" The first {PAGE} of {len(made)} summaries."
    shown = (_summary(room, one) for one in made[:PAGE])
    return (Heading("Summaries of earlier statements"), Text(lead, soft=True), *shown)


def _summary(room: RunSnapshot, one: Gist) -> Speech:
    side = f"for “{_outcome(room, pair=one.pair, side=one.side)}”, by {MODES[one.mode]}"
    count = len(one.sources.split())
    what = f"Summary of {count} statement{'s' * (count > 1)}"
    return Speech(_or_none(one.text), what, side, TONES[one.side])


def common_statement(
    viewed: RunView, room: RunSnapshot, pair: int, table: int
) -> tuple[Block, ...]:
    """What the tables sharing a plenary with this one wrote about a pair, step by step."""
    seating = room.seating
    group = next(h for h in range(seating.groups) if table in seating.tables_in(h))
    made = [one for one in viewed.written("plenary", GroupText, pair) if one.group == group]
    if not made:
        return ()
    return (Heading("The common statement"), *(_written(room, one) for one in made))


def _written(room: RunSnapshot, one: GroupText) -> Speech:
    writer: Cell = "The moderator"
    if one.citizen is not None:
        name = strip_hidden(room.panel.personas[one.citizen].name)
        writer = PageLink(name, f"/citizens/{one.citizen}")
    what = STEPS[one.step].format(table=one.table + 1)
    return Speech(_or_none(one.text), writer, what, "none")


def _outcome(room: RunSnapshot, *, pair: int, side: int) -> str:
    return strip_hidden(room.plan.texts[int(room.plan.pairs[pair][side])])


def _or_none(text: str) -> str:
    return text or "(no usable text)"
