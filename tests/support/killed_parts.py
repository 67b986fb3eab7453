"""Run by test_answer_parts.py: `plenary elicit`, killed when part N would take its place."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from plenary.cli.main import app


def die_before(part: str) -> None:
    """Kill this process by a signal nobody can catch."""

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.rename" and Path(str(arguments[1])).stem == part:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if __name__ == "__main__":
    die_before(sys.argv[1])
    app(sys.argv[2:])
