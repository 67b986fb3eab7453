"""Run by test_faults.py: the chain, killed once in each stage by a signal nobody can catch.

Libraries are imported once; every run is a child of this process. A child dies in the moment in
which the first file of its stage would take its place or be opened, with all before that written.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from plenary.pipeline.chain import CHAIN
from plenary.pipeline.run import run_stages
from plenary.pipeline.stage import Stage
from plenary.runs.config import PipelineConfig, load_config
from plenary.runs.progress import NullWatcher


def die_in(stage: Stage) -> None:
    """Kill this process when a file of the stage is about to be put in place."""

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        moved = event == "os.rename" and Path(str(arguments[1])).name in stage.outputs
        opened = event == "open" and Path(str(arguments[0])).name in stage.outputs
        if moved or (opened and "w" in str(arguments[1])):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def run_child(config: PipelineConfig, folder: Path, victim: Stage | None) -> int:
    """How a child ended: 0, or minus the signal that killed it."""
    child = os.fork()
    if child == 0:
        if victim is not None:
            die_in(victim)
        run_stages(config, folder, "resume", CHAIN, NullWatcher())
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(source: str, killed: str, straight: str, *changes: str) -> None:
    """Kill, resume and kill again through all stages; then run to the end, and once untouched."""
    config = load_config(source, changes)
    for stage in CHAIN:
        ended = run_child(config, Path(killed), stage)
        if ended != -signal.SIGKILL:
            sys.exit(f"stage {stage.name!r} ended with {ended}")
    for folder in (killed, straight):
        if run_child(config, Path(folder), None):
            sys.exit(f"the run in {folder!r} did not end")


if __name__ == "__main__":
    main(*sys.argv[1:])
