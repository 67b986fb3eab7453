"""Settings of the assembly stage: rounds, tables, condition, ballots, briefing, plenary."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ConditionName = Literal["none", "reflection", "deliberation"]
ProbeName = Literal["none", "false-majority", "vote-reveal", "no-persona", "shuffled-persona"]
RuleName = Literal[
    "weighted_share",
    "majority",
    "borda",
    "copeland",
    "schulze",
    "maximal_lotteries",
    "pooled_thurstonian",
    "multilevel_thurstonian",
    "group_informed_consensus",
    "maximin",
    "nash_welfare",
]
Durability = Literal["sync", "async", "exit"]


class AssemblySettings(BaseModel):
    """How the citizens meet, speak and vote. Every default is our choice, none is estimated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: int = Field(
        default=1, ge=0, description="discussion rounds; 0 asks again without discussion"
    )
    table_size: int = Field(default=6, ge=2, description="citizens per table, as equal as possible")
    tables_per_group: int = Field(
        default=1,
        ge=1,
        description="tables per group: seats rotate among them from round to round, and they share "
        "a plenary; groups hear nothing of one another and are the independent clusters",
    )
    speakers: int = Field(
        default=2, ge=1, description="speakers per table and round, those asked least often first"
    )
    block: int = Field(
        default=20, ge=1, description="pairs that a group discusses in one graph run"
    )
    statement_tokens: int = Field(
        default=24, ge=1, description="longest statement, in tokens of the model"
    )
    temperature: float = Field(default=0.5, ge=0, description="sampling temperature of statements")
    samples: int = Field(
        default=1,
        ge=1,
        description="answers per ballot if the model cannot give exact probabilities",
    )
    min_mass: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="label probability below which a ballot is invalid, where known; in a run this "
        "is another name for elicitation.min_mass",
    )
    max_unusable: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of ballots neither valid nor an abstention above which the run stops "
        "after the first block; changes no result",
    )
    abstain: bool = Field(default=False, description="offer 'No opinion' as a third answer")
    summary: Literal["extract", "model"] = Field(
        default="extract",
        description="how statements beyond the latest 6 are summarised: by their first clauses, or "
        "by one sentence per side from the model",
    )
    briefing: Literal["generated"] | Path | None = Field(
        default=None,
        description="arguments for both sides shown after the first ballot: a YAML or JSON file, "
        "or 'generated' by the model and reviewed by both sides",
    )
    plenary: bool = Field(
        default=False,
        description="a group's tables write a common statement, criticise and revise it",
    )
    follow_up: bool = Field(
        default=False, description="hold a third ballot, with only the gist of what was heard"
    )
    condition: ConditionName = Field(
        default="deliberation",
        description="hear others, think alone for as many tokens, or only be asked again",
    )
    probe: ProbeName = Field(
        default="none", description="a planted disturbance (placebo or manipulation check)"
    )
    max_prompt: int = Field(
        default=12_000,
        ge=1,
        description="characters that no prompt may exceed; checked before the start",
    )
    concurrency: int = Field(
        default=2, ge=1, description="groups x blocks in flight at once; changes no result"
    )
    durability: Durability = Field(
        default="sync", description="when the graph writes checkpoints; changes no result"
    )

    @model_validator(mode="after")
    def _reveal_without_arguments(self) -> Self:
        if self.probe == "vote-reveal" and self.condition != "none":
            raise ValueError(
                f"probe 'vote-reveal' shows votes without arguments, condition "
                f"{self.condition!r} has some; use condition 'none'"
            )
        return self


# May change when a ledger is resumed: none of these decides what is asked or recorded.
FREE = frozenset({"concurrency", "durability", "max_prompt", "max_unusable"})
