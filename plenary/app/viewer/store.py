"""A run's tables under one SQL: the ledger while a run is under way, Parquet once it has voted.

Both engines are given the same small tables and asked the same statements, so that a page is
written once. Nothing here can change a file: SQLite is opened read-only, DuckDB without access to
any file but the two it was handed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import pyarrow.dataset as pads

from assembly.ballots import AFTER, BEFORE
from plenary.app import workspace as ws
from plenary.errors import ConfigError, DataError

if TYPE_CHECKING:
    import duckdb

Value = str | int | float | None
Columns = Mapping[str, Sequence[Value]]

_FIRST = """CASE WHEN "order" = 0 THEN share_first ELSE 1 - share_first END"""


def _own(phase: int) -> str:
    """Probability of the pair's first outcome: mean of both orders, NULL unless both are valid."""
    valid = f"phase = {phase} AND state = 0"
    return (
        f"CASE WHEN sum(CASE WHEN {valid} THEN 1 ELSE 0 END) = 2 "
        f"THEN sum(CASE WHEN {valid} THEN {_FIRST} END) / 2 END"
    )


_BALLOTS = f"""
CREATE TEMP TABLE ballots AS SELECT pair, citizen,
    {_own(BEFORE)} AS p_before, {_own(AFTER)} AS p_after,
    count(*) AS votes, sum(CASE WHEN state <> 0 THEN 1 ELSE 0 END) AS invalid
FROM votes WHERE phase < 2 GROUP BY pair, citizen
"""
_TURNED = """
CASE WHEN p_before IS NULL OR p_after IS NULL THEN NULL
     WHEN (p_before > 0.5 AND p_after > 0.5) OR (p_before < 0.5 AND p_after < 0.5)
       OR (p_before = 0.5 AND p_after = 0.5) THEN 0.0 ELSE 1.0 END
"""
_MOVES = f"""
CREATE TEMP TABLE moves AS SELECT pair, citizen, p_before, p_after, votes, invalid,
    {_TURNED} AS turned FROM ballots
"""


def _tally(key: str) -> str:
    """Weighted means by pair, or a citizen's own by citizen."""
    return f"""
CREATE TEMP TABLE {key}_tally AS SELECT {key} AS {key}_,
    sum(weight * p_before) / sum(CASE WHEN p_before IS NOT NULL THEN weight END) AS p_before,
    sum(weight * p_after) / sum(CASE WHEN p_after IS NOT NULL THEN weight END) AS p_after,
    sum(weight * turned) / sum(CASE WHEN turned IS NOT NULL THEN weight END) AS turned,
    sum(weight * abs(p_after - p_before))
        / sum(CASE WHEN turned IS NOT NULL THEN weight END) AS moved,
    1.0 * sum(invalid) / sum(votes) AS invalid, sum(votes) AS votes
FROM moves JOIN citizens ON citizens.number = moves.citizen GROUP BY {key}
"""


class Connection(Protocol):
    """What both engines offer."""

    def execute(self, query: str, parameters: Sequence[Value] = ..., /) -> Answer:
        """Run one statement."""
        ...


class Answer(Protocol):
    """What a statement gives."""

    def fetchall(self) -> list[tuple]:
        """All its rows."""
        ...


class Store:
    """Tables `votes`, `statements`, `citizens`, `pairs`, `outcomes`, and what is counted of them.

    Reads from several threads take turns.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, RLock()

    def rows(self, query: str, *asked: Value) -> list[tuple]:
        """Rows of a query."""
        with self._lock:
            return self._connection.execute(query, list(asked)).fetchall()

    def add(self, name: str, columns: Columns) -> None:
        """Add a small table."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the files."""
        raise NotImplementedError

    def count(self) -> None:
        """Count the ballots by pair and by citizen; `citizens` must be there."""
        for statement in (_BALLOTS, _MOVES, _tally("pair"), _tally("citizen")):
            self._connection.execute(statement)


class LedgerStore(Store):
    """The ledger of a run under way."""

    def __init__(self, ledger: sqlite3.Connection) -> None:
        super().__init__(ledger)
        self._ledger = ledger

    def add(self, name: str, columns: Columns) -> None:
        """Add a small table."""
        names = ", ".join(f'"{column}"' for column in columns)
        places = ", ".join("?" * len(columns))
        self._ledger.execute(f"CREATE TEMP TABLE {name} ({names})")
        rows = zip(*columns.values(), strict=True)
        self._ledger.executemany(f"INSERT INTO {name} VALUES ({places})", rows)

    def close(self) -> None:
        """Let go of the ledger."""
        self._ledger.close()


class ParquetStore(Store):
    """The exports of an assembly that has ended."""

    def __init__(self, votes: Path, statements: Path) -> None:
        self._database = _duckdb()
        super().__init__(self._database)
        try:
            # Through Arrow: DuckDB would take a bracket or star in the path for a pattern.
            for name, path in (("votes", votes), ("statements", statements)):
                self._database.register(name, pads.dataset(path))
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"cannot read {str(votes)!r}: {error}; export it again") from error
        self._database.execute("SET enable_external_access = false")

    def add(self, name: str, columns: Columns) -> None:
        """Add a small table."""
        self._database.register(name, pa.table({k: list(v) for k, v in columns.items()}))

    def close(self) -> None:
        """Let go of the files."""
        self._database.close()


def open_ledger(path: Path) -> sqlite3.Connection:
    """A ledger open for reading, in a folder that may be read-only; DataError for no ledger.

    A ledger that nobody writes is read as it lies: SQLite would leave two files beside it.
    """
    address = path.resolve().as_uri()
    written = path.with_name(f"{path.name}-wal").exists()
    problem: sqlite3.Error | None = None
    for mode in ("mode=ro", "immutable=1") if written else ("immutable=1",):
        ledger = sqlite3.connect(f"{address}?{mode}", uri=True, check_same_thread=False)
        try:
            ledger.execute("SELECT count(*) FROM facts")
        except sqlite3.Error as error:
            ledger.close()
            problem = error
        else:
            return ledger
    raise DataError(f"cannot read ledger {str(path)!r}: {problem}; check the run directory")


def open_store(run: Path, *, voted: bool) -> Store | None:
    """The tables of a run; `voted` when its assembly has ended. None before there is a ledger."""
    votes, statements = run / ws.VOTES, run / ws.STATEMENTS
    if voted and votes.exists() and statements.exists():
        return ParquetStore(votes, statements)
    if not (run / ws.LEDGER).exists():
        return None
    return LedgerStore(open_ledger(run / ws.LEDGER))


def _duckdb() -> duckdb.DuckDBPyConnection:
    try:
        import duckdb
    except ImportError as error:
        raise ConfigError(
            "plenary view needs 'duckdb', which is not installed; pip install 'plenary[view]'"
        ) from error
    return duckdb.connect()
