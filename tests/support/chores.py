"""Light work for workers: it lies here so that other processes can import it quickly."""

from __future__ import annotations

import os
import time
from pathlib import Path

from plenary.errors import DataError


def squared(number: int) -> int:
    return number * number


def noted(task: tuple[str, int]) -> int:
    """Notes who began a task, then waits for the file `go`."""
    folder, number = task
    with (Path(folder) / "begun.txt").open("a") as log:
        log.write(f"{number} {os.getpid()}\n")
    while not (Path(folder) / "go").exists():
        time.sleep(0.01)
    return number


def refusing(number: int) -> int:
    if number == 2:
        raise DataError(f"task {number!r} is spoilt; leave it out")
    return number


def buggy(number: int) -> int:
    return 1 // number
