"""Running and resuming an assembly: drives every shard to its end, can be stopped at any time."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from assembly.deliberation.briefing import Given, generate_briefing, read_briefing
from assembly.deliberation.context import check_prompts
from assembly.deliberation.graph import CompiledGraph, open_table
from assembly.deliberation.probes import PROBES
from assembly.deliberation.prompts import PHASE_HASH, PROMPT_HASH
from assembly.deliberation.room import Room
from assembly.deliberation.seating import Shard, seat
from assembly.deliberation.shards import Agenda, RemoteRunner
from assembly.record.ballots import Votes
from assembly.record.ledger import Ledger, RecordedBackend
from assembly.record.progress import ClockedBackend, Event, Progress
from assembly.record.settings import FREE, AssemblySettings
from plenary.errors import BudgetExceeded, ConfigError, DataError, UnusableAnswers
from plenary.models.base import ChatBackend
from plenary.models.wrappers.budget import CountingBackend
from plenary.models.wrappers.cache import CallStore
from plenary.preferences import FloatArray, IntArray


def fingerprint(
    backend: ChatBackend,
    systems: Sequence[str],
    weights: FloatArray,
    texts: Sequence[str],
    pairs: IntArray,
    settings: AssemblySettings,
    seed: int,
    given: Given,
) -> str:
    """Hash of everything that determines what is asked and counted."""
    chosen = settings.model_dump(mode="json", exclude={*FREE, "briefing"})
    payload = [
        PROMPT_HASH,
        PHASE_HASH,
        backend.name,
        list(systems),
        weights.tolist(),
        list(texts),
        pairs.tolist(),
        chosen,
        settings.briefing == "generated",
        sorted(given.items()),
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
    calls: CallStore | None = None,
    cost: Callable[[], float | None] = lambda: None,
    elsewhere: RemoteRunner | None = None,
) -> Votes:
    """Hold the assembly of C citizens on P pairs, or resume the one that the ledger holds.

    panel_prompts [C]: persona texts; weights [C]: design weights; texts [K]: outcome sentences;
    pairs [P, 2]: outcome indices. calls: where answers are stored, by default the ledger;
    conditions that share it ask their common ballots only once. cost: what was spent, for the
    events. elsewhere: holds shards in other processes; shards begun earlier, and any that it
    leaves, are held here. A recorded call is never asked again. Cancellation, SIGKILL and
    BudgetExceeded leave a ledger that the same call resumes; ConfigError under any other
    configuration. Afterwards `ledger.timing()` reports where the time went.
    """
    _check(panel_prompts, weights, texts, pairs)
    check_prompts(settings, panel_prompts, texts)
    path = settings.briefing
    given = read_briefing(path).given(texts, pairs) if isinstance(path, Path) else {}
    mark = fingerprint(backend, panel_prompts, weights, texts, pairs, settings, seed, given)
    ledger.claim(mark)
    seating = seat(len(panel_prompts), len(pairs), settings, seed)
    counted = CountingBackend(ClockedBackend(backend, ledger.clock))
    progress = Progress(len(seating.shards()), counted.counts, cost, on_event)
    cached = RecordedBackend(counted, ledger if calls is None else calls)
    room = Room(
        cached,
        ledger,
        settings,
        seating,
        PROBES[settings.probe].personas(tuple(panel_prompts), seed),
        tuple(texts),
        pairs,
        seed,
        mark,
        progress,
        given,
    )
    started = datetime.now(UTC).isoformat()
    ledger.clock.start()
    try:
        await _hold(room, progress, checkpoints, counted, elsewhere)
    finally:
        ledger.add_session(started, ledger.clock.timing(progress.turns))
    return ledger.votes()


async def _hold(
    room: Room,
    progress: Progress,
    checkpoints: Path,
    counted: CountingBackend,
    elsewhere: RemoteRunner | None,
) -> None:
    """Carry every shard that is incomplete in the ledger to its end."""
    shards = room.seating.shards()
    waiting = deque(shard for shard in shards if not room.complete(shard))
    progress.resume(len(shards) - len(waiting), room.ledger.vote_count())
    if not waiting:
        return
    if room.settings.briefing == "generated" and room.condition.talks:
        given = await generate_briefing(
            room.backend, room.ledger, room.texts, room.pairs, room.settings, room.seed
        )
        room = replace(room, briefing=given)
    if elsewhere is not None:
        await _gather(room, [s for s in waiting if not room.begun(s)], counted, elsewhere)
        waiting = deque(shard for shard in waiting if not room.complete(shard))
    async with open_table(checkpoints) as table:
        await _drive(waiting, lambda shard: _run(table, room, shard), room.settings.concurrency)


async def _gather(
    room: Room, shards: Sequence[Shard], counted: CountingBackend, elsewhere: RemoteRunner
) -> None:
    """Note what workers held, shard by shard, and take over the records they return."""
    async with aclosing(elsewhere(Agenda.of(room), shards)) as every:
        async for held in every:
            if held.content:
                room.ledger.merge(held.content)
            if not room.complete(held.shard):
                raise DataError(f"{held.shard!r} ended without all its votes; report this as a bug")
            room.ledger.clock.take(held.timing)
            counted.counts.merge(held.counts)
            for noted in held.recorded:
                room.notify(*noted)
            room.notify("shard", 1, 0)


def _check(
    systems: Sequence[str], weights: FloatArray, texts: Sequence[str], pairs: IntArray
) -> None:
    if len(weights) != len(systems):
        raise ConfigError(
            f"{len(weights)!r} weights for {len(systems)!r} citizens; give one per citizen"
        )
    bad = weights[~(np.isfinite(weights) & (weights > 0))]
    if len(bad):
        raise ConfigError(f"design weight {float(bad[0])!r}; weights must be positive numbers")
    if len(pairs) and not (pairs.min() >= 0 and pairs.max() < len(texts)):
        low, high = int(pairs.min()), int(pairs.max())
        raise ConfigError(f"pairs name outcomes {low!r}..{high!r} of {len(texts)}; plan them again")
    if len({(min(a, b), max(a, b)) for a, b in pairs.tolist()}) < len(pairs):
        raise ConfigError(
            f"{len(pairs)!r} pairs contain the same two outcomes more than once; list each once"
        )


async def _run(table: CompiledGraph, room: Room, shard: Shard) -> None:
    await table.run(room, shard)
    if not room.complete(shard):
        raise DataError(f"{shard!r} ended without all its votes; report this as a bug")
    room.notify("shard", 1, 0)


async def _drive(
    waiting: deque[Shard], run: Callable[[Shard], Awaitable[None]], width: int
) -> None:
    """Run the shards in order, `width` at a time.

    When the budget is used up, or too few answers are usable, no further shard starts and those in
    flight go on as far as they can; any other error, or cancellation, stops them at once.
    """

    async def work() -> None:
        while waiting:
            try:
                await run(waiting.popleft())
            except (BudgetExceeded, UnusableAnswers):
                waiting.clear()
                raise

    workers = [asyncio.create_task(work()) for _ in range(min(width, len(waiting)))]
    try:
        await asyncio.gather(*workers)
    except (BudgetExceeded, UnusableAnswers):
        await asyncio.gather(*workers, return_exceptions=True)
        raise
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
