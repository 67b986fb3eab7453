"""What citizens do in a session: vote on private ballots, declare a side, make statements.

Each is one model call over a whole group x block. A conversation contains the citizen's own
persona, the two outcomes and what the citizen heard said aloud, never a vote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from assembly.deliberation.context import GROUP_TOKENS, Recall, floor, remember, state_of
from assembly.deliberation.group_statement import DRAFT, REVISED
from assembly.deliberation.probes import PROBES
from assembly.deliberation.prompts import (
    ABSTAIN_BALLOT,
    LABELS_ABSTAIN,
    MAX_STATEMENTS,
    ShownPair,
    ballot,
    on_pair,
    told,
)
from assembly.deliberation.room import Room
from assembly.deliberation.seating import Shard
from assembly.deliberation.statements import MAX_CHARACTERS, clean
from assembly.record.ballots import (
    ABSTAINED,
    AFTER,
    BEFORE,
    FOLLOW_UP,
    VALID,
    Votes,
    mark,
)
from assembly.record.ledger import Declaration, Spoken
from plenary.models.base import Choice, Conversation, Reply, Sampling, check_replies, drawn
from plenary.models.usable import FIRST, Seen, nothing_lost, require_usable
from plenary.prompt_templates import LABELS
from plenary.seeding import derived_seed, generator

USABLE = (VALID, ABSTAINED)


async def cast_ballots(room: Room, shard: Shard, phase: int) -> int:
    """Every member votes privately on every pair, in both orders; returns the votes."""
    recall = await _informed(room, shard, phase)
    slots = _shuffled(room, shard, phase)
    faces = {(p, o): room.shown(p, o) for p in room.seating.positions(shard) for o in (0, 1)}
    abstain = room.settings.abstain
    draws = room.draws
    choices, keys = await room.backend.choose_recorded(
        [
            drawn(_ballot(room, c, faces[p, o], recall.preface(c, p, o)), draws[c])
            for c, p, o in slots
        ],
        LABELS_ABSTAIN if abstain else LABELS,
        samples=room.settings.samples,
        seed=derived_seed(room.seed, "assembly", "ballot", phase),
    )
    check_replies(room.backend.name, len(slots), len(choices))
    votes = Votes.cast(slots, phase, choices, room.settings.min_mass)
    # Checked before they are recorded, so that failed calls are repeated when the run resumes.
    _require_usable(room, phase, choices, votes)
    room.ledger.add_votes(votes, keys)
    room.notify("votes", len(votes), int((votes.state != VALID).sum()))
    return len(votes)


def _require_usable(room: Room, phase: int, choices: Sequence[Choice], votes: Votes) -> None:
    """Stop if too few ballots of the phase are usable, both in this block and in all so far."""
    limit = room.settings.max_unusable
    states = Counter(room.ledger.states(phase)) + Counter(votes.state.tolist())
    lost = states.total() - sum(states[state] for state in USABLE)
    if states.total() < FIRST or lost <= limit * states.total():
        return
    seen = Seen(
        np.isin(votes.state, USABLE),
        votes.mass,
        np.array([(*c.shares, np.nan, np.nan)[:2] for c in choices], dtype=np.float64),
        next((c.failure for c in choices if c.failure), "unreadable"),
    )
    with nothing_lost():
        require_usable(
            seen,
            room.backend.name,
            "ballots",
            room.settings.min_mass,
            limit,
            "assembly.max_unusable",
        )


async def _informed(room: Room, shard: Shard, phase: int) -> Recall:
    """What a voter knows: nothing before, all that fits after, only the gist at the follow-up."""
    if phase == BEFORE:
        return await remember(room, shard, 0, informed=False)
    tally = PROBES[room.settings.probe].tally
    return await remember(
        room,
        shard,
        room.rounds,
        MAX_STATEMENTS if phase == AFTER else 0,
        informed=room.condition.talks and phase != FOLLOW_UP,
        statements=_group_statements(room, shard) if room.holds_plenary else {},
        claims=tally(room, shard) if phase == AFTER and tally is not None else {},
    )


def _group_statements(room: Room, shard: Shard) -> dict[int, str]:
    """Pair -> the plenary's text: the revision if there is one, else the draft."""
    texts = room.ledger.group_texts(shard.group, room.seating.positions(shard))
    return {t.pair: t.text for t in texts if t.state == VALID and t.step in (DRAFT, REVISED)}


def _shuffled(room: Room, shard: Shard, phase: int) -> list[tuple[int, int, int]]:
    """Citizen, pair and order of every ballot; each voter sees the pairs in their own random order.

    One voter's ballots stay together: they share a prefix, which a local model reads only once.
    """
    every = [(p, o) for p in room.seating.positions(shard) for o in (0, 1)]
    rng = generator(room.seed, "assembly", "ballot order", phase, *shard)
    members = room.seating.members(shard)
    return [(c, *every[at]) for c in members for at in rng.permutation(len(every)).tolist()]


