"""Runs job files and writes the gradient of every optimizer step beside each, as JOB.npy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from transformers import TrainerCallback

from alignment.training import launch
from alignment.training.batches import encode_replay
from alignment.training.lora import load_base, lora_config
from alignment.training.trainer import (
    Replay,
    SoftLabelTrainer,
    TrainingStep,
    run_training,
    training_arguments,
    without_library_warnings,
)
from plenary.models.local.chat_template import ChatRenderer
from plenary.models.local.checkpoints import load_tokenizer

LONGEST = 1024


class _Trace(TrainerCallback):
    def __init__(self) -> None:
        self.gradients: list[np.ndarray] = []

    def on_pre_optimizer_step(self, args, state, control, model, **kwargs) -> None:
        trained = (p.grad for p in model.parameters() if p.requires_grad)
        flat = [grad.flatten() for grad in trained if grad is not None]
        self.gradients.append(torch.cat(flat).double().numpy())


def trace(job: launch.AlignmentJob) -> tuple[np.ndarray, list[TrainingStep]]:
    """Gradients [S, parameters] of the steps, not clipped, and what the steps measured.

    The adapter is moved off its start and hardly changes, so that only the parts differ.
    """
    renderer = ChatRenderer(load_tokenizer(job.model))
    kept = encode_replay(renderer, job.replay, LONGEST)
    drawn = Replay(kept, job.settings.replay_weight, job.settings.replay_rows, job.seed)
    with without_library_warnings():
        arguments = training_arguments(job.settings, len(job.rows), job.output, job.seed)
        arguments.max_grad_norm = 0.0
        trainer = SoftLabelTrainer(
            load_base(job.model, job.settings, bf16=False),
            arguments,
            job.rows,
            processing_class=load_tokenizer(job.model),
            peft_config=lora_config(job.settings, job.settings.rank),
            settings=job.settings,
            replay=drawn if job.settings.replay_weight else None,
        )
        torch.manual_seed(1)
        for name, parameter in trainer.model.named_parameters():
            if "lora_" in name:
                parameter.data += 0.05 * torch.randn_like(parameter)
        traced, steps = _Trace(), list[TrainingStep]()
        trainer.add_callback(traced)
        run_training(trainer, steps.append)
    return np.stack(traced.gradients), steps


def main() -> None:
    for name in sys.argv[1:]:
        job = launch.AlignmentJob.model_validate_json(Path(name).read_text(encoding="utf-8"))
        gradients, _ = trace(job)
        if torch.distributed.get_rank() == 0:
            np.save(f"{name}.npy", gradients)


if __name__ == "__main__":
    main()
