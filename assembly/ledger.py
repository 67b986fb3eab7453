"""The record of an assembly in one SQLite file: calls, votes and statements, the source of truth.

Every table has a primary key and every write is INSERT OR IGNORE, so a step that runs twice after a
crash records once. WAL with synchronous=NORMAL survives any death of the process; after a power cut
the last transactions may be missing, never torn, and are asked again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from assembly.ballots import VALID, VoteRow, Votes
from assembly.progress import Clock, Timing
from plenary.chat.cache import CallStore
from plenary.errors import ConfigError, DataError

SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS votes (
    pair INTEGER, citizen INTEGER, phase INTEGER, "order" INTEGER,
    share_first REAL, state INTEGER NOT NULL, mass REAL,
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
    pair INTEGER, hall INTEGER, step INTEGER, "table" INTEGER,
    citizen INTEGER, state INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (pair, hall, step, "table")) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    started TEXT PRIMARY KEY, turns INTEGER NOT NULL,
    model REAL NOT NULL, framework REAL NOT NULL, ledger REAL NOT NULL) WITHOUT ROWID;
"""


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
        """Declared outcome of the pair (0 or 1; the shown first on a tie), None unless valid."""
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
    """What the moderator made of the older statements for one side of a pair.

    sources: the statements it rests on, as "round.table.seat" joined by blanks. mode: extract or
    model.
    """

    pair: int
    side: int
    mode: str
    sources: str
    state: int
    text: str


class Argument(NamedTuple):
    """A generated argument of the briefing; state is valid when both sides' reviewers took it."""

    pair: int
    side: int
    state: int
    text: str


class GroupText(NamedTuple):
    """A text of a hall's plenary; table is 0 where the hall speaks, citizen None the moderator."""

    pair: int
    hall: int
    step: int
    table: int
    citizen: int | None
    state: int
    text: str


class Ledger(CallStore):
    """An open ledger file; use it as a context manager. `clock` books the time it takes."""

    def __init__(self, path: Path) -> None:
        """Open or create `path`; DataError when it is no ledger of this version."""
        self.clock = Clock()
        try:
            self._db = sqlite3.connect(path, timeout=30.0, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            # A damaged page would otherwise be found when it is read, or never.
            state = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if state != "ok":
                raise DataError(f"ledger {str(path)!r} is damaged: {state!r}; put its copy back")
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, SCHEMA_VERSION):
                raise DataError(
                    f"{str(path)!r} has ledger version {found!r}; use a new run directory"
                )
            self._db.executescript(f"{_SCHEMA}PRAGMA user_version={SCHEMA_VERSION};")
        except sqlite3.Error as error:
            raise DataError(
                f"cannot open ledger {str(path)!r}: {error}; make room or give access, or use a "
                "new run directory"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was recorded stays."""
        self._db.close()

    def claim(self, fingerprint: str) -> None:
        """Bind the ledger to a configuration, or refuse to go on under another one."""
        with self._db:
            self._db.execute(
                "INSERT OR IGNORE INTO facts VALUES ('fingerprint', ?)", (fingerprint,)
            )
        held = self._db.execute("SELECT value FROM facts WHERE name = 'fingerprint'").fetchone()[0]
        if held != fingerprint:
            raise ConfigError(
                f"this ledger belongs to configuration {held!r}, not {fingerprint!r}; "
                "restore the settings it was started with or use a new run directory"
            )

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """Recorded answers among `keys`, as JSON text."""
        query = "SELECT key, reply FROM calls WHERE key IN (SELECT value FROM json_each(?))"
        return dict(self._rows(query, json.dumps(list(keys))))

    def put_many(self, answers: Mapping[str, str]) -> None:
        """Record answers in one transaction; an answer already there stays."""
        self._insert("calls", 2, answers.items())

    def add_votes(self, rows: Iterable[VoteRow]) -> None:
        """Record votes in one transaction; a vote already there stays."""
        self._insert("votes", 7, rows)

    def add_declarations(self, rows: Iterable[Declaration]) -> None:
        """Record the sides that speakers declared."""
        self._insert("declarations", 8, rows)

    def add_statements(self, rows: Iterable[Spoken]) -> None:
        """Record statements, failed ones included."""
        self._insert("statements", 8, rows)

    def add_gists(self, rows: Iterable[Gist]) -> None:
        """Record summaries with the statements they rest on."""
        self._insert("gists", 6, rows)

    def add_arguments(self, rows: Iterable[Argument]) -> None:
        """Record generated arguments, rejected ones included."""
        self._insert("arguments", 4, rows)

    def add_group_texts(self, rows: Iterable[GroupText]) -> None:
        """Record texts of a plenary, failed ones included."""
        self._insert("plenary", 7, rows)

    def add_session(self, started: str, timing: Timing) -> None:
        """Record where the time of one session went."""
        self._insert("sessions", 5, [(started, *timing)])

    def votes(self) -> Votes:
        """All votes, ordered by pair, citizen, phase and order."""
        query = 'SELECT * FROM votes ORDER BY pair, citizen, phase, "order"'
        return Votes.of(VoteRow(*row) for row in self._rows(query))

    def votes_held(self, pairs: Sequence[int], citizens: Sequence[int]) -> int:
        """Number of votes recorded of these citizens on these pairs, over phases and orders."""
        query = (
            "SELECT count(*) FROM json_each(?) AS p CROSS JOIN json_each(?) AS c "
            "CROSS JOIN votes ON votes.pair = p.value AND votes.citizen = c.value"
        )
        return self._rows(query, json.dumps(list(pairs)), json.dumps(list(citizens)))[0][0]

    def ballots(self, pairs: range, citizens: Sequence[int], phase: int) -> list[VoteRow]:
        """Votes of these citizens on a block of pairs in one phase."""
        query = (
            "SELECT votes.* FROM json_each(?) AS c CROSS JOIN votes ON votes.citizen = c.value "
            "AND votes.pair >= ? AND votes.pair < ? AND votes.phase = ?"
        )
        rows = self._rows(query, json.dumps(list(citizens)), pairs.start, pairs.stop, phase)
        return [VoteRow(*row) for row in rows]

    def declarations(self, tables: range, turn: int, pairs: range) -> list[Declaration]:
        """Declared sides of some tables in one round on a block of pairs."""
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

    def group_texts(self, hall: int | None = None, pairs: range | None = None) -> list[GroupText]:
        """Texts of one hall's plenary on a block, or all, ordered by pair, hall, step and table."""
        query, asked = "SELECT * FROM plenary", ()
        if hall is not None and pairs is not None:
            query, asked = (
                f"{query} WHERE pair >= ? AND pair < ? AND hall = ?",
                (
                    pairs.start,
                    pairs.stop,
                    hall,
                ),
            )
        rows = self._rows(f'{query} ORDER BY pair, hall, step, "table"', *asked)
        return [GroupText(*row) for row in rows]

    def timing(self) -> Timing:
        """Where the time of all ended sessions went."""
        query = "SELECT total(turns), total(model), total(framework), total(ledger) FROM sessions"
        turns, *seconds = self._rows(query)[0]
        return Timing(int(turns), *seconds)

    def _rows(self, query: str, *asked: str | int) -> list[tuple]:
        with self.clock.at("ledger"):
            return self._db.execute(query, asked).fetchall()

    def _insert(self, table: str, columns: int, rows: Iterable[tuple[object, ...]]) -> None:
        places = ", ".join("?" * columns)
        with self.clock.at("ledger"), self._db:
            self._db.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({places})", rows)
