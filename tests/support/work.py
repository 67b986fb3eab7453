"""Work for workers: it lies here so that other processes can import it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assembly.deliberation.seating import Shard
from assembly.deliberation.session import convene
from assembly.deliberation.shards import Agenda, RemoteRunner, ShardResult, hold_shard
from assembly.record.ledger import Content, Ledger
from assembly.record.settings import AssemblySettings
from plenary.executors.base import Executor
from plenary.models.base import Choice, Conversation, Reply, Sampling
from plenary.models.planted import PlantedBackend, PlantedWorld
from plenary.preferences import FloatArray, IntArray

CITIZENS = 12
SYSTEMS = tuple(f"You are citizen number {c}." for c in range(CITIZENS))
TEXTS = tuple(f"the town plants {k} trees" for k in range(8))
PAIRS: IntArray = np.array([(a, b) for a in range(8) for b in range(a + 1, 8)])[:12]
WEIGHTS: FloatArray = np.linspace(0.5, 2.0, CITIZENS)


def planted_world() -> PlantedWorld:
    table = np.random.default_rng(5).normal(size=(CITIZENS, len(TEXTS)))
    personas = {
        s: dict(zip(TEXTS, row, strict=True))
        for s, row in zip(SYSTEMS, table.tolist(), strict=True)
    }
    return PlantedWorld(utilities=personas[SYSTEMS[0]], personas=personas, swing=0.4)


class SlowCitizens(PlantedBackend):
    """Planted citizens who take their time and note who asked them."""

    def __init__(self, delay: float, log: Path | None = None) -> None:
        super().__init__(planted_world())
        self._delay, self._log = delay, log

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        await self._wait()
        return await super().generate(conversations, sampling)

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        await self._wait()
        return await super().choose(conversations, labels, samples=samples, seed=seed)

    async def _wait(self) -> None:
        await asyncio.sleep(self._delay)
        if self._log is not None:
            with self._log.open("a") as log:
                log.write(f"{os.getpid()}\n")


SETTINGS = AssemblySettings(table_size=4, block=4, rounds=2, plenary=True, briefing="generated")


def hold(folder: Path, elsewhere: RemoteRunner | None, place: str = "ledger.sqlite") -> Content:
    """Hold the assembly, in a file of the folder or at an address; what its ledger holds."""
    with Ledger(place if ":" in place else folder / place) as ledger:
        asyncio.run(
            convene(
                SlowCitizens(0.0), SYSTEMS, WEIGHTS, TEXTS, PAIRS, SETTINGS, ledger,
                folder / f"{len(place)}_checkpoints.sqlite", 3, elsewhere=elsewhere,
            )
        )  # fmt: skip
        return ledger.content()


@dataclass
class HoldSlowly:
    """Holds shards as the pipeline's workers do, with citizens that can be killed in the middle."""

    agenda: Agenda
    delay: float
    log: Path
    ledger: Path | str | None

    def __call__(self, shard: Shard) -> ShardResult:
        with Ledger(self.ledger or Path(":memory:")) as ledger:
            held = hold_shard(self.agenda, SlowCitizens(self.delay, self.log), ledger, shard)
            return held if self.ledger else held._replace(content=ledger.content())


def by(
    executor: Executor, log: Path, ledger: Path | str | None, kill_after: int = 0
) -> RemoteRunner:
    """Shards held by an executor; the first worker to have called `kill_after` times is killed."""

    async def kill() -> None:
        while True:
            await asyncio.sleep(0.005)
            calls = log.read_text().split() if log.exists() else []
            if len(calls) >= kill_after and int(calls[-1]) != os.getpid():
                os.kill(int(calls[-1]), signal.SIGKILL)
                return

    async def elsewhere(agenda: Agenda, shards: Sequence) -> AsyncGenerator[ShardResult, None]:
        work = HoldSlowly(agenda, 0.02 if kill_after else 0.0, log, ledger)
        killer = asyncio.create_task(kill()) if kill_after else None
        async with aclosing(executor.each(work, shards)) as every:
            async for _, held in every:
                yield held
        if killer is not None:
            await killer

    return elsewhere
