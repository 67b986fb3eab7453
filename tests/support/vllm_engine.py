"""What plenary/models/local/vllm.py uses of vLLM 0.33, over transformers: its counterpart in tests.

Names, defaults and refusals are those of vLLM's `LLM`, `SamplingParams` and `RequestOutput`; an
argument that vLLM does not know is a TypeError here as there. One prompt at a time, no batching.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


@dataclass
class SamplingParams:
    temperature: float = 1.0
    seed: int | None = None
    stop_token_ids: list[int] = field(default_factory=list)
    max_tokens: int = 16
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    logprob_token_ids: list[int] | None = None
    detokenize: bool = True
    allowed_token_ids: list[int] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"temperature must be in [0, 2], got {self.temperature}.")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {self.max_tokens}.")


@dataclass
class Logprob:
    logprob: float


@dataclass
class CompletionOutput:
    text: str
    token_ids: list[int]
    logprobs: list[dict[int, Logprob]] | None


@dataclass
class RequestOutput:
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]


class LLM:
    def __init__(
        self,
        model: str,
        *,
        dtype: str = "auto",
        tensor_parallel_size: int = 1,
        gpu_memory_utilization: float = 0.92,
        max_model_len: int | None = None,
        enable_prefix_caching: bool | None = None,
        logprobs_mode: str = "raw_logprobs",
        max_logprobs: int = 20,
        generation_config: str = "auto",
        load_format: str = "auto",
        trust_remote_code: bool = False,
        seed: int = 0,
    ) -> None:
        if dtype != "float32":
            raise ValueError(f"this engine computes in float32, not {dtype!r}")
        self._model = AutoModelForCausalLM.from_pretrained(Path(model), dtype=torch.float32).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(Path(model))
        own = self._model.config.get_text_config().max_position_embeddings
        if max_model_len is not None and max_model_len > own:
            raise ValueError(f"max_model_len {max_model_len} is greater than {own}")
        self.model_config = SimpleNamespace(max_model_len=max_model_len or own)
        self._max_logprobs = max_logprobs
        self.asked: list[SamplingParams] = []

    def generate(
        self,
        prompts: Sequence[Mapping[str, list[int]]],
        sampling_params: SamplingParams | Sequence[SamplingParams],
        *,
        use_tqdm: bool = True,
    ) -> list[RequestOutput]:
        each = (
            [sampling_params] * len(prompts)
            if isinstance(sampling_params, SamplingParams)
            else list(sampling_params)
        )
        self.asked += each
        return [
            self._answer(prompt["prompt_token_ids"], parameters)
            for prompt, parameters in zip(prompts, each, strict=True)
        ]

    def _answer(self, prompt: list[int], parameters: SamplingParams) -> RequestOutput:
        self._check(prompt, parameters)
        draws = torch.Generator().manual_seed(parameters.seed or 0)
        made: list[int] = []
        places: list[dict[int, Logprob]] = []
        ends = {self._tokenizer.eos_token_id, *parameters.stop_token_ids}
        while len(made) < parameters.max_tokens and not (made and made[-1] in ends):
            with torch.inference_mode():
                logits = self._model(torch.tensor([prompt + made])).logits[0, -1].float()
            made.append(self._sampled(logits, parameters, draws))
            if parameters.logprobs is not None:
                wanted = {made[-1], *(parameters.logprob_token_ids or ())}
                raw = logits.log_softmax(-1)
                places.append({token: Logprob(float(raw[token])) for token in wanted})
        text = self._tokenizer.decode(made, skip_special_tokens=True)
        logprobs = places if parameters.logprobs is not None else None
        return RequestOutput(
            prompt,
            [CompletionOutput(text if parameters.detokenize else "", made, logprobs)],
        )

    def _check(self, prompt: list[int], parameters: SamplingParams) -> None:
        if not prompt or not all(type(token) is int for token in prompt):
            raise ValueError("prompt_token_ids must be a list of int that is not empty")
        if len(prompt) >= self.model_config.max_model_len:
            raise ValueError(f"The prompt (length {len(prompt)}) is longer than the maximum")
        wanted = parameters.logprob_token_ids
        if wanted is not None and parameters.logprobs not in (None, len(wanted)):
            raise ValueError("logprobs must equal len(logprob_token_ids)")
        if (parameters.logprobs or 0) > self._max_logprobs:
            raise ValueError(f"Requested sample logprobs of {parameters.logprobs}")

    @staticmethod
    def _sampled(logits: torch.Tensor, parameters: SamplingParams, draws: torch.Generator) -> int:
        if parameters.temperature < 1e-5:
            return int(logits.argmax())
        shares = torch.softmax(logits / parameters.temperature, -1)
        return int(torch.multinomial(shares, 1, generator=draws))


def install(patch: pytest.MonkeyPatch, **changed: object) -> None:
    """Put this engine where `import vllm` finds it, some of its names changed."""
    module = ModuleType("vllm")
    vars(module).update({"LLM": LLM, "SamplingParams": SamplingParams, **changed})
    patch.setitem(sys.modules, "vllm", module)
