"""The database behind a ledger: one SQLite file, or a schema on a PostgreSQL server.

The SQL is written for both: `?` stands for a value and ON CONFLICT DO NOTHING leaves an existing
row as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from plenary.errors import DataError

Value = str | int | float | bytes | None
Row = Sequence[Value]


class Database(Protocol):
    """Rows of a ledger; a write is one transaction."""

    def rows(self, query: str, asked: Row = ()) -> list[tuple]:
        """The rows that a query finds."""
        ...

    def insert(self, tables: Iterable[tuple[str, Iterable[Row]]]) -> None:
        """Add rows to tables, all or none; a row whose key exists already is skipped."""
        ...

    def close(self) -> None:
        """Close it; what was committed stays."""
        ...


def insertion(table: str, columns: int) -> str:
    """The statement that adds a row unless its key exists."""
    places = ", ".join("?" * columns)
    return f"INSERT INTO {table} VALUES ({places}) ON CONFLICT DO NOTHING"


class SqliteDatabase(Database):
    """One file in WAL mode, which processes on one machine may share, or `:memory:`."""

    def __init__(self, path: Path, schema: str, version: int, *, check: bool = True) -> None:
        try:
            self._db = sqlite3.connect(path, timeout=30.0, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            # A damaged page would otherwise be found only when it is read, or never.
            state = self._db.execute("PRAGMA quick_check(1)").fetchone()[0] if check else "ok"
            if state != "ok":
                raise DataError(f"ledger {str(path)!r} is damaged: {state!r}; restore a copy")
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found not in (0, version):
                raise DataError(
                    f"{str(path)!r} has ledger version {found!r}; use a new run directory"
                )
            if not found:
                self._db.executescript(f"{schema}PRAGMA user_version={version};")
        except sqlite3.Error as error:
            raise DataError(
                f"cannot open ledger {str(path)!r}: {error}; make room or allow access, or use a "
                "new run directory"
            ) from error

    def rows(self, query: str, asked: Row = ()) -> list[tuple]:
        """The rows that a query finds."""
        return self._db.execute(query, asked).fetchall()

    def insert(self, tables: Iterable[tuple[str, Iterable[Row]]]) -> None:
        """Add rows in one transaction."""
        with self._db:
            for table, rows in tables:
                listed = list(rows)
                if listed:
                    self._db.executemany(insertion(table, len(listed[0])), listed)

    def close(self) -> None:
        """Close the file."""
        self._db.close()
