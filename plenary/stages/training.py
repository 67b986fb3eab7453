"""Stage `align`: training the model on the rows of the run's dataset."""

from __future__ import annotations

from alignment.training.record import TrainingRecord
from alignment.training.replay import NeutralText, write_replay
from alignment.training.train import align
from plenary.runs import filenames
from plenary.runs.files import staged
from plenary.runs.models import checkpoint_path
from plenary.runs.progress import TrainingProgress
from plenary.runs.records.base import write_record
from plenary.runs.workspace import Workspace
from plenary.seeding import derived_seed
from plenary.stages.neutral_text import neutral_text
from plenary.training_rows import training_templates


def train(space: Workspace) -> None:
    """Train the model toward the assembly's shares on the training pairs."""
    kept = NeutralText((), "none")
    if space.config.alignment.replay_weight > 0:
        kept = neutral_text(space, "replay")
    with staged(space.file(filenames.REPLAY)) as path:
        write_replay(kept.conversations, path)
    settings = space.config.alignment
    result = align(
        checkpoint_path(space.config.model),
        space.dataset("train").to_soft(training_templates(settings.templates)),
        settings,
        space.file(filenames.ADAPTER),
        derived_seed(space.seed, "align"),
        lambda step: space.watcher.training(TrainingProgress(step.step, step.steps, step.loss)),
        replay=kept.conversations,
        day=space.config.chat.day,
    )
    told = result.model_dump(exclude={"adapter"}) | {"replay": kept.origin}
    record = TrainingRecord.model_validate(told)
    write_record(record, space.file(filenames.TRAINING))
