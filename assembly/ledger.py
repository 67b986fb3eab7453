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
from assembly.prompts import Statement
from plenary.chat.cache import CallStore
from plenary.errors import ConfigError, DataError

SCHEMA_VERSION = 1
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


class Ledger(CallStore):
    """An open ledger file; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open or create `path`; DataError when it is no ledger of this version."""
        try:
            self._db = sqlite3.connect(path, timeout=30.0, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, SCHEMA_VERSION):
                raise DataError(
                    f"{str(path)!r} has ledger version {found!r}; use a new run directory"
                )
            self._db.executescript(f"{_SCHEMA}PRAGMA user_version={SCHEMA_VERSION};")
        except sqlite3.Error as error:
            raise DataError(
                f"cannot open ledger {str(path)!r}: {error}; use a new run directory"
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
        return dict(self._db.execute(query, (json.dumps(list(keys)),)))

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

    def votes(self) -> Votes:
        """All votes, ordered by pair, citizen, phase and order."""
        query = 'SELECT * FROM votes ORDER BY pair, citizen, phase, "order"'
        return Votes.of(VoteRow(*row) for row in self._db.execute(query))

    def votes_held(self, pairs: Sequence[int], citizens: Sequence[int]) -> int:
        """Number of votes recorded of these citizens on these pairs, over phases and orders."""
        query = (
            "SELECT count(*) FROM json_each(?) AS p CROSS JOIN json_each(?) AS c "
            "CROSS JOIN votes ON votes.pair = p.value AND votes.citizen = c.value"
        )
        return self._db.execute(
            query, (json.dumps(list(pairs)), json.dumps(list(citizens)))
        ).fetchone()[0]

    def declarations(self, table: int, turn: int, pairs: range) -> list[Declaration]:
        """Declared sides of one table and round on a block of pairs."""
        query = (
            'SELECT * FROM declarations WHERE pair >= ? AND pair < ? AND "table" = ? AND round = ?'
        )
        rows = self._db.execute(query, (pairs.start, pairs.stop, table, turn))
        return [Declaration(*row) for row in rows]

    def heard(self, table: int, pairs: range, turn: int) -> dict[int, list[Statement]]:
        """What a table has heard on each pair before round `turn`, as spoken; nothing failed."""
        query = (
            'SELECT pair, side, text FROM statements WHERE pair >= ? AND pair < ? AND "table" = ? '
            "AND round < ? AND state = ? ORDER BY pair, round, seat"
        )
        heard: dict[int, list[Statement]] = {pair: [] for pair in pairs}
        for pair, side, text in self._db.execute(
            query, (pairs.start, pairs.stop, table, turn, VALID)
        ):
            heard[pair].append(Statement(side, text))
        return heard

    def transcript(self) -> list[Spoken]:
        """Every statement, failed ones included, ordered by pair, table, round and seat."""
        query = 'SELECT * FROM statements ORDER BY pair, "table", round, seat'
        return [Spoken(*row) for row in self._db.execute(query)]

    def _insert(self, table: str, columns: int, rows: Iterable[tuple[object, ...]]) -> None:
        places = ", ".join("?" * columns)
        with self._db:
            self._db.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({places})", rows)
