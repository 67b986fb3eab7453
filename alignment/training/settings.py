"""Settings of the alignment stage: objective, LoRA, learning rate, batch, replay, checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class AlignmentSettings(BaseModel):
    """How a LoRA adapter is trained toward the assembly's choice distribution.

    Defaults suit the embedded model (measured). For 1-8 B parameters start at a learning rate of
    2e-4 with rank 16, alpha 32 and 3 epochs (usual for LoRA, not measured here);
    docs/tutorial/align_a_model.md has more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    objective: Literal["soft_sft", "sft", "sft_sampled", "dpo", "ipo"] = Field(
        default="soft_sft",
        description="soft_sft matches the vote shares; sft takes the majority's answer, "
        "sft_sampled one drawn from the shares; dpo and ipo prefer the majority's answer, "
        "contested pairs weighing less",
    )
    beta: float = Field(
        default=0.1,
        gt=0,
        description="dpo and ipo: how strongly the model is held to its base (beta, tau)",
    )
    templates: tuple[str, ...] = Field(
        default=("plain",),
        min_length=1,
        description="question templates trained on; every pair is asked in each",
    )
    variant: Literal["lora", "rslora", "dora", "qlora"] = Field(
        default="lora",
        description="lora; rslora scales by alpha / sqrt(rank); dora trains magnitudes and "
        "directions separately; qlora is lora on a base in 4 bits and needs bitsandbytes",
    )
    rank: int = Field(
        default=8,
        ge=1,
        description="rank of the adapter's two factors; 8 suits the embedded model, where 2 makes "
        "most of the move; start at 16 for 1-8 B parameters",
    )
    trainable_fraction: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="if set, the rank is the largest that trains at most this share of the model's "
        "parameters, and `rank` is not used",
    )
    alpha: int = Field(
        default=16, ge=1, description="LoRA scale; the update is multiplied by alpha / rank"
    )
    targets: tuple[str, ...] = Field(
        default=("all-linear",),
        min_length=1,
        description="names of the adapted layers; all-linear is all but the output layer",
    )
    precision: Literal["auto", "float32", "bf16"] = Field(
        default="auto", description="auto is bf16 on a GPU that supports it, else float32"
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="less memory, about a fifth more time, the same result",
    )
    learning_rate: float = Field(
        default=3e-3,
        gt=0,
        description="peak AdamW learning rate; 0.003 suits the embedded model, start at 0.0002 for "
        "1-8 B parameters",
    )
    warmup: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="share of the steps with rising learning rate; cosine decay after",
    )
    batch: int = Field(
        default=32,
        ge=1,
        description="rows per step over all processes; a row is one pair in one order and template",
    )
    micro_batch: int | None = Field(
        default=None,
        ge=1,
        description="most rows computed together in one process; gradients add up to those of "
        "`batch` rows in any case; by default all at once",
    )
    epochs: float = Field(
        default=2.0,
        gt=0,
        description="passes over the rows; 3 to 6 for about 100 pairs, fewer for more pairs",
    )
    replay_weight: float = Field(
        default=0.5,
        ge=0,
        description="weight of KL(base || model) on replay text, nats per position; 0 is off",
    )
    replay: Path | None = Field(
        default=None,
        description="text on which the model is held to its base: .jsonl of conversations "
        "(messages, prompt and completion, or text) or .txt with one text per line; by default "
        "what the model itself says to neutral prompts before training, or, for the shipped model, "
        "dialogues made for it",
    )
    replay_rows: int = Field(default=8, ge=1, description="replay conversations per step")
    rest_weight: float = Field(
        default=0.0,
        ge=0,
        description="weight of KL(base || model) at the answer, with both labels merged into "
        "one word: preserves everything but the preference; 0 is off",
    )
    checkpoint_every: int = Field(
        default=0,
        ge=0,
        description="steps between checkpoints, from which a killed run resumes; 0 writes none",
    )
    patience: int = Field(
        default=0,
        ge=0,
        description="checkpoints without better agreement on the validation pairs before training "
        "stops; the best one is kept; 0 trains to the end on all pairs",
    )
    validation: float = Field(
        default=0.15,
        gt=0,
        lt=1,
        description="share of the pairs kept for validation when patience is above 0; their "
        "outcomes are in training pairs, too, so this agreement is not a held-out figure",
    )
    report_to: Literal["none", "tensorboard"] = Field(
        default="none", description="where each step's measurements are sent, besides the result"
    )

    @property
    def told(self) -> Self:
        """The settings for publication, with only the name of the replay file."""
        name = None if self.replay is None else Path(self.replay.name)
        return self.model_copy(update={"replay": name})

    @model_validator(mode="after")
    def _patience_needs_checkpoints(self) -> Self:
        if self.patience and not self.checkpoint_every:
            raise ValueError(
                f"patience is {self.patience} and checkpoint_every 0; set the steps between them"
            )
        return self
