"""Runs a job file and ends this process by SIGKILL right after the step named; no clean-up runs."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from alignment.training import launch
from alignment.training.train import align
from alignment.training.trainer import TrainingStep


def main() -> None:
    job = launch.AlignmentJob.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    last = int(sys.argv[2])

    def kill(step: TrainingStep) -> None:
        if step.step == last:
            os.kill(os.getpid(), signal.SIGKILL)

    align(
        job.model, job.rows, job.settings, job.output, job.seed, kill, replay=job.replay
    )  # fmt: skip


if __name__ == "__main__":
    main()
