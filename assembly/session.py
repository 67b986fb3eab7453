"""The driver of an assembly: carries every shard to its end and can be stopped at any moment."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np

from assembly.ballots import Votes
from assembly.graph import Table, open_table
from assembly.ledger import Ledger
from assembly.prompts import PROMPT_HASH
from assembly.seating import Shard, seat
from assembly.settings import AssemblySettings
from assembly.turns import Event, EventKind, Room
from plenary.chat.base import ChatBackend
from plenary.chat.cache import CachedBackend
from plenary.errors import BudgetExceeded, ConfigError, DataError
from plenary.preferences import FloatArray, IntArray


class _Progress:
    """Counts finished shards and passes events on."""

    def __init__(self, shards: int, on_event: Callable[[Event], None] | None) -> None:
        self.done, self.shards, self._on_event = 0, shards, on_event

    def __call__(self, kind: EventKind, count: int, invalid: int) -> None:
        if self._on_event is not None:
            self._on_event(Event(kind, count, invalid, self.done, self.shards))


def fingerprint(
    backend: ChatBackend,
    systems: Sequence[str],
    weights: FloatArray,
    texts: Sequence[str],
    pairs: IntArray,
    settings: AssemblySettings,
    seed: int,
) -> str:
    """Hash of everything that decides what is asked and counted; concurrency is not part of it."""
    chosen = settings.model_dump(mode="json", exclude={"concurrency"})
    payload = [
        PROMPT_HASH,
        backend.name,
        list(systems),
        weights.tolist(),
        list(texts),
        pairs.tolist(),
        chosen,
        seed,
    ]
    return hashlib.blake2b(json.dumps(payload, sort_keys=True).encode(), digest_size=16).hexdigest()


async def convene(
    backend: ChatBackend,
    panel_prompts: Sequence[str],
    weights: FloatArray,
    texts: Sequence[str],
    pairs: IntArray,
    settings: AssemblySettings,
    ledger: Ledger,
    checkpoints: Path,
    seed: int,
    on_event: Callable[[Event], None] | None = None,
) -> Votes:
    """Hold the assembly of C citizens on P pairs, or carry on the one that the ledger holds.

    panel_prompts [C]: persona texts; weights [C]: design weights; texts [K]: outcome sentences;
    pairs [P, 2]: outcome indices. A recorded call is never asked again. Cancellation, SIGKILL and
    BudgetExceeded leave a ledger that the same call resumes; ConfigError under any other
    configuration.
    """
    _check(panel_prompts, weights, texts, pairs)
    mark = fingerprint(backend, panel_prompts, weights, texts, pairs, settings, seed)
    ledger.claim(mark)
    seating = seat(len(panel_prompts), len(pairs), settings, seed)
    progress = _Progress(len(seating.shards()), on_event)
    cached = CachedBackend(backend, ledger)
    room = Room(
        cached,
        ledger,
        settings,
        seating,
        tuple(panel_prompts),
        tuple(texts),
        pairs,
        seed,
        mark,
        progress,
    )
    waiting = deque(shard for shard in seating.shards() if not room.complete(shard))
    progress.done = progress.shards - len(waiting)
    progress("resumed", len(ledger.votes()), 0)
    if waiting:
        async with open_table(checkpoints) as table:
            await _drive(
                waiting, lambda shard: _run(table, room, shard, progress), settings.concurrency
            )
    return ledger.votes()


def _check(
    systems: Sequence[str], weights: FloatArray, texts: Sequence[str], pairs: IntArray
) -> None:
    if len(weights) != len(systems):
        raise ConfigError(
            f"{len(weights)!r} weights for {len(systems)!r} citizens; give one a citizen"
        )
    bad = weights[~(np.isfinite(weights) & (weights > 0))]
    if len(bad):
        raise ConfigError(f"design weight {float(bad[0])!r}; weights must be positive numbers")
    if len(pairs) and not (pairs.min() >= 0 and pairs.max() < len(texts)):
        low, high = int(pairs.min()), int(pairs.max())
        raise ConfigError(f"pairs name outcomes {low!r}..{high!r} of {len(texts)}; plan them again")
    if len({(min(a, b), max(a, b)) for a, b in pairs.tolist()}) < len(pairs):
        raise ConfigError(
            f"{len(pairs)!r} pairs hold the same two outcomes more than once; keep each once"
        )


async def _run(table: Table, room: Room, shard: Shard, progress: _Progress) -> None:
    await table.run(room, shard)
    if not room.complete(shard):
        raise DataError(f"{shard!r} ended without all its votes; report this as a bug")
    progress.done += 1
    progress("shard", 1, 0)


async def _drive(
    waiting: deque[Shard], run: Callable[[Shard], Awaitable[None]], width: int
) -> None:
    """Run the shards in order, `width` at a time.

    A used-up budget opens no further shard and lets those in flight end as far as recorded calls
    carry them; any other error, and cancellation, stops them at once.
    """

    async def work() -> None:
        while waiting:
            try:
                await run(waiting.popleft())
            except BudgetExceeded:
                waiting.clear()
                raise

    workers = [asyncio.create_task(work()) for _ in range(min(width, len(waiting)))]
    try:
        await asyncio.gather(*workers)
    except BudgetExceeded:
        await asyncio.gather(*workers, return_exceptions=True)
        raise
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
