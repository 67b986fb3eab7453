"""Run by test_session.py in a process of its own, which is killed in the middle."""

from __future__ import annotations

import sys
from pathlib import Path

from conftest import make_world

from assembly.settings import AssemblySettings

if __name__ == "__main__":
    folder, number = Path(sys.argv[1]), sys.argv[2]
    world = make_world(citizens=14, pairs=20)
    backend = world.backend(log=folder / f"calls-{number}.txt", delay=0.01, swing=0.7)
    world.hold(backend, folder, AssemblySettings(rounds=2, table_size=5, block=3, concurrency=3))
