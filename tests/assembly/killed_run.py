"""Run by test_kill.py in a process of its own, which is killed in the middle."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from conftest import make_world

from assembly.settings import AssemblySettings

SETTINGS = AssemblySettings(
    rounds=2, table_size=4, hall=2, block=3, concurrency=3, plenary=True, follow_up=True
)

if __name__ == "__main__":
    # A shell that starts tests in the background hands down an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, number, durability, delay = Path(sys.argv[1]), *sys.argv[2:5]
    world = make_world(citizens=14, pairs=12)
    backend = world.backend(log=folder / f"calls-{number}.txt", delay=float(delay), swing=0.7)
    world.hold(backend, folder, SETTINGS.model_copy(update={"durability": durability}))
