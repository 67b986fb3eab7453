"""Settings of backends: device and precision of local models, timeouts and limits of endpoints."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LocalSettings(BaseModel):
    """A local model. Keep all defaults if ballots should repeat to the last bit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = Field(
        default="cpu",
        pattern=r"^(cpu|cuda(:\d+)?|mps|auto)$",
        description="cpu, cuda, cuda:N, mps, or auto: layers distributed over all devices",
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="precision of weights and activations"
    )
    four_bit: bool = Field(
        default=False, description="weights in 4 bits (NF4); needs bitsandbytes and a GPU"
    )
    batch_tokens: int = Field(
        default=1024,
        ge=1,
        description="tokens computed together; 16,384 or more for a GPU, 1,024 for a small cache",
    )


class VllmSettings(BaseModel):
    """A model run by vLLM's engine in this process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="precision; auto: that of the checkpoint, but 16 bits instead of 32",
    )
    devices: int = Field(
        default=1, ge=1, description="number of GPUs over which each layer is distributed"
    )
    memory: float = Field(
        default=0.9, gt=0, le=1, description="share of a GPU's memory that the engine takes"
    )
    longest: int | None = Field(
        default=None,
        ge=1,
        description="longest prompt and answer, tokens; none: the model's own limit",
    )


class EndpointSettings(BaseModel):
    """An endpoint reached through LangChain; retries are made by plenary, within the budget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrency: int = Field(default=16, ge=1, description="calls in flight at once")
    timeout: float = Field(default=60.0, gt=0, description="seconds until a call has failed")
    retries: int = Field(
        default=4, ge=0, description="how often a failed call is repeated, after a wait"
    )
    answer_tokens: int = Field(
        default=256,
        ge=1,
        description="longest sampled answer, tokens; an answer that is cut off is invalid",
    )
    reasoning_tokens: int = Field(
        default=0,
        ge=0,
        description="tokens for a model's reasoning, in addition to those of answer or text",
    )
    reasoning: Literal["none", "minimal", "low", "medium", "high"] | None = Field(
        default=None,
        description="reasoning effort of a reasoning model, if its provider has that parameter; "
        "unset leaves it to the provider",
    )
    calls_per_second: float | None = Field(
        default=None, gt=0, description="most calls per second of this process; none: no limit"
    )


class ChatSettings(BaseModel):
    """Settings of each kind of backend."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    local: LocalSettings = LocalSettings()
    endpoint: EndpointSettings = EndpointSettings()
    vllm: VllmSettings = VllmSettings()
    day: date | None = Field(
        default=None,
        description="date that chat templates print instead of today's; none: the day on which "
        "the run was made, or today for a command without a run",
    )


DEFAULTS = ChatSettings()