def _ballot(room: Room, citizen: int, shown: ShownPair, preface: str | None) -> Conversation:
    if room.settings.abstain:
        return told(room.systems[citizen], on_pair(ABSTAIN_BALLOT, shown), preface)
    return ballot(room.systems[citizen], shown, preface)


class SpeakingSlot(NamedTuple):
    """Who is asked to declare: the citizen in `seat` of `table`, shown a pair in `order`."""

    table: int
    seat: int
    pair: int
    citizen: int
    order: int


def _slots(room: Room, shard: Shard, turn: int) -> list[SpeakingSlot]:
    """The round's speakers, by citizen; everybody when each thinks alone.

    The order shown alternates over pairs, seats and rounds: position favours neither outcome.
    """
    pairs, tables = room.seating.positions(shard), room.seating.tables_in(shard.group)
    spoken = room.ledger.spoken(tables, pairs, turn)
    past = {pair: list(said) for pair, said in groupby(spoken, key=lambda s: s.pair)}
    slots = []
    for table in tables:
        members = room.seating.seated(turn)[table]
        count = len(members) if room.condition.alone else min(room.settings.speakers, len(members))
        for pair in pairs:
            seats = floor(members, count * (pair + turn), count, past.get(pair, ()))
            slots += [
                SpeakingSlot(table, s, pair, members[s], (pair + s + turn) % 2) for s in seats
            ]
    return sorted(slots)


async def declare_sides(room: Room, shard: Shard, turn: int) -> int:
    """The speakers of a round say for which outcome they will speak; returns the declarations."""
    recall = await remember(room, shard, turn)
    slots, draws = _slots(room, shard, turn), room.draws
    choices = await room.backend.choose(
        [
            drawn(
                room.condition.lean(
                    room.systems[s.citizen],
                    room.shown(s.pair, s.order),
                    recall.preface(s.citizen, s.pair, s.order),
                ),
                draws[s.citizen],
            )
            for s in slots
        ],
        LABELS,
        samples=room.settings.samples,
        seed=derived_seed(room.seed, "assembly", "declare", turn),
    )
    check_replies(room.backend.name, len(slots), len(choices))
    marked = [mark(choice, room.settings.min_mass) for choice in choices]
    room.ledger.add_declarations(
        Declaration(s.pair, s.table, turn, s.seat, s.citizen, s.order, m.share, m.state)
        for s, m in zip(slots, marked, strict=True)
    )
    room.notify("declarations", len(slots), sum(m.state != VALID for m in marked))
    return len(slots)


async def make_statements(room: Room, shard: Shard, turn: int) -> int:
    """Those who declared a side give one reason each; returns the statements, failed ones included.

    Speakers of one round do not hear one another, only the rounds before.
    """
    pairs, tables = room.seating.positions(shard), room.seating.tables_in(shard.group)
    recall = await remember(room, shard, turn)
    declared = sorted(
        room.ledger.declarations(tables, turn, pairs), key=lambda d: (d.table, d.seat, d.pair)
    )
    willing = [(d, d.side, room.shown(d.pair, d.order)) for d in declared if d.side is not None]
    draws = room.draws
    prompts = [
        drawn(
            room.condition.reason(
                room.systems[d.citizen], shown, side, recall.preface(d.citizen, d.pair, d.order)
            ),
            draws[d.citizen],
        )
        for d, side, shown in willing
    ]
    sampling = Sampling(
        room.settings.temperature,
        _tokens(room, turn),
        derived_seed(room.seed, "assembly", "speak", turn),
    )
    replies = await room.backend.generate(prompts, sampling) if prompts else []
    check_replies(room.backend.name, len(willing), len(replies))
    limit = MAX_CHARACTERS * (room.settings.speakers if room.condition.alone else 1)
    spoken = [
        _spoken(d, side, shown, reply, limit)
        for (d, side, shown), reply in zip(willing, replies, strict=True)
    ]
    silent = [Spoken(*d[:5], None, d.state, "") for d in declared if d.side is None]
    room.ledger.add_statements([*spoken, *silent])
    room.notify("statements", len(declared), sum(s.state != VALID for s in [*spoken, *silent]))
    return len(declared)


def _tokens(room: Room, turn: int) -> int:
    """Longest statement; citizens alone think for as many tokens as they would have heard."""
    settings = room.settings
    if not room.condition.alone:
        return settings.statement_tokens
    extra = GROUP_TOKENS if settings.plenary and turn == room.rounds - 1 else 0
    return settings.statement_tokens * min(settings.speakers, settings.table_size) + extra


def _spoken(declared: Declaration, side: int, shown: ShownPair, reply: Reply, limit: int) -> Spoken:
    """An answer without usable text is a refusal or a failure, and nobody hears it."""
    text = clean(reply.text or "", shown.letter(side), limit)
    return Spoken(*declared[:5], side, state_of(text, reply), text)
