"""PostgreSQL as a shared ledger for several machines (each ledger is a schema of its own)."""

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
    """The address; ConfigError if it is not one or contains a password."""
    parts = urlsplit(address)
    if parts.scheme not in SCHEMES or not parts.path.strip("/"):
        raise ConfigError(f"{address!r} is not an address; write postgresql://USER@HOST/DATABASE")
    if parts.password or "password" in dict(parse_qsl(parts.query)):
        raise ConfigError(
            f"the address of {parts.hostname!r} contains a password; set PGPASSWORD instead"
        )
    return address


def within(address: str, schema: str) -> str:
    """The address of one schema of a database; tables are created in that schema."""
    parts = urlsplit(check_address(address))
    asked = [*parse_qsl(parts.query), ("options", f"-csearch_path={schema}")]
    return urlunsplit(parts._replace(query=urlencode(asked, quote_via=quote)))


class PostgresDatabase(Database):
    """The schema that an address from `within` names, created if it does not exist."""

    def __init__(self, place: str, schema: str, version: int) -> None:
        # The library is only needed for such a ledger.
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
        """Create schema and tables, one process at a time; refuse another version."""
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
        """The rows that a query finds."""
        with self._reported():
            return self._db.execute(_ours(query), asked).fetchall()

    def insert(self, tables: Iterable[tuple[str, Iterable[Row]]]) -> None:
        """Add rows in one transaction."""
        with self._reported(), self._db.transaction(), self._db.cursor() as cursor:
            for table, rows in tables:
                # NaN becomes NULL, as in SQLite. All writers take keys in the same order, so that
                # they cannot deadlock.
                filled = [[None if v != v else v for v in row] for row in rows]
                if filled:
                    filled.sort(key=lambda row: [*map(str, row)])
                    cursor.executemany(_ours(insertion(table, len(filled[0]))), filled)

    def close(self) -> None:
        """Close the connection."""
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
