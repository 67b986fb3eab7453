"""Votes too many for memory: exported, merged and tallied one slice of pairs at a time (DuckDB).

The door to DuckDB, which finds a slice in Parquet files; a slice is then counted as any assembly
is, so that there is only one way of counting. Files sorted by pair, as `export` and `merge` write
them, are read once; of any other file the column of pairs is read once per slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assembly.aggregation.consensus import Consensus, consensus
from assembly.aggregation.strata import Strata
from assembly.record.ballots import Votes, citizen_shares
from assembly.record.ledger import Ledger
from plenary.errors import DataError
from plenary.preferences import FloatArray, IntArray

COLUMNS = tuple(field.name for field in fields(Votes))
KEY = 'pair, citizen, phase, "order"'
CELLS = 1_000_000
PAIRS_AT_ONCE = 64


class StreamedDecision(NamedTuple):
    """The consensus on P pairs, and the share [G, P] for the first outcome in each stratum."""

    overall: Consensus
    stratum_p: FloatArray


def export(ledger: Ledger, path: Path, pairs: int) -> int:
    """Write a ledger's votes on `pairs` pairs to a Parquet file; returns the number of votes."""
    starts = range(0, pairs, PAIRS_AT_ONCE)
    return _write(path, (ledger.votes(range(s, min(s + PAIRS_AT_ONCE, pairs))) for s in starts))


def merge(files: Sequence[Path], path: Path, pairs: int, citizens: int) -> int:
    """Write every vote of `files` once, in order; returns their number.

    DataError where two files hold different votes of one citizen for the same pair, phase and
    order.
    """
    with _opened(files) as source:
        return _write(path, (_once(source, part) for part in _slices(pairs, citizens)))


def tally(
    files: Sequence[Path],
    pairs: IntArray,
    weights: FloatArray,
    strata: Strata,
    phase: int,
    *,
    level: float = 0.95,
    clusters: IntArray | None = None,
) -> StreamedDecision:
    """The consensus of C citizens on pairs [P, 2], equal to the one computed in memory.

    weights [C] and clusters [C] as in `consensus`. DataError when a ballot is missing.
    """
    found: list[StreamedDecision] = []
    with _opened(files) as source:
        for part in _slices(len(pairs), len(weights)):
            query = f"SELECT * FROM votes WHERE pair >= {part.start} AND pair < {part.stop}"
            votes = _votes(source.execute(f"{query} AND phase = {phase}"))
            votes = replace(votes, pair=votes.pair - part.start)
            overall = consensus(
                votes, pairs[part.start : part.stop], weights, phase, level=level, clusters=clusters
            )
            shares = citizen_shares(votes, phase, len(weights), len(part))
            found.append(StreamedDecision(overall, strata.means(shares, weights)))
    overall = Consensus.join([part.overall for part in found])
    return StreamedDecision(overall, np.concatenate([part.stratum_p for part in found], axis=1))


def _slices(pairs: int, citizens: int) -> Iterator[range]:
    """Ranges of pairs with at most CELLS ballots each, but at least one pair."""
    step = max(1, CELLS // citizens)
    return (range(start, min(start + step, pairs)) for start in range(0, pairs, step))


def _opened(files: Sequence[Path], memory: str = "512MB") -> duckdb.DuckDBPyConnection:
    """A connection that sees the files as the view `votes`."""
    source = duckdb.connect(config={"memory_limit": memory, "threads": 2})
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    try:
        source.from_parquet([str(file) for file in files]).create_view("every")
        source.execute(f"CREATE VIEW votes AS SELECT {columns} FROM every")
    except duckdb.Error as error:
        raise DataError(
            f"cannot read votes from {[str(file) for file in files]!r}: "
            f"{str(error).splitlines()[0]}; export them again"
        ) from error
    return source


def _votes(found: duckdb.DuckDBPyConnection) -> Votes:
    columns = found.fetchnumpy()
    return Votes(*(np.asarray(columns[name]) for name in COLUMNS))


def _once(source: duckdb.DuckDBPyConnection, part: range) -> Votes:
    """The votes on some pairs, in order, without duplicates."""
    values = ("share_first", "state", "mass")
    kept = ", ".join(f"min({name}) AS {name}" for name in values)
    differs = " OR ".join(f"min({name}) IS DISTINCT FROM max({name})" for name in values)
    among = f"FROM votes WHERE pair >= {part.start} AND pair < {part.stop} GROUP BY {KEY}"
    twice = source.execute(f"SELECT {KEY} {among} HAVING {differs} LIMIT 1").fetchone()
    if twice is not None:
        raise DataError(
            f"votes on (pair, citizen, phase, order) {twice!r} differ between files; merge files "
            "of one assembly"
        )
    return _votes(source.execute(f"SELECT {KEY}, {kept} {among} ORDER BY {KEY}"))


def _write(path: Path, parts: Iterator[Votes]) -> int:
    """Write votes to one file, one row group per part."""
    written = 0
    real = ("share_first", "mass")
    schema = pa.schema([(n, pa.float64() if n in real else pa.int64()) for n in COLUMNS])
    with pq.ParquetWriter(path, schema) as writer:
        for votes in parts:
            writer.write_table(pa.table({n: getattr(votes, n) for n in COLUMNS}, schema=schema))
            written += len(votes)
    return written
