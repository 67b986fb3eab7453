"""The transformers backend: loading a causal language model; exact label probabilities."""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import numpy as np
import torch
import transformers
from peft import PeftModel
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from plenary.errors import BackendError
from plenary.models.base import Reply, Sampling
from plenary.models.local.activations import LocalInterior
from plenary.models.local.checkpoint_backend import CheckpointBackend
from plenary.models.local.checkpoints import (
    LOAD_ERRORS,
    checkpoint_folder,
    checkpoint_hash,
    load_tokenizer,
)
from plenary.models.local.forward import Forward
from plenary.models.local.prefix_batching import TokenRow
from plenary.models.settings import DEFAULTS, ChatSettings, LocalSettings
from plenary.preferences import FloatArray

# Tokens on which a merged adapter is tested, and how far its log-probabilities may be from those of
# the separate adapter: rounding in deep models, and a part of what the adapter changes.
PROBE, ROUNDING, SLACK = 16, 1e-3, 0.02


def load_model(
    path: str | Path,
    *,
    adapter: Path | None = None,
    settings: LocalSettings = DEFAULTS.local,
) -> PreTrainedModel:
    """A causal language model for evaluation, float32 unless `settings` say otherwise.

    The adapter is merged into float32 weights; with other weights, which would round it away, it
    stays in separate layers. BackendError if the merged model is not the one that was trained.
    """
    folder = checkpoint_folder(path, "model")
    transformers.utils.logging.disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            **_placement(settings),
        )
    except LOAD_ERRORS as error:
        raise BackendError(
            f"cannot load model {str(path)!r}: {error}; check the checkpoint and chat.local"
        ) from error
    if adapter is not None:
        exact = settings.dtype == "float32" and not settings.four_bit
        model = _adapted(model, checkpoint_folder(adapter, "adapter"), merge=exact)
    return model.eval()


def _placement(settings: LocalSettings) -> dict[str, object]:
    """Arguments of from_pretrained for precision and device."""
    kind = settings.device.partition(":")[0]
    if settings.four_bit and (kind == "cpu" or not find_spec("bitsandbytes")):
        raise BackendError(
            f"4-bit weights on device {settings.device!r} need a GPU and bitsandbytes; "
            "pip install bitsandbytes and set chat.local.device=cuda, or chat.local.four_bit=false"
        )
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if kind in there and not there[kind]():
        raise BackendError(
            f"no device {settings.device!r} on this machine; set chat.local.device=cpu"
        )
    dtype = getattr(torch, settings.dtype)
    placed: dict[str, object] = {"dtype": dtype}
    if settings.device != "cpu":
        # A single device is also given as a map, so that the weights are loaded directly onto it.
        placed["device_map"] = "auto" if settings.device == "auto" else {"": settings.device}
    if settings.four_bit:
        placed["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
        )
    return placed


@contextmanager
def _naming_kept() -> Iterator[None]:
    """Suppress peft's warnings about tied layers and about a name changed in transformers 5.24."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        # Tied layers are tested here, and refused.
        warnings.filterwarnings("ignore", ".*tie_word_embeddings", UserWarning)
        yield


def _no_adapter(adapter: Path, error: Exception) -> BackendError:
    return BackendError(
        f"cannot load adapter {str(adapter)!r}: {error}; was it made for this model?"
    )


def _adapted(model: PreTrainedModel, adapter: Path, *, merge: bool) -> PreTrainedModel:
    try:
        with _naming_kept():
            wrapped = PeftModel.from_pretrained(model, str(adapter), local_files_only=True).eval()
            return _merged(wrapped, adapter) if merge else cast("PreTrainedModel", wrapped.model)
    except LOAD_ERRORS as error:
        raise _no_adapter(adapter, error) from error


def _merged(wrapped: PeftModel, adapter: Path) -> PreTrainedModel:
    """The weights with the adapter merged; BackendError if merging changes the answers."""
    apart = probe_log_probs(wrapped)
    with wrapped.disable_adapter():
        effect = float((apart - probe_log_probs(wrapped)).abs().max())
    merged = cast("PreTrainedModel", wrapped.merge_and_unload())
    away = float((apart - probe_log_probs(merged)).abs().max())
    if not away <= max(ROUNDING, SLACK * effect):
        raise BackendError(
            f"adapter {str(adapter)!r} merged into the weights gives another model: "
            "log-probabilities "
            f"differ by up to {away:.2g}, as happens if it adapts layers that share their weights "
            "(tied "
            "embeddings); train one on other layers"
        )
    return merged


@torch.no_grad()
def probe_log_probs(model: nn.Module) -> torch.Tensor:
    """Log-probabilities [T, V] after tokens from all over the vocabulary, to compare models."""
    known = cast("PreTrainedModel", model)
    words = known.config.get_text_config().vocab_size
    ids = torch.linspace(0, words - 1, PROBE).long()[None].to(known.device)
    return model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(-1)


class AdapterSwap:
    """One model, with or without one of its adapters, locked during a computation."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._wrapped: PeftModel | None = None
        self._lock = threading.Lock()

    def add(self, adapter: Path) -> str:
        """Add an adapter's layers to the model; returns its name."""
        with self._lock, _naming_kept():
            name = checkpoint_hash(adapter)
            arguments = {"adapter_name": name, "local_files_only": True}
            try:
                if self._wrapped is None:
                    self._wrapped = PeftModel.from_pretrained(
                        self._model, str(adapter), **arguments
                    )
                elif name not in self._wrapped.peft_config:
                    self._wrapped.load_adapter(str(adapter), **arguments)
            except LOAD_ERRORS as error:
                raise _no_adapter(adapter, error) from error
            self._wrapped.eval()
            return name

    @contextmanager
    def under(self, adapter: str | None) -> Iterator[None]:
        """Lock the model with one adapter switched on, or with none."""
        with self._lock:
            if self._wrapped is None:
                yield
            elif adapter is None:
                with self._wrapped.disable_adapter():
                    yield
            else:
                self._wrapped.set_adapter(adapter)
                yield


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Token ids that end a reply, by the generation settings and the tokenizer."""
    stated = model.generation_config.eos_token_id if model.generation_config else None
    ends = [*(stated if isinstance(stated, list) else [stated]), tokenizer.eos_token_id]
    return {end for end in ends if isinstance(end, int)}


def _precision(settings: LocalSettings) -> str:
    """The settings that change answers, as part of a backend's name."""
    return (
        "/4bit" if settings.four_bit else {"float32": ""}.get(settings.dtype, f"/{settings.dtype}")
    )


