"""The ledger: the assembly's record, with the tables of calls, votes and statements.

By default one SQLite file. Every table has a primary key and existing rows stay, so a step that
runs twice after a crash is recorded once. WAL with synchronous=NORMAL survives any death of the
process; after a power cut the last transactions may be missing, but never half-written, and are
asked again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from assembly.record.ballots import VALID, VoteRow, Votes
from assembly.record.database import Row, SqliteDatabase
from assembly.record.postgres import PostgresDatabase
from assembly.record.progress import Clock, Timing
from plenary.errors import ConfigError
from plenary.models.base import Choice, Conversation
from plenary.models.wrappers.base import Choose
from plenary.models.wrappers.cache import CachedBackend, CallStore, Remembered

SCHEMA_VERSION = 3

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS votes (
    pair INTEGER, citizen INTEGER, phase INTEGER, "order" INTEGER,
    share_first REAL, state INTEGER NOT NULL, mass REAL, call BLOB NOT NULL,
    PRIMARY KEY (pair, citizen, phase, "order")) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS declarations (
    pair INTEGER, "table" INTEGER, round INTEGER, seat INTEGER,
    citizen INTEGER NOT NULL, "order" INTEGER NOT NULL, share_first REAL, state INTEGER NOT NULL,
    PRIMARY KEY (pair, "table", round, seat)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS statements (
    pair INTEGER, "table" INTEGER, round INTEGER, seat INTEGER,
    citizen INTEGER NOT NULL, side INTEGER, state INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (pair, "table", round, seat)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gists (
    pair INTEGER, side INTEGER, mode TEXT, sources TEXT,
    state INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (pair, side, mode, sources)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS arguments (
    pair INTEGER, side INTEGER, state INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (pair, side)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS plenary (
    pair INTEGER, "group" INTEGER, step INTEGER, "table" INTEGER,
    citizen INTEGER, state INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (pair, "group", step, "table")) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    started TEXT PRIMARY KEY, turns INTEGER NOT NULL,
    model REAL NOT NULL, framework REAL NOT NULL, ledger REAL NOT NULL) WITHOUT ROWID;
"""

_VOTE = ", ".join(f'votes."{name}"' for name in VoteRow._fields)


class Declaration(NamedTuple):
    """A speaker's public choice of side, as shown in `order`; share_first is NaN unless valid."""

    pair: int
    table: int
    round: int
    seat: int
    citizen: int
    order: int
    share_first: float | None
    state: int

    @property
    def side(self) -> int | None:
        """Declared outcome of the pair (0 or 1; if tied, the first shown), None unless valid."""
        if self.state != VALID or self.share_first is None:
            return None
        return (0 if self.share_first >= 0.5 else 1) ^ self.order


class Spoken(NamedTuple):
    """One statement: `side` is the outcome of the pair it speaks for, `text` what was heard."""

    pair: int
    table: int
    round: int
    seat: int
    citizen: int
    side: int | None
    state: int
    text: str


class Gist(NamedTuple):
    """The moderator's summary of the older statements for one side of a pair.

    sources: the statements it is based on, as "round.table.seat" separated by blanks. mode: extract
    or model.
    """

    pair: int
    side: int
    mode: str
    sources: str
    state: int
    text: str


class Argument(NamedTuple):
    """A generated argument of the briefing; state is valid if both sides' reviewers accepted it."""

    pair: int
    side: int
    state: int
    text: str


class GroupText(NamedTuple):
    """A text of a group's plenary; table 0 is the whole group, citizen None the moderator."""

    pair: int
    group: int
    step: int
    table: int
    citizen: int | None
    state: int
    text: str


# What was asked and answered; facts and sessions belong to one ledger only.
RECORDS = ("calls", "votes", "declarations", "statements", "gists", "arguments", "plenary")

_KEYS_A_QUERY = 500

# In recorded choices; quotes within a text are escaped, so no text can contain either.
_CUT, _WHOLE = '%"cut": %', '%"cut": 0%'

Content = dict[str, list[tuple]]


class BallotCalls(NamedTuple):
    """Keys of the calls behind a pair's ballots, sorted; `Ledger.get_many` gives their answers."""

    keys: tuple[str, ...]

    @property
    def digest(self) -> str:
        """blake2b-128 of the keys, one per line, as in a row of the dataset."""
        return hashlib.blake2b("\n".join(self.keys).encode(), digest_size=16).hexdigest()


