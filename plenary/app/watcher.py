"""What a run tells while it goes on. The command line draws it; a script can ignore it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from assembly.progress import Event


class TrainingProgress(NamedTuple):
    """One optimizer step: number, of how many, and its loss in nats (lower is better)."""

    step: int
    steps: int
    loss: float


class Watcher(Protocol):
    """Hears about stages as they begin and end, and about what happens in the long ones."""

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


class Silent:
    """A watcher that says nothing."""

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
