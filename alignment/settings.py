"""Settings of the stage that teaches a model the assembly's preferences."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class AlignmentSettings(BaseModel):
    """How a LoRA adapter is trained toward the assembly's choice distribution.

    Defaults suit the embedded model; for 1-8 B parameters start at a learning rate of 2e-4.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    objective: Literal["soft_sft", "sft"] = Field(
        default="soft_sft",
        description="soft_sft matches the vote shares, sft the majority's answer",
    )
    frames: tuple[str, ...] = Field(
        default=("plain",),
        min_length=1,
        description="question frames trained on; every pair is asked in each",
    )
    rank: int = Field(
        default=8, ge=1, description="LoRA rank on every linear layer but the output layer"
    )
    alpha: int = Field(
        default=16, ge=1, description="LoRA scale; the update is multiplied by alpha / rank"
    )
    learning_rate: float = Field(default=3e-3, gt=0, description="peak AdamW learning rate")
    warmup: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="share of the steps with rising learning rate; cosine decay after",
    )
    batch: int = Field(
        default=32, ge=1, description="rows a step; a row is one pair in one order and frame"
    )
    epochs: float = Field(default=2.0, gt=0, description="passes over the rows")
    replay_weight: float = Field(
        default=0.5,
        ge=0,
        description="weight of KL(base || model) on replay text, nats a position; 0 is off",
    )
    replay_rows: int = Field(default=8, ge=1, description="replay conversations a step")
