"""Settings of the assembly stage."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AssemblySettings(BaseModel):
    """How the citizens meet, speak and vote. Every default is our choice, none is estimated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: int = Field(
        default=1, ge=0, description="discussion rounds; 0 re-asks without discussion"
    )
    table_size: int = Field(default=6, ge=2, description="citizens a table, as equal as they come")
    speakers: int = Field(
        default=2, ge=1, description="seats a table that speak in a round, rotating by pair"
    )
    block: int = Field(default=20, ge=1, description="pairs a table takes up in one graph run")
    statement_tokens: int = Field(
        default=24, ge=1, description="longest statement, in tokens of the model"
    )
    temperature: float = Field(default=0.5, ge=0, description="sampling temperature of statements")
    samples: int = Field(
        default=1,
        ge=1,
        description="answers a ballot where the model cannot give exact probabilities",
    )
    min_mass: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="label probability below which a ballot is invalid, where known",
    )
    concurrency: int = Field(
        default=2, ge=1, description="tables x blocks in flight at once; changes no result"
    )
