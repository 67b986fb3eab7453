"""Training a model toward what an assembly decided, with plenary's own settings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from alignment.training.settings import AlignmentSettings
from alignment.training.train import align as _align
from alignment.training.trainer import SoftLabelTrainer, TrainingStep
from assembly.hold import DecidedAssembly
from plenary.any_model import Model, load_model
from plenary.api.settings import chosen_settings
from plenary.errors import ConfigError
from plenary.models.base import Conversation
from plenary.results.progress import bar
from plenary.training_rows import training_templates

__all__ = ("SoftLabelTrainer", "align")


def align(
    model: object,
    decided: DecidedAssembly,
    output: str | Path,
    *,
    seed: int = 0,
    replay: Sequence[Conversation] = (),
    day: date | None = None,
    quiet: bool | None = None,
    **settings: object,
) -> Model:
    """Train a LoRA adapter toward an assembly's shares on the pairs to train on; the model with it.

    model: a checkpoint, as `load_model` takes it. output: the adapter's folder, which appears whole
    or not at all. replay: neutral conversations on which the model is kept where it is; none sets
    replay_weight to 0. settings: any other of AlignmentSettings, such as learning_rate (2e-4 for 1
    to 8 billion parameters), rank, epochs, objective.

    >>> import plenary as pl
    >>> trained = pl.align("embedded", result, "adapter", epochs=1)  # doctest: +SKIP
    >>> print(pl.compare("embedded", trained, result))  # doctest: +SKIP
    """
    base = load_model(model)
    if base.folder is None or base.adapter is not None:
        raise ConfigError(
            f"{base!r} is no checkpoint on this machine; give a folder or a hub's id, or train "
            "weights in memory with pl.SoftLabelTrainer"
        )
    if not replay:
        settings = {"replay_weight": 0.0, **settings}
    how = chosen_settings(AlignmentSettings, settings, "align")
    rows = decided.dataset.to_soft(training_templates(how.templates))
    place = Path(output)
    with bar("align", None, " steps", quiet=quiet) as made:

        def count(step: TrainingStep) -> None:
            made.total = step.steps
            made.update()

        _align(base.folder, rows, how, place, seed, count, replay=replay, day=day)
    return load_model(base.folder, adapter=place, day=day)
