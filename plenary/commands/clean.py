"""`plenary clean`: finding and removing half-written files of killed processes in a run directory.

Half-written files and folders are useless. Checkpoints are not: a killed training resumes from
them, so they are removed only on request.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from alignment.training.checkpoints import LOGS, WORK, close_work, last_whole
from alignment.training.train import PARTIAL
from plenary.runs.directory import locked, read_manifest

# The names that `staged` gives: .STEM.XXXXXXXX.SUFFIX
_TEMPORARY = re.compile(r"\.[^.].*\.[a-z0-9_]{8}\.[a-z]+")


class Leftover(NamedTuple):
    """A file or folder, its size in bytes, and whether a training can resume from it."""

    path: Path
    size: int
    resumable: bool


def leftovers(run: Path) -> list[Leftover]:
    """Half-written files in a run directory; DataError if it is not a run directory."""
    read_manifest(run)
    return [
        Leftover(path, _size(path), path.suffix == WORK and last_whole(path) is not None)
        for path in sorted(_found(run))
    ]


def remove_leftovers(run: Path, *, checkpoints: bool) -> list[Leftover]:
    """Delete leftovers and return them; checkpoints of an unfinished training only if asked.

    The logs of a training stay. ConfigError while a process is using the directory.
    """
    read_manifest(run)
    with locked(run):
        gone = [left for left in leftovers(run) if checkpoints or not left.resumable]
        for left in gone:
            if left.path.suffix == WORK:
                close_work(left.path, keep_logs=True)
            elif left.path.is_dir():
                shutil.rmtree(left.path)
            else:
                left.path.unlink()
    return gone


def _found(run: Path) -> Iterator[Path]:
    for path in run.rglob("*"):
        if path.is_symlink() or any(p.suffix in (WORK, PARTIAL) for p in _above(path, run)):
            continue
        if path.is_dir():
            if path.suffix == PARTIAL or (path.suffix == WORK and _holds_more_than_logs(path)):
                yield path
        elif _TEMPORARY.fullmatch(path.name):
            yield path


def _above(path: Path, run: Path) -> list[Path]:
    return [parent for parent in path.parents if run in parent.parents]


def _holds_more_than_logs(work: Path) -> bool:
    return {child.name for child in work.iterdir()} != {LOGS}


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(file.stat().st_size for file in files)
