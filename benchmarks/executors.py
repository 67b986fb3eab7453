"""Do two workers hold an assembly faster than one? With citizens behind a slow endpoint.

Each call takes 40 ms whoever makes it, so two workers should hold twice the shards a second.
The clock runs from the first shard to the last, so starting the workers does not count. Baseline:
one worker of the same executor.
"""

from __future__ import annotations

import sys
from pathlib import Path

# As a script this file's folder comes first on the path and its names hide packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import asyncio
import importlib.util
import os
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np

from assembly.deliberation.seating import Shard
from assembly.deliberation.session import convene
from assembly.deliberation.shards import Agenda, RemoteRunner, ShardResult, hold_shard
from assembly.record.ledger import Content, Ledger
from assembly.record.settings import AssemblySettings
from benchmarks.targets import Target, main
from plenary.executors.base import Executor
from plenary.executors.processes import Processes
from plenary.executors.ray import OnRay
from plenary.models.base import ChatBackend, Choice, Conversation, Reply, Sampling

DELAY = 0.04
CITIZENS, TEXTS = 24, tuple(f"the town plants {k} trees" for k in range(40))


class Endpoint(ChatBackend):
    """Answers everything alike after a while."""

    name, supports_seed, exact_choice = "endpoint", True, True

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        """The same words to everything."""
        await asyncio.sleep(DELAY)
        return [Reply("This option is right for me.")] * len(conversations)

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        """The same choice of everything."""
        await asyncio.sleep(DELAY)
        return [Choice((0.625, 0.375), 0.99, 1, 1)] * len(conversations)


@dataclass
class HoldShard:
    """Holds shards in a ledger that is shared, or of its own."""

    agenda: Agenda
    ledger: Path | None

    def __call__(self, shard: Shard) -> ShardResult:
        """Hold one shard."""
        with Ledger(self.ledger or Path(":memory:")) as ledger:
            held = hold_shard(self.agenda, Endpoint(), ledger, shard)
            return held if self.ledger else held._replace(content=ledger.content())


def spread(executor: Executor, ledger: Path) -> RemoteRunner:
    """Shards held by an executor."""

    async def hold(agenda: Agenda, shards: Sequence[Shard]) -> AsyncGenerator[ShardResult, None]:
        work = HoldShard(agenda, ledger if executor.one_machine else None)
        async with aclosing(executor.each(work, shards)) as every:
            async for _, held in every:
                yield held

    return hold


class Run:
    """One assembly: what its ledger holds and the shards a second."""

    def __init__(self, executor: Executor | None, pairs: int) -> None:
        first, second = np.triu_indices(len(TEXTS), 1)
        settings = AssemblySettings(rounds=3, block=10, concurrency=1)
        with tempfile.TemporaryDirectory() as name, Ledger(Path(name) / "ledger") as ledger:
            ended: list[float] = []
            asyncio.run(
                convene(
                    Endpoint(),
                    [f"You are citizen {c} of this town." for c in range(CITIZENS)],
                    np.ones(CITIZENS),
                    TEXTS,
                    np.stack([first, second], axis=1)[:pairs],
                    settings,
                    ledger,
                    Path(name) / "checkpoints",
                    0,
                    lambda event: (
                        ended.append(time.perf_counter()) if event.kind == "shard" else None
                    ),
                    elsewhere=None if executor is None else spread(executor, Path(name) / "ledger"),
                )
            )
            self.rate = (len(ended) - 1) / (ended[-1] - ended[0])
            self.content: Content = ledger.content()


def measure(quick: bool) -> list[Target]:
    """Throughput of two workers against one, and whether the ledgers are the same."""
    pairs = 150 if quick else 600
    local = Run(None, pairs)
    rows = [Target("local: shards a second", local.rate, None)]
    kinds: dict[str, type[Processes] | type[OnRay]] = {"processes": Processes}
    if importlib.util.find_spec("ray") is not None:
        # Ray's workers import this checkout, too, and both runs use a cluster that is up.
        os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
        # Ray runs its workers at niceness 15, where a busy machine starves them.
        os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
        kinds["ray"] = OnRay
        Run(OnRay(2), 20)
    for name, kind in kinds.items():
        one, two = (Run(kind(workers), pairs) for workers in (1, 2))
        same = float(one.content == two.content == local.content)
        rows += [
            Target(f"{name}: shards a second of 2 workers", two.rate, None),
            Target(f"{name}: throughput of 2 workers / of 1", two.rate / one.rate, 1.4, ratio=True),
            Target(f"{name}: ledger as of one process (1 is yes)", same, 1.0),
        ]
    return rows


if __name__ == "__main__":
    main(__doc__, measure)
