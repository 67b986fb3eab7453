"""The door to PostgreSQL: a ledger that several machines share, each ledger a schema of its own."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from assembly.record.database import Database, Row, insertion
from plenary.errors import BackendError, ConfigError, DataError

if TYPE_CHECKING:
    import psycopg

TYPES = {" WITHOUT ROWID": "", " REAL": " DOUBLE PRECISION", " BLOB": " BYTEA"}
SCHEMES = ("postgresql", "postgres")


def check_address(address: str) -> str:
    """The address, or ConfigError for one that is none or carries a password."""
    parts = urlsplit(address)
    if parts.scheme not in SCHEMES or not parts.path.strip("/"):
        raise ConfigError(f"{address!r} is no ledger; write postgresql://USER@HOST/DATABASE")
    if parts.password or "password" in dict(parse_qsl(parts.query)):
        raise ConfigError(
            f"the address of {parts.hostname!r} carries a password; set PGPASSWORD instead"
        )
    return address


def within(address: str, schema: str) -> str:
    """The address of one schema of a database: what is made there lies in it."""
    parts = urlsplit(check_address(address))
    asked = [*parse_qsl(parts.query), ("options", f"-csearch_path={schema}")]
    return urlunsplit(parts._replace(query=urlencode(asked, quote_via=quote)))


class PostgresDatabase(Database):
    """The schema that an address of `within` names, made when it is not there."""

    def __init__(self, place: str, schema: str, version: int) -> None:
        # Only who asks for such a ledger pays for the library.
        try:
            self._psycopg = importlib.import_module("psycopg")
        except ImportError as error:
            raise ConfigError(
                f"ledger {place!r} needs psycopg; pip install 'plenary[postgres]'"
            ) from error
        self._place = place
        with self._reported():
            self._db: psycopg.Connection = self._psycopg.connect(
                place, connect_timeout=10, autocommit=True
            )
            self._prepare(schema, version)

    def _prepare(self, schema: str, version: int) -> None:
        """Make schema and tables, one process at a time; refuse another version."""
        columns = schema
        for ours, theirs in TYPES.items():
            columns = columns.replace(ours, theirs)
        with self._db.transaction():
            self._db.execute("SELECT pg_advisory_xact_lock(hashtext('plenary ledger'))")
            path = self._db.execute("SHOW search_path").fetchall()[0][0]
            self._db.execute(f"CREATE SCHEMA IF NOT EXISTS {path}".encode())
            self._db.execute(columns.encode())
            self._db.execute(_ours(insertion("facts", 2)), ("version", str(version)))
        found = self.rows("SELECT value FROM facts WHERE name = 'version'")[0][0]
        if found != str(version):
            raise DataError(
                f"the ledger in {path!r} has version {found!r}; use a new run directory"
            )

    def rows(self, query: str, asked: Row = ()) -> list[tuple]:
        """What a query finds."""
        with self._reported():
            return self._db.execute(_ours(query), asked).fetchall()

    def insert(self, tables: Iterable[tuple[str, Iterable[Row]]]) -> None:
        """Add rows in one transaction."""
        with self._reported(), self._db.transaction(), self._db.cursor() as cursor:
            for table, rows in tables:
                # NaN becomes NULL, as SQLite has it. All writers take keys in one order, so that
                # none waits for a row that waits for its own.
                filled = [[None if v != v else v for v in row] for row in rows]
                if filled:
                    filled.sort(key=lambda row: [*map(str, row)])
                    cursor.executemany(_ours(insertion(table, len(filled[0]))), filled)

    def close(self) -> None:
        """Leave the server."""
        self._db.close()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except self._psycopg.Error as error:
            raise BackendError(
                f"ledger {self._place!r}: {str(error).strip()!r}; check the server, the database "
                "and PGPASSWORD; what was recorded is kept"
            ) from error


def _ours(query: str) -> bytes:
    return query.replace("?", "%s").encode()
