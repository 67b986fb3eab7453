"""Settings of backends: device and precision of local models, timeouts and limits of endpoints."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LocalSettings(BaseModel):
    """A model on this machine. Ballots that are to repeat to the last bit keep every default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = Field(
        default="cpu",
        pattern=r"^(cpu|cuda(:\d+)?|mps|auto)$",
        description="cpu, cuda, cuda:N, mps, or auto: layers spread over what there is",
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
        description="tokens computed together; a GPU wants 16,384 or more, a small cache 1,024",
    )


class VllmSettings(BaseModel):
    """A model under vLLM's engine in this process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="precision; auto: that of the checkpoint, but 16 bits for 32"
    )
    devices: int = Field(default=1, ge=1, description="GPUs over which each layer is spread")
    memory: float = Field(
        default=0.9, gt=0, le=1, description="share of a GPU's memory that the engine takes"
    )
    longest: int | None = Field(
        default=None, ge=1, description="longest prompt and answer, tokens; none is the model's own"
    )


class EndpointSettings(BaseModel):
    """An endpoint reached through LangChain; its retries are ours and count toward the budget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrency: int = Field(default=16, ge=1, description="calls in flight at once")
    timeout: float = Field(default=60.0, gt=0, description="seconds until a call has failed")
    retries: int = Field(default=4, ge=0, description="further tries of a call, after a wait")
    answer_tokens: int = Field(
        default=256, ge=1, description="longest sampled answer, tokens; one cut short is invalid"
    )
    reasoning_tokens: int = Field(
        default=0,
        ge=0,
        description="room of a model that thinks first, tokens, on top of those of answer or text",
    )
    reasoning: Literal["none", "minimal", "low", "medium", "high"] | None = Field(
        default=None,
        description="how much a thinking model thinks, where its provider takes that as a word; "
        "unset leaves it to the provider",
    )
    calls_per_second: float | None = Field(
        default=None, gt=0, description="most calls a second of this process; none is no limit"
    )


class ChatSettings(BaseModel):
    """Settings of each kind of backend."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    local: LocalSettings = LocalSettings()
    endpoint: EndpointSettings = EndpointSettings()
    vllm: VllmSettings = VllmSettings()
    day: date | None = Field(
        default=None,
        description="what chat templates that print today's date print instead; none is the day "
        "on which the run was made, or, of a command without a run, today",
    )


DEFAULTS = ChatSettings()
