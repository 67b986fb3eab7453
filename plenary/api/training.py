"""Training a model toward what an assembly decided, or toward any rows with soft labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import cast

from alignment.training.settings import AlignmentSettings
from alignment.training.train import align as _align
from alignment.training.trainer import SoftLabelTrainer, TrainingStep
from assembly.hold import DecidedAssembly
from plenary.any_model import Model, load_model
from plenary.api.settings import chosen_settings
from plenary.errors import ConfigError
from plenary.models.base import Conversation
from plenary.results.progress import bar

__all__ = ("SoftLabelTrainer", "align")


def align(
    model: object,
    rows: object,
    output: str | Path,
    *,
    seed: int = 0,
    replay: Sequence[Conversation] = (),
    day: date | None = None,
    quiet: bool | None = None,
    **settings: object,
) -> Model:
    """Train a LoRA adapter toward rows, as a run does, and give the model with it.

    model: a checkpoint, as `load_model` takes it. rows: an assembly (its pairs to train on),
    `data["train"]`, or any rows with prompt, labels, target_p and weight. output: the adapter's
    folder, which appears whole or not at all; the same call gives the same weights. replay: neutral
    conversations on which the model is held to its base; without any, replay_weight is 0. settings:
    any other of AlignmentSettings, such as learning_rate (2e-4 for 1 to 8 billion parameters),
    rank, epochs, objective.

    >>> import plenary as pl
    >>> trained = pl.align("embedded", data["train"], "adapter", epochs=1)  # doctest: +SKIP
    >>> print(pl.compare("embedded", trained, data["held_out"]))  # doctest: +SKIP
    """
    base = load_model(model)
    if base.folder is None or base.adapter is not None:
        raise ConfigError(
            f"{base!r} is no checkpoint on this machine; give a folder or a hub's id, or train "
            "weights in memory with pl.SoftLabelTrainer"
        )
    if isinstance(rows, DecidedAssembly):
        rows = rows.to_dataset()["train"]
    if not isinstance(rows, Iterable):
        raise ConfigError(
            f"{type(rows).__name__} {str(rows)[:60]!r} holds no rows; give an assembly or "
            "data['train']"
        )
    if not replay:
        settings = {"replay_weight": 0.0, **settings}
    how, place = chosen_settings(AlignmentSettings, settings, "align"), Path(output)
    with bar("align", None, " steps", quiet=quiet) as made:

        def count(step: TrainingStep) -> None:
            made.total = step.steps
            made.update()

        some = cast("Iterable[Mapping[str, object]]", rows)
        _align(base.folder, some, how, place, seed, count, replay=replay, day=day)
    return load_model(base.folder, adapter=place, day=day)
