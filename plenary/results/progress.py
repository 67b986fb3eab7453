"""How far a call is, as a bar on the error stream or in a notebook."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Protocol

from assembly.record.progress import Event
from plenary.runs.progress import NullWatcher, TrainingProgress


class ProgressBar(Protocol):
    """The part of a tqdm bar that is used."""

    total: float | None
    n: float

    def update(self, n: float = 1) -> object:
        """Count on."""
        ...


def shown(quiet: bool | None) -> bool:
    """Whether progress is shown: as told, else where a person looks."""
    return (sys.stderr.isatty() or _in_notebook()) if quiet is None else not quiet


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook, by the shell that IPython says is running."""
    asked = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(asked).__name__ == "ZMQInteractiveShell"


@contextmanager
def bar(what: str, total: int | None, unit: str, *, quiet: bool | None) -> Iterator[ProgressBar]:
    """A bar that is gone when the block ends, or one that shows nothing."""
    rich = _in_notebook() and find_spec("ipywidgets") is not None
    tqdm = importlib.import_module("tqdm.notebook" if rich else "tqdm").tqdm
    made = tqdm(
        desc=what, total=total, unit=unit, leave=False, disable=not shown(quiet), file=sys.stderr
    )
    try:
        yield made
    finally:
        made.close()


@contextmanager
def assembly_bar(quiet: bool | None) -> Iterator[Watching]:
    """A bar over the shards of an assembly."""
    with bar("assembly", None, " parts", quiet=quiet) as made:
        yield Watching(made)


class Watching:
    """Moves a bar as an assembly tells of itself."""

    def __init__(self, made: ProgressBar) -> None:
        self._bar = made

    def __call__(self, event: Event) -> None:
        """Something was recorded."""
        self._bar.total = event.shards
        if event.done > self._bar.n:
            self._bar.update(event.done - self._bar.n)


class BarWatcher(NullWatcher):
    """Shows the stages of a run."""

    def __init__(self, made: ProgressBar) -> None:
        self._bar = made

    def begin(self, stage: str, place: int, stages: int) -> None:
        """A stage begins."""
        self._bar.total = stages
        getattr(self._bar, "set_description", str)(stage)

    def end(self, stage: str, seconds: float, *, skipped: bool) -> None:
        """A stage ended."""
        self._bar.update(1)

    def training(self, progress: TrainingProgress) -> None:
        """A training step ended."""
        told = f"step {progress.step} of {progress.steps}, loss {progress.loss:.3f}"
        getattr(self._bar, "set_postfix_str", str)(told)
