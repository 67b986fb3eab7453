"""A citizen's memory: what was heard so far, bounded or summarised, as it enters the prompt.

It never contains anybody's ballot, except in a probe. Citizens who change tables remember what they
heard at each of them. Everything is read back from the ledger, so a step that is repeated after a
crash asks the same questions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from assembly.deliberation.prompts import (
    BRIEFING,
    CLAIM,
    GIST,
    MAX_STATEMENTS,
    MODERATOR,
    STATEMENT,
    SUMMARISE,
    Statement,
    digest,
    listed,
    told,
)
from assembly.deliberation.room import Room
from assembly.deliberation.seating import Shard
from assembly.deliberation.statements import MAX_CHARACTERS, clean
from assembly.record.ballots import FAILED, INVALID, REFUSED, VALID
from assembly.record.ledger import Gist, Spoken
from assembly.record.settings import AssemblySettings
from plenary.errors import ConfigError
from plenary.models.base import Conversation, Reply, Sampling, check_replies
from plenary.prompt_templates import LABELS
from plenary.seeding import derived_seed

MAX_ARGUMENTS = 3

GROUP_CHARACTERS = 480

GROUP_TOKENS = 96

# Longer than any template with its headings and labels.
_TEMPLATE = 700

Path = tuple[int, ...]

Tally = tuple[int, int]


class Older(NamedTuple):
    """Statements on one side of a pair that no longer fit; `said` in the order heard."""

    pair: int
    side: int
    said: tuple[Spoken, ...]

    @property
    def sources(self) -> str:
        """Where the statements are in the record."""
        return " ".join(f"{s.round}.{s.table}.{s.seat}" for s in self.said)


@dataclass(frozen=True, slots=True)
class Recall:
    """What the members of a shard have heard before a turn.

    paths: citizen -> the table in each round (the citizen's own number when thinking alone).
    said: (pair, place, round) -> what was said there; the latest `keep` are quoted in full.
    gists: summaries of the rest. informed: whether the briefing is shown. statements: pair -> the
    plenary's text. claims: a probe's tallies for the pair's two outcomes.
    """

    room: Room
    keep: int
    paths: Mapping[int, Path]
    said: Mapping[tuple[int, int, int], Sequence[Spoken]]
    gists: Mapping[Older, Statement]
    informed: bool
    statements: Mapping[int, str]
    claims: Mapping[tuple[int, int], Tally]
    _made: dict[tuple[Path, int, int], str | None] = field(default_factory=dict)

    def preface(self, citizen: int, pair: int, order: int) -> str | None:
        """What precedes the question; None if there is nothing."""
        at = (self.paths[citizen], pair, order)
        if at not in self._made:
            self._made[at] = self._words(*at)
        claim = self.claims.get((citizen, pair))
        if claim is None:
            return self._made[at]
        planted = CLAIM.format(a=claim[order], b=claim[1 - order])
        return "\n\n".join(filter(None, (self._made[at], planted)))

    def _words(self, path: Path, pair: int, order: int) -> str | None:
        shown = self.room.shown(pair, order)
        given = self.room.briefing.get(pair, ()) if self.informed else ()
        said = _heard(self.said, path, pair)
        gists = [self.gists[o] for o in _beyond(pair, said, self.keep) if o in self.gists]
        heard = [Statement(s.side or 0, s.text) for s in said]
        latest = heard[max(0, len(heard) - self.keep) :] if self.keep else []
        parts = [
            digest(given, shown, BRIEFING, 2 * MAX_ARGUMENTS),
            digest(gists, shown, GIST),
            digest(latest, shown, self.room.condition.heading),
        ]
        if pair in self.statements:
            parts.append(f"{STATEMENT}\n{self.statements[pair]}")
        return "\n\n".join(filter(None, parts)) or None


def places(room: Room, citizens: Sequence[int], turn: int) -> dict[int, Path]:
    """Where each citizen sat in the rounds before `turn`."""
    if room.condition.alone:
        return {c: (c,) * turn for c in citizens}
    tables = [room.seating.table_of(r) for r in range(turn)] if room.seating.moves else []
    if not tables:
        still = room.seating.table_of()
        return {c: (int(still[c]),) * turn for c in citizens}
    return {c: tuple(int(table[c]) for table in tables) for c in citizens}


def _heard(
    said: Mapping[tuple[int, int, int], Sequence[Spoken]], path: Path, pair: int
) -> list[Spoken]:
    """Statements heard along a path, in order."""
    return [one for turn, place in enumerate(path) for one in said.get((pair, place, turn), ())]


def _beyond(pair: int, heard: Sequence[Spoken], keep: int) -> list[Older]:
    """What no longer fits and has to be summarised."""
    return older(pair, heard[: len(heard) - keep]) if len(heard) > keep else []


async def remember(
    room: Room,
    shard: Shard,
    turn: int,
    keep: int = MAX_STATEMENTS,
    *,
    informed: bool = True,
    statements: Mapping[int, str] | None = None,
    claims: Mapping[tuple[int, int], Tally] | None = None,
) -> Recall:
    """What the shard's citizens heard before round `turn`; the latest `keep` in full."""
    pairs, members = room.seating.positions(shard), room.seating.members(shard)
    tables = room.seating.tables_in(shard.group)
    said: defaultdict[tuple[int, int, int], list[Spoken]] = defaultdict(list)
    for s in room.ledger.spoken(tables, pairs, turn) if turn else ():
        if s.state == VALID:
            said[s.pair, s.citizen if room.condition.alone else s.table, s.round].append(s)
    paths = places(room, members, turn)
    spoken_of = sorted({pair for pair, _, _ in said})
    wanted = [
        summed
        for path in set(paths.values())
        for pair in spoken_of
        for summed in _beyond(pair, _heard(said, path, pair), keep)
    ]
    gists = await sum_up(room, wanted)
    return Recall(room, keep, paths, said, gists, informed, statements or {}, claims or {})


def prompt_limit(settings: AssemblySettings, systems: Sequence[str], texts: Sequence[str]) -> int:
    """The most characters a prompt can have: every citizen's text in it is cut first.

    Two outcomes appear at most twice; a probe's persona is never longer than the panel's longest by
    more than one sentence, which the allowance for the template covers.
    """
    line = MAX_CHARACTERS * (settings.speakers if settings.condition == "reflection" else 1) + 10
    heard = MAX_STATEMENTS * line + 2 * (MAX_CHARACTERS + 10)
    given = 2 * MAX_ARGUMENTS * (MAX_CHARACTERS + 10)
    group = settings.plenary * (
        GROUP_CHARACTERS + settings.tables_per_group * (GROUP_CHARACTERS + 10)
    )
    outcomes = sum(sorted(map(len, texts))[-2:])
    longest = max(map(len, systems), default=0)
    return longest + 2 * outcomes + heard + given + group + _TEMPLATE


def check_prompts(settings: AssemblySettings, systems: Sequence[str], texts: Sequence[str]) -> None:
    """Raise ConfigError if a prompt could exceed the stated maximum."""
    limit = prompt_limit(settings, systems, texts)
    if limit > settings.max_prompt:
        raise ConfigError(
            f"prompts could have {limit!r} characters and max_prompt is {settings.max_prompt!r}; "
            "shorten personas and outcomes, seat smaller groups or raise assembly.max_prompt"
        )


CLAUSE = 80

MAX_REASONS = 12


def floor(
    members: Sequence[int], start: int, count: int, past: Sequence[Spoken]
) -> tuple[int, ...]:
    """Seats that speak next: least often asked, then least heard, then from seat `start` on."""
    asked = Counter(s.citizen for s in past)
    heard = Counter(s.citizen for s in past if s.state == VALID)
    seats = range(len(members))
    waiting = sorted(
        seats,
        key=lambda s: (asked[members[s]], heard[members[s]], (s - start) % len(members)),
    )
    return tuple(waiting[:count])


def older(pair: int, said: Sequence[Spoken]) -> list[Older]:
    """What is to be summarised for each side, at most the latest MAX_REASONS distinct reasons."""
    sides = []
    for side in (0, 1):
        latest = {s.text.casefold(): s for s in said if s.side == side}
        kept = sorted(latest.values(), key=lambda s: (s.round, s.table, s.seat))[-MAX_REASONS:]
        if kept:
            sides.append(Older(pair, side, tuple(kept)))
    return sides


async def sum_up(room: Room, wanted: Sequence[Older]) -> Mapping[Older, Statement]:
    """A one-line summary of each; refused and failed ones are recorded and left out."""
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
    """First clauses; if not all fit, those of the latest statements."""
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
    """A summary that names option letters is invalid: its prompt had none, so they mean nothing."""
    text, other = (clean(reply.text or "", letter) for letter in LABELS)
    if text != other:
        return _gist(wanted, "model", INVALID, "")
    return _gist(wanted, "model", state_of(text, reply), text)


def _gist(wanted: Older, mode: str, state: int, text: str) -> Gist:
    return Gist(wanted.pair, wanted.side, mode, wanted.sources, state, text)


def state_of(text: str, reply: Reply) -> int:
    """State of a free text after cleaning: if no text is left, refused, unfinished or failed."""
    if text:
        return VALID
    if reply.cut:
        return INVALID
    return REFUSED if (reply.failure or "").casefold().startswith("refus") else FAILED
