"""Progress events while an assembly runs, and how its time was spent (model, ledger, framework)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

from plenary.models.base import ChatBackend, Conversation
from plenary.models.wrappers.base import Answer, BackendWrapper, ModelRequest
from plenary.models.wrappers.budget import Counts

EventKind = Literal["resumed", "votes", "declarations", "statements", "group", "shard"]


@dataclass(frozen=True, slots=True)
class Event:
    """What was just recorded: `count` votes, declarations or statements, `invalid` unusable ones.

    kind "resumed" counts votes found in the ledger at the start; kind "group" texts of a plenary,
    kind "shard" is one shard completed.
    done, shards: shards finished so far, and in all. turns: model calls answered in this session,
    cached ones included. tokens: prompt and completion tokens of new calls. cost: what was spent,
    None where no price is known. left: estimated seconds left, None before there is an estimate.
    """

    kind: EventKind
    count: int
    invalid: int
    done: int
    shards: int
    turns: int = 0
    tokens: int = 0
    cost: float | None = None
    left: float | None = None


class Timing(NamedTuple):
    """Seconds of wall time, split into parts that add up, and the turns they were spent on.

    model: a model call was under way. ledger: none was, and the ledger read or wrote. framework:
    the rest (LangGraph, checkpoints, prompts). The seconds of several workers are added.
    """

    turns: int
    model: float
    framework: float
    ledger: float

    @property
    def per_turn(self) -> float:
        """Milliseconds per turn; NaN before the first."""
        total = self.model + self.framework + self.ledger
        return 1000.0 * total / self.turns if self.turns else float("nan")


class Clock:
    """Assigns wall time to what is busy: first the model, then the ledger, then the framework."""

    def __init__(self) -> None:
        self._busy = {"model": 0, "ledger": 0}
        self._spent = {"model": 0.0, "ledger": 0.0, "framework": 0.0}
        self._since = time.perf_counter()

    def _book(self) -> None:
        now = time.perf_counter()
        holder = next((name for name, busy in self._busy.items() if busy), "framework")
        self._spent[holder] += now - self._since
        self._since = now

    @contextmanager
    def at(self, holder: Literal["model", "ledger"]) -> Iterator[None]:
        """Count the time of the block for `holder`; blocks may overlap."""
        self._book()
        self._busy[holder] += 1
        try:
            yield
        finally:
            self._book()
            self._busy[holder] -= 1

    def start(self) -> None:
        """Reset the clock."""
        self._since = time.perf_counter()
        self._spent = dict.fromkeys(self._spent, 0.0)

    def take(self, spent: Timing) -> None:
        """Add a worker's times; our own time since the last entry was waiting, not counted."""
        self._since = time.perf_counter()
        for holder in self._spent:
            self._spent[holder] += getattr(spent, holder)

    def timing(self, turns: int) -> Timing:
        """The times since `start`."""
        self._book()
        return Timing(turns, **self._spent)


class ClockedBackend(BackendWrapper):
    """Passes everything on and counts the time as the model's."""

    def __init__(self, backend: ChatBackend, clock: Clock) -> None:
        super().__init__(backend)
        self._clock = clock

    async def _answers(
        self, conversations: Sequence[Conversation], call: ModelRequest[Answer]
    ) -> list[Answer]:
        with self._clock.at("model"):
            return await call.of(self._backend, conversations)


class Progress:
    """Counts turns and finished shards and passes events on."""

    def __init__(
        self,
        shards: int,
        counts: Counts,
        cost: Callable[[], float | None],
        on_event: Callable[[Event], None] | None,
    ) -> None:
        self.done, self.shards, self.turns = 0, shards, 0
        self._counts, self._cost, self._on_event = counts, cost, on_event
        self._begun, self._started = 0, time.monotonic()

    def resume(self, done: int, votes: int) -> None:
        """Start from what the ledger already holds."""
        self.done = self._begun = done
        self("resumed", votes, 0)

    def __call__(self, kind: EventKind, count: int, invalid: int) -> None:
        """Report what was just recorded."""
        if kind == "shard":
            self.done += 1
        elif kind != "resumed":
            self.turns += count
        if self._on_event is not None:
            self._on_event(self._event(kind, count, invalid))

    def _event(self, kind: EventKind, count: int, invalid: int) -> Event:
        fresh = self.done - self._begun
        pace = (time.monotonic() - self._started) / fresh if fresh else None
        left = None if pace is None else pace * (self.shards - self.done)
        return Event(
            kind,
            count,
            invalid,
            self.done,
            self.shards,
            self.turns,
            self._counts.tokens,
            self._cost(),
            left,
        )
