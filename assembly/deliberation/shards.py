"""The worker's side: one shard of an assembly held in another process or on another machine.

A worker keeps no checkpoint: a shard that is taken over starts again from its beginning, and calls
that the ledger holds are answered from it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

from assembly.deliberation.graph import build, opening
from assembly.deliberation.prompts import Statement
from assembly.deliberation.room import Room
from assembly.deliberation.seating import Seating, Shard
from assembly.record.ledger import Content, Ledger, RecordedBackend
from assembly.record.progress import ClockedBackend, EventKind, Timing
from assembly.record.settings import AssemblySettings
from plenary.models.base import ChatBackend
from plenary.models.wrappers.budget import CountingBackend, Counts
from plenary.preferences import IntArray


@dataclass(frozen=True, slots=True)
class Agenda:
    """The parts of a Room that travel: not the model and the ledger, which each worker opens."""

    settings: AssemblySettings
    seating: Seating
    systems: tuple[str, ...]
    texts: tuple[str, ...]
    pairs: IntArray
    seed: int
    fingerprint: str
    briefing: Mapping[int, tuple[Statement, ...]]

    @classmethod
    def of(cls, room: Room) -> Self:
        """The agenda of a room."""
        return cls(**{field.name: getattr(room, field.name) for field in fields(cls)})

    def room(
        self,
        backend: RecordedBackend,
        ledger: Ledger,
        notify: Callable[[EventKind, int, int], None],
    ) -> Room:
        """A room with this agenda."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return Room(backend=backend, ledger=ledger, notify=notify, **own)


class ShardResult(NamedTuple):
    """The result of holding a shard.

    recorded: kind, number, and number of invalid ones, of what was recorded. counts: new model
    calls. content: the records, if the worker has its own ledger, else empty.
    """

    shard: Shard
    recorded: tuple[tuple[EventKind, int, int], ...]
    timing: Timing
    counts: Counts
    content: Content


RemoteRunner = Callable[[Agenda, Sequence[Shard]], AsyncGenerator[ShardResult, None]]


def hold_shard(agenda: Agenda, backend: ChatBackend, ledger: Ledger, shard: Shard) -> ShardResult:
    """Hold one shard and record it in `ledger`."""
    counted = CountingBackend(ClockedBackend(backend, ledger.clock))
    made, invalid = Counter[EventKind](), Counter[EventKind]()

    def note(kind: EventKind, count: int, bad: int) -> None:
        made[kind] += count
        invalid[kind] += bad

    room = agenda.room(RecordedBackend(counted, ledger), ledger, note)
    ledger.clock.start()
    asyncio.run(build().ainvoke(opening(room, shard), context=room))
    return ShardResult(
        shard,
        tuple((kind, count, invalid[kind]) for kind, count in made.items()),
        ledger.clock.timing(made.total()),
        counted.counts,
        {},
    )
