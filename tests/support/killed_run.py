"""The work of a process of test_kill.py, which is killed in the middle."""

from __future__ import annotations

import signal
from pathlib import Path

from support.assemblies import Gate, make_world

from assembly.record.settings import AssemblySettings, Durability

SETTINGS = AssemblySettings(
    rounds=2, table_size=4, tables_per_group=2, block=3, concurrency=3, plenary=True, follow_up=True
)


def hold(folder: Path, number: int, durability: Durability, gate: Gate | None) -> None:
    """Hold the assembly in `folder`, or go on with it; `number` tells the logs of calls apart."""
    # A shell that starts tests in the background hands down an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    world = make_world(citizens=14, pairs=12)
    backend = world.backend(log=folder / f"calls-{number}.txt", gate=gate, swing=0.7)
    world.hold(backend, folder, SETTINGS.model_copy(update={"durability": durability}))
