"""The training record: loss, steps, rank, answer mass of a training, readable without torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TrainingRecord(BaseModel):
    """How the training went. Losses are the objective's, in nats, lower is better."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    adapter_sha256: str = Field(description="sha256 of adapter_model.safetensors")
    base_sha256: str = Field(description="content hash of the base weights")
    objective: str = Field(description="training objective")
    rows: int = Field(description="training rows: pairs x templates x 2 orders")
    steps: int = Field(description="optimizer steps")
    resumed_at: int = Field(
        description="steps taken before an interruption; 0: the run was not interrupted"
    )
    rank: int = Field(description="rank of the adapter")
    parameters: int = Field(description="trained parameters")
    trained_share: float = Field(description="trained parameters as a share of the whole model's")
    seconds: float = Field(description="wall time, loading included")
    loss_first: float = Field(description="mean loss of the first tenth of the steps")
    loss_last: float = Field(description="mean loss of the last tenth of the steps")
    loss_floor: float = Field(
        description="entropy of the answers trained on: the cross-entropy of a perfect match"
    )
    replay: str = Field(
        default="not recorded",
        description="source of the replay text on which the model was held to its base",
    )
    replay_kl_last: float = Field(description="KL(base || model) on replay text, nats, last tenth")
    mass_last: float = Field(
        description="mean probability of both labels together, last tenth; 1 is best"
    )
    validation_agreement: float | None = Field(
        description="best share of validation pairs on the assembly's side; null without patience"
    )
