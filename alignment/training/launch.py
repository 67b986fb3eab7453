"""Distributed training: one training run in every process of a launcher, from a job file.

    accelerate launch --config_file configs/accelerate/ddp.yaml -m alignment.launch JOB.json

`write_job` makes the file from the arguments of `align`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alignment.training.settings import AlignmentSettings
from alignment.training.train import AlignmentResult, align
from plenary.errors import ConfigError, DataError
from plenary.models.base import Conversation, Message
from plenary.preferences import Targets


class AlignmentJob(BaseModel):
    """The arguments of `align` as a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Path = Field(description="folder of the base model")
    texts: tuple[str, ...] = Field(description="outcomes that the pairs index")
    pairs: tuple[tuple[int, int], ...] = Field(description="two outcomes per pair")
    p: tuple[float | None, ...] = Field(
        description="target probability of the first outcome; null if nobody voted"
    )
    weight: tuple[float, ...] = Field(description="effective votes behind each pair")
    settings: AlignmentSettings = Field(description="settings of the run")
    output: Path = Field(description="folder of the adapter")
    seed: int = Field(description="root seed")
    replay: tuple[tuple[Message, ...], ...] = Field(description="neutral conversations")
    day: date | None = Field(
        default=None, description="the date given to a chat template that prints one"
    )

    @property
    def targets(self) -> Targets:
        """The pairs as columns."""
        shares = np.array([np.nan if p is None else p for p in self.p])
        return Targets(np.array(self.pairs, dtype=np.int64), shares, np.array(self.weight))


def write_job(
    path: Path,
    model: Path,
    texts: Sequence[str],
    targets: Targets,
    settings: AlignmentSettings,
    output: Path,
    seed: int,
    replay: Sequence[Conversation] = (),
    day: date | None = None,
) -> AlignmentJob:
    """Write the arguments of a call to `align`, for a launcher to run."""
    job = AlignmentJob(
        model=model.resolve(),
        texts=tuple(texts),
        pairs=tuple((int(a), int(b)) for a, b in targets.pairs),
        p=tuple(None if np.isnan(p) else float(p) for p in targets.p),
        weight=tuple(targets.weight.tolist()),
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
        job.model, job.texts, job.targets, job.settings, job.output, job.seed,
        replay=job.replay, day=job.day,
    )  # fmt: skip


def main() -> None:
    """Entry point of `-m alignment.launch`."""
    if len(sys.argv) != 2:
        raise ConfigError(f"arguments {sys.argv[1:]!r}; give the one job file")
    run_job(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
