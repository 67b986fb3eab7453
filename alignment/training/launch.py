"""Distributed training: one training run in every process of a launcher, from a job file.

    accelerate launch --config_file FILE -m alignment.training.launch JOB.json

FILE is one of configs/accelerate; `write_job` makes JOB.json from the arguments of `align`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alignment.training.settings import AlignmentSettings
from alignment.training.train import AlignmentResult, align
from plenary.errors import ConfigError, DataError
from plenary.models.base import Conversation, Message
from plenary.training_rows import SoftRow


class AlignmentJob(BaseModel):
    """The arguments of `align` as a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Path = Field(description="folder of the base model")
    rows: tuple[SoftRow, ...] = Field(description="what is trained toward")
    settings: AlignmentSettings = Field(description="settings of the run")
    output: Path = Field(description="folder of the adapter")
    seed: int = Field(description="root seed")
    replay: tuple[tuple[Message, ...], ...] = Field(description="neutral conversations")
    day: date | None = Field(
        default=None, description="the date given to a chat template that prints one"
    )


def write_job(
    path: Path,
    model: Path,
    rows: Sequence[SoftRow],
    settings: AlignmentSettings,
    output: Path,
    seed: int,
    replay: Sequence[Conversation] = (),
    day: date | None = None,
) -> AlignmentJob:
    """Write the arguments of a call to `align`, for a launcher to run."""
    job = AlignmentJob(
        model=model.resolve(),
        rows=tuple(rows),
        settings=settings,
        output=output.resolve(),
        seed=seed,
        replay=tuple(replay),
        day=day,
    )
    path.write_text(job.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return job


def run_job(path: Path) -> AlignmentResult:
    """Run a job file in this process; DataError if it cannot be read."""
    try:
        job = AlignmentJob.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(f"cannot read job {str(path)!r}: {error}; write it again") from error
    return align(
        job.model, job.rows, job.settings, job.output, job.seed, replay=job.replay, day=job.day
    )  # fmt: skip


def main() -> None:
    """Entry point of `-m alignment.training.launch`."""
    if len(sys.argv) != 2:
        raise ConfigError(f"arguments {sys.argv[1:]!r}; give the one job file")
    run_job(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
