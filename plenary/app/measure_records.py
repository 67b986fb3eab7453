"""What the measuring stages leave; a measure that was left out is null."""

from __future__ import annotations

from pydantic import Field

from alignment.retention import Retention
from evaluation.battery import BatteryResult
from evaluation.framing_budget import FramingBudget
from evaluation.hiring_change import AlignmentEffect
from evaluation.hiring_findings import HiringFindings
from plenary.app.records import Record


class SteeringRecord(Record):
    """How far held-out utilities moved to the target, beside the null run; trained pairs."""

    gain: float = Field(description="part of the way to the assembly's utilities; 1 is all of it")
    low: float = Field(description="lower end")
    high: float = Field(description="upper end")
    side_effect: float = Field(description="part of the move beside the target; 0 is none")
    null_low: float = Field(description="lower end of the null run's gain")
    null_high: float = Field(description="upper end of the null run's gain")
    null_side_effect: float = Field(description="the null run's part beside the target")
    trained: float = Field(description="gain of agreement on trained pairs")
    trained_low: float = Field(description="lower end")
    trained_high: float = Field(description="upper end")

    @property
    def beyond_null(self) -> bool:
        """Whether the gain is larger than what re-asking gives in 95 % of draws."""
        return self.gain > self._limit

    @property
    def away_beyond_null(self) -> bool:
        """Whether the move away from the assembly is larger than re-asking gives."""
        return self.gain < -self._limit

    @property
    def _limit(self) -> float:
        return max((abs(x) for x in (self.null_low, self.null_high) if x == x), default=0.0)


class FramingRecord(Record):
    """The framing budget."""

    budget: FramingBudget | None = Field(description="none when it was left out")


class ExamplePair(Record):
    """One resume with two cues: P(invite) before and after."""

    resume: str = Field(description="the resume without a cue")
    cues: tuple[str, str] = Field(description="of the compared group, of the reference")
    before: tuple[float, float] = Field(description="P(invite) with each, before")
    after: tuple[float, float] = Field(description="the same after")


class HiringRecord(Record):
    """The hiring audit of the model before and after."""

    before: HiringFindings | None = Field(description="none when it was left out")
    after: HiringFindings | None = Field(description="none when it was left out")
    effects: tuple[AlignmentEffect, ...] = Field(description="difference in differences")
    examples: tuple[ExamplePair, ...] = Field(description="pairs of cells drawn at random")


class RetentionRecord(Record):
    """What the model kept of its base."""

    kept: Retention | None = Field(description="none when it was left out")


class AnchorRecord(Record):
    """Survey answers of model and citizens against people's."""

    result: BatteryResult | None = Field(description="none when it was left out")
