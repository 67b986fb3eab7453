"""`align`, the training run: rows in, a checked LoRA adapter folder out."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from accelerate import PartialState
from pydantic import Field
from torch import Tensor

from alignment.training.adapter import (
    CONFIG,
    MANIFEST,
    WEIGHTS,
    AdapterManifest,
    base_fingerprint,
    check_adapter,
    read_manifest,
    save_adapter,
)
from alignment.training.batches import encode_replay
from alignment.training.checkpoints import MarkWhole, close_work, open_work, work_folder
from alignment.training.lora import (
    check_targets,
    chosen_rank,
    load_base,
    lora_config,
    naming_layers,
)
from alignment.training.objectives import OBJECTIVES
from alignment.training.record import TrainingRecord
from alignment.training.settings import AlignmentSettings
from alignment.training.trainer import (
    OnStep,
    Replay,
    SoftLabelTrainer,
    TrainingStep,
    in_bf16,
    longest_input,
    run_training,
    training_arguments,
    without_library_warnings,
)
from plenary.errors import ConfigError, ConvergenceError, DataError
from plenary.models.base import Conversation
from plenary.models.local.chat_template import ChatRenderer
from plenary.models.local.checkpoints import load_tokenizer
from plenary.models.local.huggingface import LocalBackend
from plenary.seeding import generator
from plenary.training_rows import SoftRow, checked_rows, pair_places

PARTIAL = ".partial"  # of a folder that is being written
EDGE = 10  # loss_first and loss_last average a tenth of the steps each: a single batch is too noisy


class AlignmentResult(TrainingRecord):
    """What a training run did, and the folder of its adapter."""

    adapter: Path = Field(description="folder of the adapter")


class TrainingMaterial(NamedTuple):
    """What a run trains on, before any model is opened."""

    rows: list[SoftRow]
    validation: list[SoftRow]
    replay: Sequence[Conversation]
    day: date | None

    def fingerprint(self, base: str, settings: AlignmentSettings, seed: int) -> str:
        """Hash of all that the adapter depends on."""
        told = [self.rows, self.validation, list(self.replay), str(self.day)]
        everything = [base, settings.model_dump(mode="json"), seed, *told]
        return hashlib.sha256(json.dumps(everything).encode()).hexdigest()


class Trained(NamedTuple):
    """What training returns besides the adapter's files."""

    manifest: AdapterManifest
    steps: list[TrainingStep]
    resumed_at: int
    rank: int
    parameters: int
    total: int
    validation_agreement: float | None


def align(
    model_path: Path,
    rows: Iterable[Mapping[str, object]],
    settings: AlignmentSettings,
    output: Path,
    seed: int,
    on_step: OnStep | None = None,
    *,
    replay: Sequence[Conversation] = (),
    day: date | None = None,
) -> AlignmentResult:
    """Train a LoRA adapter for the checkpoint at `model_path` toward `rows` and save it.

    rows: any dataset with the columns of `SoftRow`. `replay` holds neutral conversations on
    which the model is held to its base: on the next token if the last message is the user's, on
    every token of the last message if it is the assistant's. `day` is the date given to a chat
    template that prints today's. `output` appears complete or not at all; an adapter already there
    is replaced. The same inputs and seed give the same weights on one machine. With
    `checkpoint_every`, a killed run resumes from its last checkpoint if called again with the same
    arguments. Under `accelerate launch` every process calls this.
    """
    started = time.monotonic()
    material = _material(checked_rows(rows), settings, replay, day, seed)
    trained = _train(model_path, material, settings, output, seed, on_step)
    return AlignmentResult(
        adapter=output,
        adapter_sha256=trained.manifest.files[WEIGHTS],
        base_sha256=trained.manifest.base_sha256,
        objective=settings.objective,
        rows=len(material.rows),
        steps=len(trained.steps),
        resumed_at=trained.resumed_at,
        rank=trained.rank,
        parameters=trained.parameters,
        trained_share=trained.parameters / trained.total,
        seconds=time.monotonic() - started,
        loss_floor=_entropy(material.rows),
        replay=f"{len(replay)} texts that the caller gave" if replay else "none",
        validation_agreement=trained.validation_agreement,
        **_edges(trained.steps),
    )


def _train(
    model_path: Path,
    material: TrainingMaterial,
    settings: AlignmentSettings,
    output: Path,
    seed: int,
    on_step: OnStep | None,
) -> Trained:
    base, work = base_fingerprint(model_path), work_folder(output)
    with without_library_warnings():
        check_targets(model_path, settings)
        rank = chosen_rank(model_path, settings)
    with _closing(work, settings), _staged(output) as folder, without_library_warnings():
        with PartialState().main_process_first():
            before = open_work(work, material.fingerprint(base, settings, seed))
        steps = before.steps
        resumed_at = len(steps)
        trainer = _trainer(model_path, material, settings, rank, work, seed)
        trainer.add_callback(MarkWhole(steps))
        model = run_training(trainer, lambda step: _record(step, steps, on_step), before.checkpoint)
        weights = cast("dict[str, Tensor]", trainer.accelerator.get_state_dict(trainer.model))
        if _is_first_process():
            save_adapter(model, folder, model_path, base, settings, seed, weights)
    trainer.accelerator.wait_for_everyone()
    return Trained(
        read_manifest(output),
        steps,
        resumed_at,
        rank,
        sum(p.numel() for p in model.parameters() if p.requires_grad),
        model.num_parameters(),
        trainer.state.best_metric if settings.patience else None,
    )


