"""Stage `align`: training the model on the rows of the run's dataset."""

from __future__ import annotations

from typing import NamedTuple

from alignment.training.batches import steps_of
from alignment.training.record import TrainingRecord
from alignment.training.replay import NeutralText, write_replay
from alignment.training.train import align
from plenary.runs import filenames
from plenary.runs.config import PipelineConfig
from plenary.runs.files import staged
from plenary.runs.models import checkpoint_path, takes_part
from plenary.runs.progress import TrainingProgress
from plenary.runs.records.base import write_record
from plenary.runs.workspace import Workspace
from plenary.seeding import derived_seed
from plenary.stages.neutral_text import neutral_text
from plenary.stages.plan import chosen_outcomes, make_plan
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


class TrainingSize(NamedTuple):
    """Rows of training, if every pair gets a label, and optimizer steps."""

    rows: int
    steps: int


def training_size(config: PipelineConfig) -> TrainingSize:
    """How much a run would train; nothing is asked or opened."""
    settings = config.alignment
    catalogue = chosen_outcomes(config.outcomes, config.seed, embedded_reads=takes_part(config))
    pairs = len(make_plan(catalogue, config.outcomes, config.design, config.seed).train_pairs)
    if settings.patience:
        pairs -= round(settings.validation * pairs)
    rows = pairs * len(settings.templates) * 2
    return TrainingSize(rows, steps_of(settings, rows))
