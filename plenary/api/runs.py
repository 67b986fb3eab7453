"""Whole runs, as the command line makes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

from plenary.pipeline.assembly import ASSEMBLY_STAGES
from plenary.pipeline.chain import CHAIN
from plenary.pipeline.run import run_stages
from plenary.results.progress import BarWatcher, bar
from plenary.results.run import RunResult, opened_run
from plenary.runs.config import load_config
from plenary.runs.directory import Exists


def run(
    config: str | Path | None = "quickstart",
    changes: Mapping[str, object] | None = None,
    *,
    folder: str | Path = "runs",
    exists: Exists = "resume",
    train: bool = True,
    quiet: bool | None = None,
) -> RunResult:
    """Run the whole chain in a run directory, as `plenary run` does; it can be stopped and resumed.

    config: a preset's name, a YAML file or a run directory. changes: settings by their dotted
    names, such as {"panel.citizens": 80, "name": "mine"}. train: False ends with the dataset.

    >>> import plenary as pl
    >>> found = pl.run("quickstart", {"name": "mine"})  # doctest: +SKIP
    >>> found.comparison.gain  # doctest: +SKIP
    0.19
    """
    told = {name: _as_text(value) for name, value in (changes or {}).items()}
    settings = load_config(config, [f"{name}={value}" for name, value in told.items()])
    stages = CHAIN if train else ASSEMBLY_STAGES
    with bar("run", len(stages), " stages", quiet=quiet) as made:
        space = run_stages(settings, Path(folder), exists, stages, BarWatcher(made))
    return opened_run(space.run.path)


async def arun(
    config: str | Path | None = "quickstart",
    changes: Mapping[str, object] | None = None,
    *,
    folder: str | Path = "runs",
    exists: Exists = "resume",
    train: bool = True,
    quiet: bool | None = None,
) -> RunResult:
    """As `run`, inside an event loop, in a thread beside it."""
    return await asyncio.to_thread(
        run, config, changes, folder=folder, exists=exists, train=train, quiet=quiet
    )


def open_run(path: str | Path) -> RunResult:
    """A run directory that is there: its summary, comparison, panel, assembly, utilities, model.

    >>> import plenary as pl
    >>> pl.open_run("runs/mine").comparison.plot()  # doctest: +SKIP
    """
    return opened_run(path)


def _as_text(value: object) -> str:
    """A value as a change of the command line says it."""
    return value if isinstance(value, str) else json.dumps(value, default=str)