class Ledger(CallStore):
    """An open ledger at `place`; a context manager. `clock` measures the time it takes."""

    def __init__(self, place: Path | str, *, check: bool = True) -> None:
        """Open or create a file, or a PostgreSQL schema given by its address.

        check: read the whole file for damage, once per run. DataError if it is damaged or not a
        ledger of this version.
        """
        self.clock, self.place = Clock(), place
        self._db = (
            PostgresDatabase(place, _SCHEMA, SCHEMA_VERSION)
            if isinstance(place, str)
            else SqliteDatabase(place, _SCHEMA, SCHEMA_VERSION, check=check)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; what was recorded stays."""
        self._db.close()

    def claim(self, fingerprint: str) -> None:
        """Bind the ledger to a configuration, or refuse to continue under another one."""
        self._insert("facts", [("fingerprint", fingerprint)])
        held = self._rows("SELECT value FROM facts WHERE name = 'fingerprint'")[0][0]
        if held != fingerprint:
            raise ConfigError(
                f"this ledger belongs to configuration {held!r}, not {fingerprint!r}; "
                "restore the settings it was started with or use a new run directory"
            )

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """Recorded answers among `keys`, as JSON text."""
        found: dict[str, str] = {}
        for start in range(0, len(keys), _KEYS_A_QUERY):
            part = keys[start : start + _KEYS_A_QUERY]
            query = f"SELECT key, reply FROM calls WHERE key IN ({_places(part)})"
            found.update(self._rows(query, *part))
        return found

    def put_many(self, answers: Mapping[str, str]) -> None:
        """Record answers in one transaction; an answer already there stays."""
        self._insert("calls", answers.items())

    def add_votes(self, votes: Votes, calls: Iterable[str]) -> None:
        """Record votes, each with the key of its call; a vote already there stays."""
        keyed = ((*row, bytes.fromhex(call)) for row, call in zip(votes.rows(), calls, strict=True))
        self._insert("votes", keyed)

    def add_declarations(self, rows: Iterable[Declaration]) -> None:
        """Record the sides that speakers declared."""
        self._insert("declarations", rows)

    def add_statements(self, rows: Iterable[Spoken]) -> None:
        """Record statements, failed ones included."""
        self._insert("statements", rows)

    def add_gists(self, rows: Iterable[Gist]) -> None:
        """Record summaries with the statements they rest on."""
        self._insert("gists", rows)

    def add_arguments(self, rows: Iterable[Argument]) -> None:
        """Record generated arguments, rejected ones included."""
        self._insert("arguments", rows)

    def add_group_texts(self, rows: Iterable[GroupText]) -> None:
        """Record texts of a plenary, failed ones included."""
        self._insert("plenary", rows)

    def add_session(self, started: str, timing: Timing) -> None:
        """Record how the time of one session was spent."""
        self._insert("sessions", [(started, *timing)])

    def votes(self, pairs: range | None = None) -> Votes:
        """All votes, or those on some pairs, ordered by pair, citizen, phase and order."""
        among = "" if pairs is None else "WHERE pair >= ? AND pair < ?"
        query = f'SELECT {_VOTE} FROM votes {among} ORDER BY pair, citizen, phase, "order"'
        asked = () if pairs is None else (pairs.start, pairs.stop)
        return Votes.of(VoteRow(*row) for row in self._rows(query, *asked))

    def vote_count(self) -> int:
        """Number of all recorded votes, without loading them."""
        return self._rows("SELECT count(*) FROM votes")[0][0]

    def ballot_calls(self, pairs: int) -> list[BallotCalls]:
        """The calls behind the ballots of each pair 0..pairs-1, over citizens, phases and orders.

        Statements need no keys of their own: what was heard is part of the ballot's prompt, and
        therefore of its key.
        """
        found: list[list[str]] = [[] for _ in range(pairs)]
        for pair, call in self._rows("SELECT pair, call FROM votes ORDER BY pair, call"):
            found[pair].append(call.hex())
        return [BallotCalls(tuple(keys)) for keys in found]

    def cut_share(self) -> float:
        """Share of the answers to all ballots that were cut short, each ballot counting as one.

        Computed from the recorded calls, so over all sessions; ballots with calls elsewhere count
        0.
        """
        some = "SELECT key, reply FROM calls WHERE reply LIKE ? AND reply NOT LIKE ?"
        calls = ((key, json.loads(text)) for key, text in self._rows(some, _CUT, _WHOLE))
        cut = {bytes.fromhex(key): call["cut"] / call["asked"] for key, call in calls}
        votes = self._rows("SELECT call FROM votes") if cut else ()
        return sum(cut.get(bytes(call), 0.0) for (call,) in votes) / max(len(votes), 1)

    def votes_held(self, pairs: Sequence[int], citizens: Sequence[int]) -> int:
        """Number of votes recorded for these citizens and pairs, over phases and orders."""
        among = f"pair IN ({_places(pairs)}) AND citizen IN ({_places(citizens)})"
        return self._rows(f"SELECT count(*) FROM votes WHERE {among}", *pairs, *citizens)[0][0]

    def states(self, phase: int) -> dict[int, int]:
        """Number of votes recorded in a phase, by state code."""
        query = "SELECT state, count(*) FROM votes WHERE phase = ? GROUP BY state"
        return dict(self._rows(query, phase))

    def ballots(self, pairs: range, citizens: Sequence[int], phase: int) -> list[VoteRow]:
        """Votes of these citizens on a block of pairs in one phase."""
        among = f"pair IN ({_places(pairs)}) AND citizen IN ({_places(citizens)})"
        query = f"SELECT {_VOTE} FROM votes WHERE {among} AND phase = ? ORDER BY pair, citizen"
        return [VoteRow(*row) for row in self._rows(query, *pairs, *citizens, phase)]

    def declarations(self, tables: range, turn: int, pairs: range) -> list[Declaration]:
        """Sides declared at some tables in one round on a block of pairs."""
        query = (
            "SELECT * FROM declarations WHERE pair >= ? AND pair < ? "
            'AND "table" >= ? AND "table" < ? AND round = ?'
        )
        rows = self._rows(query, pairs.start, pairs.stop, tables.start, tables.stop, turn)
        return [Declaration(*row) for row in rows]

    def spoken(self, tables: range, pairs: range, turn: int) -> list[Spoken]:
        """What some tables recorded before round `turn`, as spoken, failed statements included."""
        query = (
            'SELECT * FROM statements WHERE pair >= ? AND pair < ? AND "table" >= ? '
            'AND "table" < ? AND round < ? ORDER BY pair, round, "table", seat'
        )
        rows = self._rows(query, pairs.start, pairs.stop, tables.start, tables.stop, turn)
        return [Spoken(*row) for row in rows]

    def transcript(self) -> list[Spoken]:
        """Every statement, failed ones included, ordered by pair, table, round and seat."""
        query = 'SELECT * FROM statements ORDER BY pair, "table", round, seat'
        return [Spoken(*row) for row in self._rows(query)]

    def gists(self) -> list[Gist]:
        """Every summary, ordered by pair and side."""
        return [Gist(*row) for row in self._rows("SELECT * FROM gists ORDER BY pair, side")]

    def arguments(self) -> list[Argument]:
        """Every generated argument, ordered by pair and side."""
        return [Argument(*row) for row in self._rows("SELECT * FROM arguments ORDER BY pair, side")]

    def group_texts(self, group: int | None = None, pairs: range | None = None) -> list[GroupText]:
        """Texts of one group's plenary on a block, or all; by pair, group, step and table."""
        query, asked = "SELECT * FROM plenary", ()
        if group is not None and pairs is not None:
            query = f'{query} WHERE pair >= ? AND pair < ? AND "group" = ?'
            asked = (pairs.start, pairs.stop, group)
        rows = self._rows(f'{query} ORDER BY pair, "group", step, "table"', *asked)
        return [GroupText(*row) for row in rows]

    def timing(self) -> Timing:
        """How the time of all finished sessions was spent."""
        rows = self._rows("SELECT turns, model, framework, ledger FROM sessions")
        turns, *seconds = map(sum, zip(*rows, strict=True)) if rows else (0, 0.0, 0.0, 0.0)
        return Timing(int(turns), *seconds)

    def content(self) -> Content:
        """Every row of what was asked and answered, by table, sorted by key."""
        return {table: sorted(self._rows(f"SELECT * FROM {table}"), key=_key) for table in RECORDS}

    def merge(self, content: Content) -> None:
        """Add another ledger's content in one transaction; rows already here stay."""
        with self.clock.at("ledger"):
            self._db.insert(content.items())

    def _rows(self, query: str, *asked: str | int) -> list[tuple]:
        with self.clock.at("ledger"):
            return self._db.rows(query, asked)

    def _insert(self, table: str, rows: Iterable[Row]) -> None:
        with self.clock.at("ledger"):
            self._db.insert([(table, rows)])


def _places(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _key(row: tuple) -> tuple:
    """Sort key of rows in which None comes first."""
    return tuple((value is not None, value or 0) for value in row)


class RecordedBackend(CachedBackend):
    """Computes keys once per call: computing them again would cost as much as the ledger does."""

    async def choose_recorded(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> Remembered[Choice]:
        """As `choose`, with the keys under which it records the answers."""
        return await self._remembered(conversations, Choose(labels, samples, seed))
