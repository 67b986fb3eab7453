"""The viewer's SQL tables: copied from the ledger while the run is under way, later from exports.

Nothing here can change a file: SQLite is opened read-only, and DuckDB can access only the two files
that it was given.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
import pyarrow.dataset as pads

from assembly.record.ballots import AFTER, BEFORE
from plenary.errors import ConfigError, DataError
from plenary.runs import filenames

if TYPE_CHECKING:
    import duckdb

Value = str | int | float | None
Columns = Mapping[str, Sequence[Value]]
Source: TypeAlias = pa.Table | pads.Dataset
BLOCK = 100_000
_VOTES = pa.schema(
    [("pair", pa.int32()), ("citizen", pa.int32()), ("phase", pa.int8()), ("order", pa.int8()),
     ("share_first", pa.float64()), ("state", pa.int8()), ("mass", pa.float64())]
)  # fmt: skip
_STATEMENTS = pa.schema(
    [("pair", pa.int32()), ("table", pa.int32()), ("round", pa.int32()), ("seat", pa.int32()),
     ("citizen", pa.int32()), ("side", pa.int8()), ("state", pa.int8()), ("text", pa.string())]
)  # fmt: skip

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


class Store:
    """Tables `votes`, `statements`, `citizens`, `pairs`, `outcomes`, and counts made from them.

    Reads from several threads take turns.
    """

    def __init__(self, votes: Source, statements: Source) -> None:
        self._database, self._lock = _duckdb(), RLock()
        self._database.register("votes", votes)
        self._database.register("statements", statements)
        self._database.execute("SET enable_external_access = false")

    def rows(self, query: str, *asked: Value) -> list[tuple]:
        """Rows of a query."""
        with self._lock:
            return self._database.execute(query, list(asked)).fetchall()

    def add(self, name: str, columns: Columns) -> None:
        """Add a small table."""
        self._database.register(name, pa.table({k: list(v) for k, v in columns.items()}))

    def count(self) -> None:
        """Count the ballots by pair and by citizen; `citizens` must be there."""
        for statement in (_BALLOTS, _MOVES, _tally("pair"), _tally("citizen")):
            self._database.execute(statement)

    def close(self) -> None:
        """Close the files."""
        self._database.close()


def open_ledger(path: Path, table: str = "facts") -> sqlite3.Connection:
    """A ledger opened for reading, in a folder that may be read-only; DataError for no ledger.

    table: one that it must contain. A ledger that nobody is writing is opened as immutable, because
    SQLite would otherwise create two files beside it.
    """
    address = path.resolve().as_uri()
    written = path.with_name(f"{path.name}-wal").exists()
    problem: sqlite3.Error | None = None
    for mode in ("mode=ro", "immutable=1") if written else ("immutable=1",):
        ledger = sqlite3.connect(f"{address}?{mode}", uri=True, check_same_thread=False)
        try:
            ledger.execute(f"SELECT 1 FROM {table} LIMIT 1")
        except sqlite3.Error as error:
            ledger.close()
            problem = error
        else:
            return ledger
    raise DataError(f"cannot read ledger {str(path)!r}: {problem}; check the run directory")


def open_store(run: Path, *, voted: bool) -> Store | None:
    """The tables of a run; `voted` when its assembly has ended. None before there is a ledger."""
    votes, statements = run / filenames.VOTES, run / filenames.STATEMENTS
    if voted and votes.exists() and statements.exists():
        try:
            # Through Arrow, because DuckDB would read a bracket or star in the path as a pattern.
            return Store(pads.dataset(votes), pads.dataset(statements))
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"cannot read {str(votes)!r}: {error}; export it again") from error
    if not (run / filenames.LEDGER).exists():
        return None
    with closing(open_ledger(run / filenames.LEDGER)) as ledger:
        return Store(_copied(ledger, "votes", _VOTES), _copied(ledger, "statements", _STATEMENTS))


def _copied(ledger: sqlite3.Connection, name: str, schema: pa.Schema) -> pa.Table:
    """A table of the ledger, block by block."""
    columns = ", ".join(f'"{column}"' for column in schema.names)
    cursor = ledger.execute(f"SELECT {columns} FROM {name}")
    batches = []
    while rows := cursor.fetchmany(BLOCK):
        arrays = [
            pa.array(c, t) for c, t in zip(zip(*rows, strict=True), schema.types, strict=True)
        ]
        batches.append(pa.record_batch(arrays, schema=schema))
    return pa.Table.from_batches(batches, schema)


def _duckdb() -> duckdb.DuckDBPyConnection:
    try:
        import duckdb
    except ImportError as error:
        raise ConfigError(
            "plenary view needs 'duckdb', which is not installed; pip install 'plenary[view]'"
        ) from error
    return duckdb.connect()
