"""The three kinds of turn, each one model call over a whole table x block.

A conversation holds the citizen's own persona, the two outcomes and what the table said aloud:
never a vote. What was said is read back from the ledger, so a turn that is repeated after a crash
asks the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from assembly.ballots import AFTER, FAILED, REFUSED, VALID, VoteRow, mark
from assembly.ledger import Declaration, Ledger, Spoken
from assembly.prompts import LABELS, Shown, ballot, declare, digest, speak
from assembly.seating import Seating, Shard
from assembly.settings import AssemblySettings
from assembly.statements import clean
from plenary.chat.base import ChatBackend, Reply, Sampling, check_replies
from plenary.preferences import IntArray
from plenary.seeding import derived_seed

EventKind = Literal["resumed", "votes", "declarations", "statements", "shard"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something just recorded: `count` votes, declarations or statements, `invalid` of them bad.

    kind "resumed" counts votes found in the ledger at the start; kind "shard" is one shard
    completed.
    done, shards: shards finished so far, and in all.
    """

    kind: EventKind
    count: int
    invalid: int
    done: int
    shards: int


@dataclass(frozen=True, slots=True)
class Room:
    """What the turns need besides the shard's numbers; never part of the graph's state.

    systems [C]: persona texts. texts [K]: outcome sentences. pairs [P, 2].
    """

    backend: ChatBackend
    ledger: Ledger
    settings: AssemblySettings
    seating: Seating
    systems: tuple[str, ...]
    texts: tuple[str, ...]
    pairs: IntArray
    seed: int
    fingerprint: str
    notify: Callable[[EventKind, int, int], None]

    def shown(self, pair: int, order: int) -> Shown:
        """A pair's two sentences in a presentation order."""
        first, second = self.pairs[pair]
        return Shown(self.texts[first], self.texts[second], order)

    def complete(self, shard: Shard) -> bool:
        """Whether the ledger holds every vote of the shard: four a citizen and pair."""
        members, positions = self.seating.members(shard), self.seating.positions(shard)
        return self.ledger.votes_held(positions, members) == 4 * len(members) * len(positions)


async def cast_ballots(room: Room, shard: Shard, phase: int) -> int:
    """Every member votes privately on every pair, in both orders; returns the votes."""
    pairs = room.seating.positions(shard)
    heard = room.ledger.heard(shard.table, pairs, room.settings.rounds if phase == AFTER else 0)
    faces = {(p, order): room.shown(p, order) for p in pairs for order in (0, 1)}
    prefaces = {(p, order): digest(heard[p], shown) for (p, order), shown in faces.items()}
    slots = [(citizen, *at) for citizen in room.seating.members(shard) for at in faces]
    choices = await room.backend.choose(
        [ballot(room.systems[c], faces[p, o], prefaces[p, o]) for c, p, o in slots],
        LABELS,
        samples=room.settings.samples,
        seed=derived_seed(room.seed, "assembly", "ballot", phase),
    )
    check_replies(room.backend.name, len(slots), len(choices))
    marked = [mark(choice, room.settings.min_mass) for choice in choices]
    rows = [VoteRow(p, c, phase, o, *m) for (c, p, o), m in zip(slots, marked, strict=True)]
    room.ledger.add_votes(rows)
    room.notify("votes", len(rows), sum(m.state != VALID for m in marked))
    return len(rows)


async def declare_sides(room: Room, shard: Shard, turn: int) -> int:
    """The speakers of a round say for which outcome they will speak; returns the declarations."""
    pairs = room.seating.positions(shard)
    heard = room.ledger.heard(shard.table, pairs, turn)
    members = room.seating.members(shard)
    # The order shown alternates over pairs, seats and rounds: position favours neither outcome.
    slots = sorted(
        (seat, pair, (pair + seat + turn) % 2)
        for pair in pairs
        for seat in room.seating.speakers(shard.table, pair, turn, room.settings.speakers)
    )
    faces = [room.shown(pair, order) for _, pair, order in slots]
    choices = await room.backend.choose(
        [
            declare(room.systems[members[seat]], shown, digest(heard[pair], shown))
            for (seat, pair, _), shown in zip(slots, faces, strict=True)
        ],
        LABELS,
        samples=room.settings.samples,
        seed=derived_seed(room.seed, "assembly", "declare", turn),
    )
    check_replies(room.backend.name, len(slots), len(choices))
    marked = [mark(choice, room.settings.min_mass) for choice in choices]
    room.ledger.add_declarations(
        Declaration(pair, shard.table, turn, seat, members[seat], order, m.share, m.state)
        for (seat, pair, order), m in zip(slots, marked, strict=True)
    )
    room.notify("declarations", len(slots), sum(m.state != VALID for m in marked))
    return len(slots)


async def make_statements(room: Room, shard: Shard, turn: int) -> int:
    """Those who declared a side give one reason each; returns the statements, failed ones included.

    Speakers of one round do not hear one another, only the rounds before.
    """
    pairs = room.seating.positions(shard)
    heard = room.ledger.heard(shard.table, pairs, turn)
    declared = sorted(
        room.ledger.declarations(shard.table, turn, pairs), key=lambda d: (d.seat, d.pair)
    )
    willing = [(d, d.side, room.shown(d.pair, d.order)) for d in declared if d.side is not None]
    prompts = [
        speak(room.systems[d.citizen], shown, side, digest(heard[d.pair], shown))
        for d, side, shown in willing
    ]
    sampling = Sampling(
        room.settings.temperature,
        room.settings.statement_tokens,
        derived_seed(room.seed, "assembly", "speak", turn),
    )
    replies = await room.backend.generate(prompts, sampling) if prompts else []
    check_replies(room.backend.name, len(willing), len(replies))
    spoken = [_spoken(d, side, s, r) for (d, side, s), r in zip(willing, replies, strict=True)]
    silent = [Spoken(*d[:5], None, d.state, "") for d in declared if d.side is None]
    room.ledger.add_statements([*spoken, *silent])
    room.notify("statements", len(declared), sum(s.state != VALID for s in [*spoken, *silent]))
    return len(declared)


def _spoken(declared: Declaration, side: int, shown: Shown, reply: Reply) -> Spoken:
    """An answer without usable text is a refusal or a failure, and nobody hears it."""
    text = clean(reply.text or "", shown.letter(side))
    refused = (reply.failure or "").casefold().startswith("refus")
    state = VALID if text else (REFUSED if refused else FAILED)
    return Spoken(*declared[:5], side, state, text)
