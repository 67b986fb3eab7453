"""The moderator: gives the floor to the least asked, and sums up what no longer fits a prompt.

The moderator holds no view and is no citizen; every summary names the statements it rests on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from assembly.ballots import FAILED, INVALID, REFUSED, VALID
from assembly.ledger import Gist, Spoken
from assembly.phase_prompts import MODERATOR, SUMMARISE, listed, told
from assembly.prompts import LABELS, Statement
from assembly.room import Room
from assembly.statements import MAX_CHARACTERS, clean
from plenary.chat.base import Conversation, Reply, Sampling, check_replies
from plenary.seeding import derived_seed

CLAUSE = 80
MAX_REASONS = 12


class Older(NamedTuple):
    """Statements on one side of a pair that no longer fit; `said` in the order heard."""

    pair: int
    side: int
    said: tuple[Spoken, ...]

    @property
    def sources(self) -> str:
        """Where the statements stand in the record."""
        return " ".join(f"{s.round}.{s.table}.{s.seat}" for s in self.said)


def floor(
    members: Sequence[int], start: int, count: int, past: Sequence[Spoken]
) -> tuple[int, ...]:
    """Seats that speak next: the least asked, then the least heard, then on from seat `start`."""
    asked = Counter(s.citizen for s in past)
    heard = Counter(s.citizen for s in past if s.state == VALID)
    seats = range(len(members))
    waiting = sorted(
        seats,
        key=lambda s: (asked[members[s]], heard[members[s]], (s - start) % len(members)),
    )
    return tuple(waiting[:count])


def older(pair: int, said: Sequence[Spoken]) -> list[Older]:
    """What is to be summed up, a side each, bounded to the latest MAX_REASONS distinct reasons."""
    sides = []
    for side in (0, 1):
        latest = {s.text.casefold(): s for s in said if s.side == side}
        kept = sorted(latest.values(), key=lambda s: (s.round, s.table, s.seat))[-MAX_REASONS:]
        if kept:
            sides.append(Older(pair, side, tuple(kept)))
    return sides


async def sum_up(room: Room, wanted: Sequence[Older]) -> Mapping[Older, Statement]:
    """One line for each; those the model refused or failed to sum up are recorded and missing."""
    distinct = list(dict.fromkeys(wanted))
    if not distinct:
        return {}
    mode = room.settings.summary
    gists = [_extract(o) for o in distinct] if mode == "extract" else await _asked(room, distinct)
    room.ledger.add_gists(gists)
    return {
        o: Statement(g.side, g.text)
        for o, g in zip(distinct, gists, strict=True)
        if g.state == VALID
    }


def _extract(wanted: Older) -> Gist:
    """First clauses, the latest statements before earlier ones where not all fit."""
    kept: list[Spoken] = []
    room_left = MAX_CHARACTERS
    for said in reversed(wanted.said):
        room_left -= len(_clause(said.text)) + 2
        if room_left < -2:
            break
        kept.insert(0, said)
    text = "; ".join(_clause(s.text) for s in kept)
    return _gist(wanted._replace(said=tuple(kept)), "extract", VALID, text)


def _clause(text: str) -> str:
    cut = min((at for at in map(text.find, (". ", "; ", "! ", "? ")) if at > 0), default=len(text))
    clause = text[:cut].rstrip(" .,;:")
    return clause if len(clause) <= CLAUSE else clause[:CLAUSE].rsplit(" ", 1)[0]


async def _asked(room: Room, wanted: Sequence[Older]) -> list[Gist]:
    sampling = Sampling(0.0, 2 * room.settings.statement_tokens, derived_seed(room.seed, "gist"))
    replies = await room.backend.generate([_prompt(room, o) for o in wanted], sampling)
    check_replies(room.backend.name, len(wanted), len(replies))
    return [_answered(o, reply) for o, reply in zip(wanted, replies, strict=True)]


def _prompt(room: Room, wanted: Older) -> Conversation:
    outcome = room.texts[room.pairs[wanted.pair][wanted.side]]
    reasons = listed([s.text[:MAX_CHARACTERS] for s in wanted.said])
    return told(MODERATOR, SUMMARISE.format(outcome=outcome, reasons=reasons))


def _answered(wanted: Older, reply: Reply) -> Gist:
    """A summary is asked for without letters; what one of its own stands for cannot be told."""
    text, other = (clean(reply.text or "", letter) for letter in LABELS)
    if text != other:
        return _gist(wanted, "model", INVALID, "")
    return _gist(wanted, "model", state_of(text, reply), text)


def _gist(wanted: Older, mode: str, state: int, text: str) -> Gist:
    return Gist(wanted.pair, wanted.side, mode, wanted.sources, state, text)


def state_of(text: str, reply: Reply) -> int:
    """State of a free text after cleaning: without usable text refused, unfinished or failed."""
    if text:
        return VALID
    if reply.cut:
        return INVALID
    return REFUSED if (reply.failure or "").casefold().startswith("refus") else FAILED
