"""Do votes that fit no memory count in bounded memory? Shares, intervals, strata, slice by slice.

Baseline on fewer votes: the same counted in memory. The whole form counts 100 million votes of
5,000 citizens on 10,000 pairs: some minutes, and two gigabytes in the temporary folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

# As a script this file's folder comes first on the path and its names hide packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import multiprocessing
import resource
import tempfile
import time
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from assembly.aggregation.consensus import consensus
from assembly.aggregation.strata import Strata, strata_of
from assembly.aggregation.streaming import StreamedDecision, tally
from assembly.record.ballots import AFTER, VALID, Votes, citizen_shares
from benchmarks.targets import Target, main
from plenary.preferences import FloatArray, IntArray

REGIONS = ("Midwest", "Northeast", "South", "West")


class Panel(NamedTuple):
    """Pairs [P, 2] and weights [C] with the strata of two attributes."""

    pairs: IntArray
    weights: FloatArray
    strata: Strata


def panel(citizens: int, pairs: int) -> Panel:
    """Citizens of four regions and five age bands."""
    rng = np.random.default_rng(0)
    attributes = {
        "region": [REGIONS[k] for k in rng.integers(0, 4, citizens)],
        "age": [f"band {k}" for k in rng.integers(0, 5, citizens)],
    }
    agenda = np.stack([np.arange(pairs), np.arange(pairs) + 1], axis=1)
    return Panel(agenda, rng.uniform(0.3, 3.0, citizens), strata_of(attributes, citizens))


def write_votes(path: Path, citizens: int, pairs: int) -> None:
    """Votes on every pair in both orders, in the order of the pairs."""
    rng, step = np.random.default_rng(1), max(1, 500_000 // citizens)
    writer = None
    for start in range(0, pairs, step):
        block = np.arange(start, min(start + step, pairs))
        rows = 2 * citizens * len(block)
        table = pa.table(
            {
                "pair": np.repeat(block, 2 * citizens),
                "citizen": np.tile(np.repeat(np.arange(citizens), 2), len(block)),
                "phase": np.full(rows, AFTER),
                "order": np.tile([0, 1], rows // 2),
                "share_first": rng.random(rows),
                "state": np.full(rows, VALID),
                "mass": np.ones(rows),
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def memory() -> float:
    """Largest resident size so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Cost(NamedTuple):
    """Votes counted, seconds they took, and MB that the process grew by."""

    votes: int
    seconds: float
    memory: float
    found: StreamedDecision


def streamed(path: Path, citizens: int, pairs: int) -> Cost:
    """Count slice by slice."""
    given, before, start = panel(citizens, pairs), memory(), time.perf_counter()
    found = tally([path], given.pairs, given.weights, given.strata, AFTER)
    return Cost(2 * citizens * pairs, time.perf_counter() - start, memory() - before, found)


def in_memory(path: Path, citizens: int, pairs: int) -> Cost:
    """Count all at once."""
    given, before, start = panel(citizens, pairs), memory(), time.perf_counter()
    votes = Votes.read(path)
    overall = consensus(votes, given.pairs, given.weights, AFTER)
    shares = citizen_shares(votes, AFTER, citizens, pairs)
    found = StreamedDecision(overall, given.strata.means(shares, given.weights))
    return Cost(len(votes), time.perf_counter() - start, memory() - before, found)


def measure(quick: bool) -> list[Target]:
    """Memory and speed of the large count, and both ways on 4 million votes."""
    sizes = {"few": (1_000, 2_000), "many": (1_000, 1_000) if quick else (5_000, 10_000)}
    with tempfile.TemporaryDirectory() as name:
        paths = {kind: Path(name) / f"{kind}.parquet" for kind in sizes}
        for kind, size in sizes.items():
            # In a process of its own, so that what it needs does not count.
            writing = multiprocessing.get_context("spawn").Process(
                target=write_votes, args=(paths[kind], *size)
            )
            writing.start()
            writing.join()
        many = streamed(paths["many"], *sizes["many"])
        few = streamed(paths["few"], *sizes["few"])
        whole = in_memory(paths["few"], *sizes["few"])
    apart = max(
        float(np.abs(few.found.overall.p - whole.found.overall.p).max()),
        float(np.abs(few.found.stratum_p - whole.found.stratum_p).max()),
    )
    speed = whole.seconds / few.seconds
    return [
        Target(f"{many.votes:,} votes: memory growth, MB", many.memory, 1000.0, at_least=False),
        Target(f"{many.votes:,} votes: votes a second", many.votes / many.seconds, 300_000.0),
        Target(f"{few.votes:,} votes: times the speed in memory", speed, 0.5, ratio=True),
        Target(f"{few.votes:,} votes: greatest difference", apart, 1e-12, at_least=False),
    ]


if __name__ == "__main__":
    main(__doc__, measure)
