"""The training run: targets in, a checked adapter folder out."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from alignment.adapter import (
    CONFIG,
    MANIFEST,
    WEIGHTS,
    base_fingerprint,
    check_adapter,
    save_adapter,
)
from alignment.encoding import encode_answers, encode_replay
from alignment.examples import Example, examples, training_frames
from alignment.objectives import OBJECTIVES
from alignment.settings import AlignmentSettings
from alignment.soft_sft import (
    OnStep,
    Replay,
    SoftSFTTrainer,
    TrainingStep,
    lora,
    run_training,
    training_arguments,
    without_dropout,
    without_library_warnings,
)
from plenary.chat.base import Conversation
from plenary.chat.local import LocalBackend, load_model, load_tokenizer
from plenary.chat.rendering import ChatRenderer
from plenary.errors import ConfigError, ConvergenceError, DataError
from plenary.preferences import Targets

EDGE = 10  # loss_first and loss_last average a tenth of the steps each: one batch alone is noise


class AlignmentResult(BaseModel):
    """What a training run did. Losses are answer cross-entropies in nats, lower is better."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    adapter: Path = Field(description="folder of the adapter")
    adapter_sha256: str = Field(description="sha256 of adapter_model.safetensors")
    base_sha256: str = Field(description="content hash of the base weights")
    objective: str = Field(description="training objective")
    rows: int = Field(description="training rows: pairs x frames x 2 orders")
    steps: int = Field(description="optimizer steps")
    parameters: int = Field(description="trained parameters")
    seconds: float = Field(description="wall time, loading included")
    loss_first: float = Field(description="mean loss of the first tenth of the steps")
    loss_last: float = Field(description="mean loss of the last tenth of the steps")
    loss_floor: float = Field(description="entropy of the targets: the loss of a perfect match")
    replay_kl_last: float = Field(description="KL(base || model) on replay text, nats, last tenth")
    mass_last: float = Field(description="mean probability of both labels together, last tenth")


class Material(NamedTuple):
    """What a run trains on, before any model is opened."""

    rows: list[Example]
    replay: Sequence[Conversation]


def align(
    model_path: Path,
    texts: Sequence[str],
    targets: Targets,
    settings: AlignmentSettings,
    output: Path,
    seed: int,
    on_step: OnStep | None = None,
    *,
    replay: Sequence[Conversation] = (),
) -> AlignmentResult:
    """Train a LoRA adapter for the checkpoint at `model_path` toward `targets` and save it.

    texts [K] are the outcomes that targets.pairs index. `replay` holds neutral conversations on
    which the model is kept where it is: on its next token when the last message is the user's, on
    every token of the last message when it is the assistant's. `output` appears whole or not at
    all; an adapter already there is replaced. The same inputs and seed give the same weights on one
    machine.
    """
    started = time.monotonic()
    material = _material(texts, targets, settings, replay)
    base_sha256 = base_fingerprint(model_path)
    with _staged(output) as folder, without_library_warnings():
        trainer = _trainer(model_path, material, settings, folder, seed)
        steps: list[TrainingStep] = []
        model = run_training(trainer, lambda step: _record(step, steps, on_step))
        manifest = save_adapter(model, folder, model_path, base_sha256, settings, seed)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return AlignmentResult(
        adapter=output,
        adapter_sha256=manifest.files[WEIGHTS],
        base_sha256=base_sha256,
        objective=settings.objective,
        rows=len(material.rows),
        steps=len(steps),
        parameters=trained,
        seconds=time.monotonic() - started,
        loss_floor=_entropy(material.rows),
        **_edges(steps),
    )


def open_aligned(model_path: Path, adapter: Path) -> LocalBackend:
    """The model with an adapter that `align` saved; DataError unless the two belong together."""
    check_adapter(adapter, model_path)
    with without_library_warnings():
        return LocalBackend(model_path, adapter=adapter)


def _material(
    texts: Sequence[str],
    targets: Targets,
    settings: AlignmentSettings,
    replay: Sequence[Conversation],
) -> Material:
    if settings.replay_weight > 0 and not replay:
        raise ConfigError(
            f"replay_weight is {settings.replay_weight!r} and there is no replay text; "
            "give `replay` or set it to 0"
        )
    shaped = OBJECTIVES[settings.objective](targets)
    return Material(examples(texts, shaped, training_frames(settings.frames)), replay)


def _trainer(
    model_path: Path, material: Material, settings: AlignmentSettings, folder: Path, seed: int
) -> SoftSFTTrainer:
    model, tokenizer = load_model(model_path), load_tokenizer(model_path)
    renderer = ChatRenderer(tokenizer)
    config = model.config.get_text_config()
    longest = getattr(config, "max_position_embeddings", None) or sys.maxsize
    rows = encode_answers(renderer, material.rows, longest)
    replay = None
    if settings.replay_weight > 0:
        encoded = encode_replay(renderer, material.replay, longest)
        replay = Replay(encoded, settings.replay_weight, settings.replay_rows, seed)
    return SoftSFTTrainer(
        model=without_dropout(model),
        tokenizer=tokenizer,
        rows=rows,
        replay=replay,
        args=training_arguments(settings, len(rows), folder, seed),
        peft_config=lora(settings),
    )


def _record(step: TrainingStep, steps: list[TrainingStep], on_step: OnStep | None) -> None:
    if not math.isfinite(step.loss + step.replay_kl):
        raise ConvergenceError(
            f"loss is {step.loss!r} at step {step.step}; lower alignment.learning_rate"
        )
    steps.append(step)
    if on_step is not None:
        on_step(step)


def _edges(steps: Sequence[TrainingStep]) -> dict[str, float]:
    tenth = max(1, len(steps) // EDGE)
    last = steps[-tenth:]
    return {
        "loss_first": float(np.mean([step.loss for step in steps[:tenth]])),
        "loss_last": float(np.mean([step.loss for step in last])),
        "replay_kl_last": float(np.mean([step.replay_kl for step in last])),
        "mass_last": float(np.mean([step.mass for step in last])),
    }


def _entropy(rows: Sequence[Example]) -> float:
    """Weighted mean entropy (nats) of the target distributions."""
    p = np.array([[row.p_first, 1 - row.p_first] for row in rows])
    weight = np.array([row.weight for row in rows])
    return float(-(weight[:, None] * p * np.log(np.where(p > 0, p, 1.0))).sum() / weight.sum())


@contextmanager
def _staged(output: Path) -> Iterator[Path]:
    """A folder beside `output` that takes its place when the block ends well, else vanishes."""
    if output.exists() and not _replaceable(output):
        raise DataError(f"{str(output)!r} exists and is no adapter; choose another output folder")
    folder = output.with_name(output.name + ".partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
        shutil.rmtree(output, ignore_errors=True)
        folder.replace(output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replaceable(output: Path) -> bool:
    ours = {MANIFEST, CONFIG, WEIGHTS}
    return output.is_dir() and {file.name for file in output.iterdir()} <= ours
