"""A group's plenary: draft, critique and revision of a common statement with a moderator.

The steps follow the caucus mediation of Tessler et al. 2024 (drafts, critiques, revision) without
its learned ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from assembly.deliberation.context import GROUP_CHARACTERS, GROUP_TOKENS, state_of
from assembly.deliberation.prompts import (
    CRITIQUE,
    GROUP_STATEMENT,
    MAX_STATEMENTS,
    MODERATOR,
    REVISION,
    TABLE_STATEMENT,
    ShownPair,
    Statement,
    digest,
    listed,
    on_pair,
    told,
)
from assembly.deliberation.room import Room
from assembly.deliberation.seating import Shard
from assembly.deliberation.statements import MAX_CHARACTERS, named
from assembly.record.ballots import VALID
from assembly.record.ledger import GroupText
from plenary.models.base import Conversation, Sampling, check_replies, drawn
from plenary.seeding import derived_seed

TABLE, DRAFT, CRITICISM, REVISED = range(4)


class TextRequest(NamedTuple):
    """One text to be written; citizen None means the moderator."""

    pair: int
    table: int
    citizen: int | None
    prompt: Conversation


async def write(room: Room, shard: Shard, step: int) -> int:
    """Write one step's texts on every pair of the block; returns the texts, failed ones included.

    A step that rests on a text that failed is left out on that pair.
    """
    asked = _STEPS[step](room, shard)
    sampling = Sampling(
        room.settings.temperature,
        room.settings.statement_tokens if step == CRITICISM else GROUP_TOKENS,
        derived_seed(room.seed, "assembly", "plenary", step),
    )
    prompts = [drawn(a.prompt, _draw(room, shard, a)) for a in asked]
    replies = await room.backend.generate(prompts, sampling) if asked else []
    check_replies(room.backend.name, len(asked), len(replies))
    rows = []
    for a, reply in zip(asked, replies, strict=True):
        text = _cleaned(_shown(room, a.pair), reply.text or "", step)
        state = state_of(text, reply)
        rows.append(GroupText(a.pair, shard.group, step, a.table, a.citizen, state, text))
    room.ledger.add_group_texts(rows)
    room.notify("group", len(rows), sum(row.state != VALID for row in rows))
    return len(rows)


def _draw(room: Room, shard: Shard, asked: TextRequest) -> str:
    """The draw for an answer: a citizen's own, or the moderator's for each table of each group."""
    return f"{shard.group}.{asked.table}" if asked.citizen is None else room.draws[asked.citizen]


def _shown(room: Room, pair: int) -> ShownPair:
    """The pair as a plenary sees it; the presentation order alternates over pairs."""
    return room.shown(pair, pair % 2)


def _cleaned(shown: ShownPair, text: str, step: int) -> str:
    """Letters become the outcomes' words, so that the text is valid in any presentation order."""
    names = {label: f'"{words}"' for label, words in zip("AB", shown.options, strict=True)}
    return named(text, names, MAX_CHARACTERS if step == CRITICISM else GROUP_CHARACTERS)


def _texts(room: Room, shard: Shard, step: int) -> Mapping[int, Sequence[str]]:
    """Usable texts of a step on each pair, by table."""
    found: dict[int, list[str]] = {}
    for text in room.ledger.group_texts(shard.group, room.seating.positions(shard)):
        if text.step == step and text.state == VALID:
            found.setdefault(text.pair, []).append(text.text)
    return found


def _tables(room: Room, shard: Shard) -> list[TextRequest]:
    """Every table that has said something, over all rounds."""
    said: dict[tuple[int, int], list[Statement]] = {}
    pairs, tables = room.seating.positions(shard), room.seating.tables_in(shard.group)
    for s in room.ledger.spoken(tables, pairs, room.rounds):
        if s.state == VALID and s.side is not None:
            said.setdefault((s.pair, s.table), []).append(Statement(s.side, s.text))
    return [
        TextRequest(pair, table, None, _on(room, pair, TABLE_STATEMENT, said[pair, table]))
        for pair, table in sorted(said)
    ]


def _on(
    room: Room, pair: int, template: str, said: Sequence[Statement] = (), **fields: str
) -> Conversation:
    shown = _shown(room, pair)
    preface = digest(said[-MAX_STATEMENTS:], shown)
    return told(MODERATOR, on_pair(template, shown, **fields), preface)


def _draft(room: Room, shard: Shard) -> list[TextRequest]:
    return [
        TextRequest(pair, 0, None, _on(room, pair, GROUP_STATEMENT, statements=listed(texts)))
        for pair, texts in _texts(room, shard, TABLE).items()
    ]


def _criticise(room: Room, shard: Shard) -> list[TextRequest]:
    """One citizen of each table criticises, a different one on the next pair."""
    asked = []
    for pair, (draft, *_) in _texts(room, shard, DRAFT).items():
        text = on_pair(CRITIQUE, _shown(room, pair), draft=draft)
        for table in room.seating.tables_in(shard.group):
            members = room.seating.seated(max(0, room.rounds - 1))[table]
            citizen = members[pair % len(members)]
            asked.append(TextRequest(pair, table, citizen, told(room.systems[citizen], text)))
    return asked


def _revise(room: Room, shard: Shard) -> list[TextRequest]:
    critiques = _texts(room, shard, CRITICISM)
    return [
        TextRequest(
            pair,
            0,
            None,
            _on(room, pair, REVISION, draft=draft, critiques=listed(critiques[pair])),
        )
        for pair, (draft, *_) in _texts(room, shard, DRAFT).items()
        if pair in critiques
    ]


_STEPS: dict[int, Callable[[Room, Shard], list[TextRequest]]] = {
    TABLE: _tables,
    DRAFT: _draft,
    CRITICISM: _criticise,
    REVISED: _revise,
}
