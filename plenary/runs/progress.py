"""Progress of a run: events that watchers receive, and the file that keeps the latest state."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from pydantic import Field

from assembly.record.progress import Event
from plenary.runs.records.base import Record, write_record

PROGRESS = "progress.json"

EVERY = 1.0


class ProgressRecord(Record):
    """The latest progress of a run that is under way, or its final state."""

    state: Literal["running", "ended", "stopped"] = Field(description="stopped means by an error")
    updated: datetime = Field(description="UTC")
    stage: str = Field(default="", description="stage under way, or the last one")
    place: int = Field(default=0, description="its number, from 1")
    stages: int = Field(default=0, description="of how many")
    done: int = Field(default=0, description="shards of the assembly or training steps done")
    total: int = Field(default=0, description="of how many; 0 means unknown")
    turns: int = Field(default=0, description="votes and texts recorded in this session")
    tokens: int = Field(default=0, description="tokens of the assembly's new calls")
    cost: float | None = Field(default=None, description="their price; none if unknown")
    left: float | None = Field(
        default=None, description="seconds left for the stage at the current pace"
    )
    loss: float | None = Field(default=None, description="of the last training step, nats")


class Noting:
    """Passes everything on to another watcher and keeps the latest progress in a file."""

    def __init__(self, watcher: Watcher, path: Path) -> None:
        self._watcher, self._path = watcher, path
        self._record = ProgressRecord(state="running", updated=_now())
        self._written = 0.0

    def begin(self, stage: str, place: int, stages: int) -> None:
        """A stage begins."""
        self._watcher.begin(stage, place, stages)
        fresh = {"done": 0, "total": 0, "left": None, "loss": None}
        self.note(stage=stage, place=place, stages=stages, **fresh)

    def end(self, stage: str, seconds: float, *, skipped: bool) -> None:
        """A stage ended."""
        self._watcher.end(stage, seconds, skipped=skipped)
        self.note()

    def assembly(self, event: Event) -> None:
        """Votes, declarations or statements were recorded."""
        self._watcher.assembly(event)
        known = {name: getattr(event, name) for name in ("done", "turns", "tokens", "cost", "left")}
        self._often(total=event.shards, **known)

    def training(self, progress: TrainingProgress) -> None:
        """A training step ended."""
        self._watcher.training(progress)
        self._often(done=progress.step, total=progress.steps, loss=progress.loss)

    def asked(self, what: str, answers: int) -> None:
        """A model answered outside the assembly."""
        self._watcher.asked(what, answers)

    def note(self, **changes: object) -> None:
        """Write the record with some fields changed."""
        self._written = time.monotonic()
        self._record = self._record.model_copy(update={**changes, "updated": _now()})
        write_record(self._record, self._path)

    def _often(self, **changes: object) -> None:
        self._record = self._record.model_copy(update=changes)
        if time.monotonic() - self._written >= EVERY:
            self.note()


@contextmanager
def noting(watcher: Watcher, path: Path) -> Iterator[Watcher]:
    """The watcher, with its progress kept in `path` until the block ends, and how it ended."""
    noted = Noting(watcher, path)
    noted.note()
    state = "stopped"
    try:
        yield noted
        state = "ended"
    finally:
        noted.note(state=state)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


class TrainingProgress(NamedTuple):
    """One optimizer step: number, of how many, and its loss in nats (lower is better)."""

    step: int
    steps: int
    loss: float


class Watcher(Protocol):
    """Receives events: stages that begin and end, and progress within long stages."""

    def begin(self, stage: str, place: int, stages: int) -> None:
        """A stage begins; `place` counts from 1."""
        ...

    def end(self, stage: str, seconds: float, *, skipped: bool) -> None:
        """A stage ended, or was found done."""
        ...

    def assembly(self, event: Event) -> None:
        """Votes, declarations or statements were recorded."""
        ...

    def training(self, progress: TrainingProgress) -> None:
        """A training step ended."""
        ...

    def asked(self, what: str, answers: int) -> None:
        """A model answered a batch of questions outside the assembly."""
        ...


class NullWatcher:
    """A watcher that ignores all events."""

    def begin(self, stage: str, place: int, stages: int) -> None:
        """Say nothing."""

    def end(self, stage: str, seconds: float, *, skipped: bool) -> None:
        """Say nothing."""

    def assembly(self, event: Event) -> None:
        """Say nothing."""

    def training(self, progress: TrainingProgress) -> None:
        """Say nothing."""

    def asked(self, what: str, answers: int) -> None:
        """Say nothing."""
