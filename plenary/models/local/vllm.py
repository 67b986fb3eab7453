"""The vLLM backend: a checkpoint run by vLLM's engine in this process, without a server.

The engine is asked for the log-probabilities of the label tokens themselves
(`SamplingParams.logprob_token_ids`), taken over the whole vocabulary before anything is masked or
scaled. So `mass` means the same as with a local: model, and no label is missed because it is not
among the most probable tokens. The answer is not restricted (`allowed_token_ids`), because then its
mass could not be read.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np

from plenary.errors import BackendError, ConfigError
from plenary.models.base import Reply, Sampling, check_replies
from plenary.models.local.checkpoint_backend import CheckpointBackend
from plenary.models.local.checkpoints import checkpoint_folder, checkpoint_hash, load_tokenizer
from plenary.models.local.prefix_batching import TokenRow
from plenary.models.settings import DEFAULTS, ChatSettings, VllmSettings
from plenary.preferences import FloatArray

SEEDS = 2**31
MOST_LABELS = 128


class _LogProb(Protocol):
    logprob: float


class _Completion(Protocol):
    text: str
    token_ids: Sequence[int]
    logprobs: Sequence[dict[int, _LogProb]] | None


class _Output(Protocol):
    outputs: Sequence[_Completion]


def _vllm() -> ModuleType:
    # vLLM takes many seconds to import and is rarely installed.
    try:
        return importlib.import_module("vllm")
    except ImportError as error:
        raise ConfigError(
            f"vllm: models need vLLM ({error}); see docs/how_to/gpu.md, or serve the model and use "
            "langchain:openai:NAME with base_url"
        ) from error


class VllmBackend(CheckpointBackend):
    """A model run by vLLM: exact choices, and replies drawn by the engine from one seed per prompt.

    The engine batches prompts as they come, so the last digits of answers may vary from run to run.
    """

    def __init__(
        self, path: str | Path, settings: VllmSettings = DEFAULTS.vllm, *, day: date | None = None
    ) -> None:
        folder = checkpoint_folder(path, "model")
        self._vllm = _vllm()
        super().__init__(load_tokenizer(folder), day)
        # Only one batch at a time may be given to an engine.
        self._lock = threading.Lock()
        try:
            self._engine = self._vllm.LLM(
                model=str(folder),
                dtype=settings.dtype,
                tensor_parallel_size=settings.devices,
                gpu_memory_utilization=settings.memory,
                max_model_len=settings.longest,
                enable_prefix_caching=True,
                logprobs_mode="raw_logprobs",
                max_logprobs=MOST_LABELS,
                generation_config="vllm",
                load_format="safetensors",
                trust_remote_code=False,
                seed=0,
            )
        except (ValueError, RuntimeError, OSError) as error:
            raise BackendError(
                f"vLLM cannot open {str(path)!r}: {error}; check the checkpoint and chat.vllm"
            ) from error
        self._longest: int = self._engine.model_config.max_model_len
        self.name = f"vllm:{checkpoint_hash(folder)}/{settings.dtype}{self._renderer.manner}"

    def _label_log_probs(self, rows: Sequence[TokenRow], labels: Sequence[int]) -> FloatArray:
        tokens = sorted(set(labels))
        outputs = self._ask(
            rows,
            self._parameters(
                max_tokens=1,
                temperature=0.0,
                logprobs=len(tokens),
                logprob_token_ids=tokens,
                detokenize=False,
            ),
        )
        return np.array([[_log_prob(output, token) for token in labels] for output in outputs])

    def _draw(
        self,
        rows: Sequence[TokenRow],
        ends: Sequence[int | None],
        streams: Sequence[np.random.Generator],
        sampling: Sampling,
    ) -> list[Reply]:
        parameters = [
            self._parameters(
                max_tokens=sampling.max_tokens,
                temperature=sampling.temperature,
                seed=int(stream.integers(SEEDS)),
                stop_token_ids=[] if end is None else [end],
            )
            for stream, end in zip(streams, ends, strict=True)
        ]
        outputs = self._ask(rows, parameters)
        return [self._drawn(row, output) for row, output in zip(rows, outputs, strict=True)]

    def _drawn(self, row: TokenRow, output: _Output) -> Reply:
        if not output.outputs:
            return Reply(None, "failed: the engine gave no reply", len(row))
        made = output.outputs[0]
        return self._reply(row, made.text, made.token_ids)

    def _parameters(self, **values: object) -> object:
        try:
            return self._vllm.SamplingParams(**values)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"vLLM refuses the parameters {values!r}: {error}; install vLLM 0.33 or later, or "
                "change them"
            ) from error

    def _ask(self, rows: Sequence[TokenRow], parameters: object) -> list[_Output]:
        prompts = [{"prompt_token_ids": row.tolist()} for row in rows]
        if not prompts:
            return []
        try:
            with self._lock:
                outputs = self._engine.generate(prompts, parameters, use_tqdm=False)
        except (ValueError, RuntimeError) as error:
            raise BackendError(
                f"vLLM failed on {len(prompts)} prompts: {error}; lower chat.vllm.memory or "
                "chat.vllm.longest, or ask fewer at once"
            ) from error
        check_replies(self.name, len(prompts), len(outputs))
        return outputs


def _log_prob(output: _Output, token: int) -> float:
    """Log-probability of a token at the first position; NaN if the engine did not give it."""
    places = output.outputs[0].logprobs if output.outputs else None
    found = places[0].get(token) if places else None
    return np.nan if found is None else found.logprob


def open_spec(
    rest: str, adapter: Path | None, base_url: str | None, settings: ChatSettings
) -> VllmBackend:
    """Open the backend behind vllm:PATH."""
    return VllmBackend(rest, settings.vllm, day=settings.day)
