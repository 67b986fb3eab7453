"""Backend for a transformers or PEFT model that is already loaded in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import cast

from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from plenary.errors import BackendError
from plenary.models.local.checkpoint_backend import CheckpointBackend
from plenary.models.local.checkpoints import LOAD_ERRORS, checkpoint_hash, load_tokenizer
from plenary.models.local.huggingface import (
    AdapterSwap,
    LocalBackend,
    load_model,
    probe_log_probs,
)
from plenary.models.settings import DEFAULTS, LocalSettings


class _Layers(AdapterSwap):
    """Weights that may be trained between two questions.

    They are read in evaluation mode, with the adapters that lie in them or without, as the view
    wants them each time.
    """

    def __init__(self, model: PreTrainedModel, *, adapted: bool) -> None:
        super().__init__(model)
        self._adapted = adapted

    @contextmanager
    def under(self, adapter: str | None) -> Iterator[None]:
        """Hold the model, its adapters' layers on or off, and leave it as it was found."""
        with super().under(adapter):
            layers = [m for m in self._model.modules() if isinstance(m, BaseTunerLayer)]
            found = [not layer.disable_adapters for layer in layers]
            training = self._model.training
            self._model.eval()
            try:
                for layer, on in zip(layers, found, strict=True):
                    if on != self._adapted:
                        layer.enable_adapters(self._adapted)
                yield
            finally:
                for layer, on in zip(layers, found, strict=True):
                    if on != self._adapted:
                        layer.enable_adapters(on)
                self._model.train(training)


class InMemoryBackend(LocalBackend):
    """A model in memory, with the adapter that it wears (a PEFT model) or as its bare weights.

    A bare model stays the bare one when a trainer puts an adapter into its weights, so that the
    same weights answer before and after. `weights`, `tokenizer`: what a trainer takes.
    """

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        tokenizer: PreTrainedTokenizerBase | None = None,
        *,
        name: str | None = None,
        settings: LocalSettings = DEFAULTS.local,
        day: date | None = None,
    ) -> None:
        worn = isinstance(model, PeftModel)
        weights = cast("PreTrainedModel", model.get_base_model() if worn else model)
        CheckpointBackend.__init__(self, tokenizer or _tokenizer_of(weights), day)
        self._hold(weights, settings)
        self._swap, self._merged = _Layers(weights, adapted=worn), None
        with self._swap.under(None):
            self.name = name or f"memory:{_digest(weights)}"
        self.name += self._renderer.manner
        self._weights, self._manner = self.name, ""

    @property
    def weights(self) -> PreTrainedModel:
        """The model without an adapter; one that a trainer put in is in its layers."""
        return self._model

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokenizer."""
        return self._tokenizer


def open_folder(
    folder: Path, adapter: Path | None, settings: LocalSettings, day: date | None = None
) -> InMemoryBackend:
    """A checkpoint read into memory, under an adapter merged into it if one is given."""
    name = f"local:{checkpoint_hash(folder)}" + (f"+{checkpoint_hash(adapter)}" if adapter else "")
    model = load_model(folder, adapter=adapter, settings=settings)
    return InMemoryBackend(model, load_tokenizer(folder), name=name, settings=settings, day=day)


def _digest(model: PreTrainedModel) -> str:
    """Hash of what the model says to a few tokens: the same weights have the same name."""
    said = probe_log_probs(model).cpu().numpy()
    return hashlib.blake2b(said.tobytes(), digest_size=8).hexdigest()


def _tokenizer_of(model: PreTrainedModel) -> PreTrainedTokenizerBase:
    """The tokenizer of the checkpoint that the weights were read from."""
    place = model.name_or_path
    try:
        return AutoTokenizer.from_pretrained(place, local_files_only=True, trust_remote_code=False)
    except LOAD_ERRORS as error:
        raise BackendError(
            f"no tokenizer for the model in memory was found at {place!r}; give it: "
            "pl.load_model(model, tokenizer=tokenizer)"
        ) from error
