"""Dividing a training run's rows over steps, micro-batches and processes (gradient accumulation).

A step's rows are the same whatever the micro-batch and the number of processes: each row is
computed once and has the same share in the step's loss, so that the gradient is the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from accelerate import PartialState
from torch import Tensor
from torch.utils.data import Dataset

from alignment.training.batches import collate
from alignment.training.examples import AnswerRow
from alignment.training.settings import AlignmentSettings

T = TypeVar("T")


class BatchPlan(NamedTuple):
    """Most rows that a process computes together, and how many such batches make a step."""

    rows: int
    accumulated: int


def batch_plan(settings: AlignmentSettings) -> BatchPlan:
    """How a step's rows are divided among this launch's processes."""
    processes = PartialState().num_processes
    rows = min(settings.micro_batch or settings.batch, math.ceil(settings.batch / processes))
    return BatchPlan(rows, math.ceil(settings.batch / (rows * processes)))


def steps_of(settings: AlignmentSettings, rows: int) -> int:
    """Optimizer steps of a run over that many rows."""
    return max(1, math.ceil(settings.epochs * math.ceil(rows / settings.batch)))


def spread(items: Sequence[T], parts: int) -> list[Sequence[T]]:
    """The items in order in `parts` parts, whose sizes differ by at most one."""
    count = len(items)
    return [items[k * count // parts : (k + 1) * count // parts] for k in range(parts)]


class Portions(Dataset[dict[str, Tensor | tuple[int, int]]]):
    """All batches that one process computes in a run, in order, `accumulated` of them per step.

    A process without a row computes one with share 0 if others have some, since all processes must
    take part in each backward pass. `part` of a batch is its place among the parts of its step, and
    how many there are.
    """

    def __init__(self, rows: Sequence[AnswerRow], settings: AlignmentSettings, seed: int) -> None:
        self.rows, self.settings, self.seed = rows, settings, seed
        self.plan, self.here = batch_plan(settings), PartialState()
        self._drawn: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return steps_of(self.settings, len(self.rows)) * self.plan.accumulated

    def __getitem__(self, at: int) -> dict[str, Tensor | tuple[int, int]]:
        step, turn = divmod(at, self.plan.accumulated)
        parts = self.plan.accumulated * self.here.num_processes
        part = turn * self.here.num_processes + self.here.process_index
        of_step = self._of_step(step)
        mine, share = spread(of_step, parts)[part], 1 / len(of_step)
        if not mine:
            mine, share = of_step[:1], 0.0
        return {**collate([self.rows[k] for k in mine], share), "part": (part, parts)}

    def _of_step(self, step: int) -> Sequence[int]:
        epoch, turn = divmod(step, math.ceil(len(self.rows) / self.settings.batch))
        if self._drawn[0] != epoch:
            generator = torch.Generator().manual_seed(self.seed + epoch)
            self._drawn = (epoch, torch.randperm(len(self.rows), generator=generator).tolist())
        return self._drawn[1][turn * self.settings.batch :][: self.settings.batch]