class LocalBackend(CheckpointBackend):
    """A model on this machine: exact choices, replies drawn row by row from `Sampling.seed`.

    settings.batch_tokens: tokens computed together, without prefixes; a batch that fits a
    processor's cache is one and a half times as fast as one of 4,096 (measured on the shipped
    model). A batch that does not fit the memory is halved until it does.

    Conversations may come in any order: those that share a long token prefix are found, and the
    prefix is computed once. Control tokens of the tokenizer or template and outer white space are
    removed from message contents.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        adapter: Path | None = None,
        settings: LocalSettings = DEFAULTS.local,
        day: date | None = None,
    ) -> None:
        folder = checkpoint_folder(path, "model")
        super().__init__(load_tokenizer(folder), day)
        self._hold(load_model(folder, adapter=adapter, settings=settings), settings)
        self._swap = AdapterSwap(self._model)
        self._merged = adapter
        self._weights = f"local:{checkpoint_hash(folder)}"
        self._manner = f"{_precision(settings)}{self._renderer.manner}"
        self.name = self._named(adapter)

    def _hold(self, model: PreTrainedModel, settings: LocalSettings) -> None:
        """Read this model from now on."""
        self._ends = _end_tokens(model, self._tokenizer)
        pad = self._tokenizer.pad_token_id
        self._forward = Forward(model, pad if isinstance(pad, int) else 0, settings.batch_tokens)
        self._longest = (
            getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
        )
        self._model = model
        self._adapter: str | None = None

    def with_adapter(self, adapter: Path) -> LocalBackend:
        """The same weights with an adapter: both may be asked in turn, and nothing is loaded twice.

        Its layers stay separate from the weights, so answers differ from those of merged weights in
        the last bits; answers without the adapter do not change at all.
        """
        if self._merged is not None or self._adapter is not None:
            raise BackendError(f"{self.name!r} has an adapter already; open the plain model")
        other = copy.copy(self)
        other._adapter = self._swap.add(checkpoint_folder(adapter, "adapter"))
        other.name = self._named(adapter)
        return other

    @property
    def interior(self) -> LocalInterior:
        """Activations of the model, with the same adapter."""
        held = partial(self._swap.under, self._adapter)
        return LocalInterior(self._model, self._tokenizer, held, self._renderer)

    def _named(self, adapter: Path | None) -> str:
        return self._weights + (f"+{checkpoint_hash(adapter)}" if adapter else "") + self._manner

    def _label_log_probs(self, rows: Sequence[TokenRow], labels: Sequence[int]) -> FloatArray:
        with self._swap.under(self._adapter):
            return self._forward.label_log_probs(rows, labels)

    def _draw(
        self,
        rows: Sequence[TokenRow],
        ends: Sequence[int | None],
        streams: Sequence[np.random.Generator],
        sampling: Sampling,
    ) -> list[Reply]:
        drawn = [stream.random(sampling.max_tokens) for stream in streams]
        stops = self._ends | {end for end in ends if end is not None}
        with self._swap.under(self._adapter):
            tokens = self._forward.replies(
                rows,
                np.stack(drawn) if drawn else np.empty((0, sampling.max_tokens)),
                sampling.temperature,
                sorted(stops),
            )
        texts = self._tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [
            self._reply(row, text, ids) for row, text, ids in zip(rows, texts, tokens, strict=True)
        ]


def open_spec(
    rest: str, adapter: Path | None, base_url: str | None, settings: ChatSettings
) -> LocalBackend:
    """Open the backend behind local:PATH."""
    return LocalBackend(rest, adapter=adapter, settings=settings.local, day=settings.day)