def open_aligned(model_path: Path, adapter: Path) -> LocalBackend:
    """Open a model with an adapter that `align` saved; DataError unless the two belong together."""
    check_adapter(adapter, model_path)
    with without_library_warnings():
        return LocalBackend(model_path, adapter=adapter)


def before_and_after(
    model_path: Path, adapter: Path, day: date | None = None
) -> tuple[LocalBackend, LocalBackend]:
    """The model without and with its adapter, on one set of weights."""
    check_adapter(adapter, model_path)
    with without_library_warnings():
        before = LocalBackend(model_path, day=day)
        return before, before.with_adapter(adapter)


def _material(
    rows: Sequence[SoftRow],
    settings: AlignmentSettings,
    replay: Sequence[Conversation],
    day: date | None,
    seed: int,
) -> TrainingMaterial:
    if settings.replay_weight > 0 and not replay:
        raise ConfigError(
            f"replay_weight is {settings.replay_weight!r} but there is no replay text; "
            "give `replay` or set it to 0"
        )
    kept = _validation_rows(rows, settings, seed)
    shaped = OBJECTIVES[settings.objective].shape(rows, generator(seed, "alignment", "answers"))
    return TrainingMaterial(
        [row for row, out in zip(shaped, kept, strict=True) if row["weight"] and not out],
        [row for row, out in zip(rows, kept, strict=True) if row["weight"] and out],
        replay,
        day,
    )


def _validation_rows(rows: Sequence[SoftRow], settings: AlignmentSettings, seed: int) -> list[bool]:
    """Which rows decide when to stop: those of pairs drawn from those with a majority."""
    if not settings.patience:
        return [False] * len(rows)
    places = pair_places(rows)
    able = np.unique([
        place
        for row, place in zip(rows, places.tolist(), strict=True)
        if row["weight"] and row["target_p"] != 0.5
    ])  # fmt: skip
    count = round(settings.validation * len(able))
    if not 0 < count < len(able):
        raise ConfigError(
            f"validation {settings.validation!r} of {len(able)!r} pairs is {count!r}; "
            "change it, or set patience to 0"
        )
    rng = generator(seed, "alignment", "validation")
    return np.isin(places, rng.choice(able, size=count, replace=False)).tolist()


def _trainer(
    model_path: Path,
    material: TrainingMaterial,
    settings: AlignmentSettings,
    rank: int,
    work: Path,
    seed: int,
) -> SoftLabelTrainer:
    tokenizer = load_tokenizer(model_path)
    model = load_base(model_path, settings, bf16=in_bf16(settings))
    replay = None
    if settings.replay_weight > 0:
        renderer = ChatRenderer(tokenizer, material.day)
        encoded = encode_replay(renderer, material.replay, longest_input(model))
        replay = Replay(encoded, settings.replay_weight, settings.replay_rows, seed)
    adapter = lora_config(settings, rank)
    with naming_layers(adapter):
        return SoftLabelTrainer(
            model,
            training_arguments(settings, len(material.rows), work, seed),
            material.rows,
            material.validation,
            processing_class=tokenizer,
            peft_config=adapter,
            settings=settings,
            replay=replay,
            day=material.day,
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


def _entropy(rows: Sequence[SoftRow]) -> float:
    """Weighted mean entropy (nats) of the target distributions."""
    p = np.array([[row["target_p"], 1 - row["target_p"]] for row in rows])
    weight = np.array([row["weight"] for row in rows])
    return float(-(weight[:, None] * p * np.log(np.where(p > 0, p, 1.0))).sum() / weight.sum())


def _is_first_process() -> bool:
    """Whether this process writes files; launchers give each process its number."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def _closing(work: Path, settings: AlignmentSettings) -> Iterator[None]:
    """Delete the work folder at the end, unless its checkpoints let an interrupted run resume."""
    try:
        yield
    except ConvergenceError:
        close_work(work, keep_logs=False)
        raise
    except BaseException:
        if not settings.checkpoint_every:
            close_work(work, keep_logs=False)
        raise
    if _is_first_process():
        close_work(work, keep_logs=settings.report_to != "none")


@contextmanager
def _staged(output: Path) -> Iterator[Path]:
    """A folder next to `output` that replaces it if the block succeeds, else is deleted."""
    if output.exists() and not _replaceable(output):
        raise DataError(
            f"{str(output)!r} exists and is not an adapter; choose another output folder"
        )
    folder = output.with_name(output.name + PARTIAL)
    if not _is_first_process():
        yield folder
        return
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
