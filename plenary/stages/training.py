"""Stage `align`: training the model toward the assembly's shares."""

from __future__ import annotations

import numpy as np

from alignment.training.record import TrainingRecord
from alignment.training.replay import NeutralText, write_replay
from alignment.training.train import align
from assembly.aggregation.consensus import Consensus
from plenary.preferences import Targets
from plenary.runs import filenames
from plenary.runs.files import staged
from plenary.runs.models import checkpoint_path
from plenary.runs.progress import TrainingProgress
from plenary.runs.records.base import write_record
from plenary.runs.workspace import Workspace
from plenary.seeding import derived_seed
from plenary.stages.neutral_text import neutral_text


def train(space: Workspace) -> None:
    """Teach the model the assembly's shares on the training pairs."""
    kept = NeutralText((), "none")
    if space.config.alignment.replay_weight > 0:
        kept = neutral_text(space, "replay")
    with staged(space.file(filenames.REPLAY)) as path:
        write_replay(kept.conversations, path)
    result = align(
        checkpoint_path(space.config.model),
        space.plan.texts,
        targets_of(space, "train"),
        space.config.alignment,
        space.file(filenames.ADAPTER),
        derived_seed(space.seed, "align"),
        lambda step: space.watcher.training(TrainingProgress(step.step, step.steps, step.loss)),
        replay=kept.conversations,
        day=space.config.chat.day,
    )
    told = result.model_dump(exclude={"adapter"}) | {"replay": kept.origin}
    record = TrainingRecord.model_validate(told)
    write_record(record, space.file(filenames.TRAINING))


def targets_of(space: Workspace, side: str) -> Targets:
    """The assembly's shares on the pairs of one side of the split."""
    targets = space.consensus.targets()
    held = np.isin(targets.pairs, space.plan.held_out).all(axis=1)
    keep = held if side == "held_out" else ~held
    return Targets(targets.pairs[keep], targets.p[keep], targets.weight[keep])


def side_of(space: Workspace, decided: Consensus, *, held: bool) -> Targets:
    """Shares on pairs of held-out outcomes, or on the others."""
    targets = decided.targets()
    keep = np.isin(targets.pairs, space.plan.held_out).all(axis=1) == held
    return Targets(targets.pairs[keep], targets.p[keep], targets.weight[keep])
