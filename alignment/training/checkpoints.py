"""Resuming training: which checkpoints are complete, and whether they belong to this very run.

A work folder lies next to the adapter while it is trained: `run.json` with the fingerprint of the
run's inputs, one `checkpoint-STEP` folder each, and the tracker's logs. Optimizer and random states
in it are pickles, so it is read back only by the run that wrote it, and deleted at its end.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from alignment.training.trainer import TrainingStep

RUN = "run.json"
WHOLE = "plenary_steps.json"
LOGS = "runs"
WORK = ".training"


class _Run(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str = Field(description="hash of everything that the result depends on")


class _Steps(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[TrainingStep, ...] = Field(description="what each step so far measured")


class Resumable(NamedTuple):
    """A complete checkpoint (None: start afresh) and the steps that led to it."""

    checkpoint: Path | None
    steps: list[TrainingStep]


def work_folder(output: Path) -> Path:
    """The folder where training of the adapter `output` keeps its checkpoints and logs."""
    return output.with_name(output.name + WORK)


def open_work(folder: Path, fingerprint: str) -> Resumable:
    """The last complete checkpoint of the same run; anything else in the folder is deleted."""
    kept = last_whole(folder) if _fingerprint(folder) == fingerprint else None
    if kept is None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / RUN).write_text(_Run(fingerprint=fingerprint).model_dump_json(), "utf-8")
        return Resumable(None, [])
    for other in folder.glob("checkpoint-*"):
        if not (other / WHOLE).is_file():
            shutil.rmtree(other)
    return kept


def _fingerprint(folder: Path) -> str | None:
    try:
        return _Run.model_validate_json((folder / RUN).read_bytes()).fingerprint
    except (OSError, ValidationError):
        return None


def last_whole(folder: Path) -> Resumable | None:
    """The last checkpoint that was written completely; None if there is none."""
    marks = sorted(folder.glob(f"checkpoint-*/{WHOLE}"), key=_step, reverse=True)
    for mark in marks:
        try:
            steps = _Steps.model_validate_json(mark.read_bytes()).steps
        except (OSError, ValidationError):
            continue
        return Resumable(mark.parent, list(steps))
    return None


def _step(mark: Path) -> int:
    return int(mark.parent.name.rpartition("-")[2])


def close_work(folder: Path, *, keep_logs: bool) -> None:
    """Delete the checkpoints, and the logs unless they are kept."""
    if not (keep_logs and (folder / LOGS).is_dir()):
        shutil.rmtree(folder, ignore_errors=True)
        return
    (folder / RUN).unlink(missing_ok=True)
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)


class MarkWhole(TrainerCallback):
    """Writes the steps so far into each checkpoint after everything else in it is on disk."""

    def __init__(self, steps: Sequence[TrainingStep]) -> None:
        self.steps = steps

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """See TrainerCallback."""
        if state.is_world_process_zero and args.output_dir:
            mark = Path(args.output_dir) / f"checkpoint-{state.global_step}" / WHOLE
            mark.write_text(_Steps(steps=tuple(self.steps)).model_dump_json(), "utf-8")
