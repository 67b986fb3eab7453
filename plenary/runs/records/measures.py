"""Records of the measures before and after: gain, wording, hiring, retention, human anchor."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from alignment.retention.retention import Retention
from alignment.training.record import TrainingRecord
from evaluation.batteries.base import BatteryResult
from evaluation.consistency.wording_study import WordingStudy
from evaluation.hiring.change import AlignmentEffect
from evaluation.hiring.findings import HiringFindings
from plenary.runs import filenames
from plenary.runs.records.base import Record, read_record


class SteeringRecord(Record):
    """How far held-out utilities moved to the target, beside the test-retest; trained pairs."""

    gain: float = Field(description="part of the way to the assembly's utilities; 1 is all of it")
    low: float = Field(description="lower end")
    high: float = Field(description="upper end")
    side_effect: float = Field(description="part of the move beside the target; 0 is none")
    retest_low: float = Field(description="lower end of the test-retest's gain")
    retest_high: float = Field(description="upper end of the test-retest's gain")
    retest_side_effect: float = Field(description="the test-retest's part beside the target")
    trained: float = Field(description="gain of agreement on trained pairs")
    trained_low: float = Field(description="lower end")
    trained_high: float = Field(description="upper end")

    @property
    def beyond_retest(self) -> bool:
        """Whether the gain is larger than what re-asking gives in 95 % of draws."""
        return self.gain > self._limit

    @property
    def away_beyond_retest(self) -> bool:
        """Whether the move away from the assembly is larger than re-asking gives."""
        return self.gain < -self._limit

    @property
    def _limit(self) -> float:
        return max((abs(x) for x in (self.retest_low, self.retest_high) if x == x), default=0.0)


class WordingRecord(Record):
    """The wording study."""

    budget: WordingStudy | None = Field(description="none when it was left out")


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


HARNESS = "harness.json"


class ScoreRecord(Record):
    """One metric of one task; its sign is the task's."""

    task: str = Field(description="name of the task")
    metric: str = Field(description="lm_eval's name of the metric")
    before: float = Field(description="the base model")
    after: float = Field(description="the trained model")
    items: int | None = Field(description="items right or wrong on both; none for other metrics")
    change: float | None = Field(description="change of the share of right ones, paired")
    low: float | None = Field(description="lower one-sided 95 % bound of the change")
    high: float | None = Field(description="upper one-sided 95 % bound of the change")
    p_value: float | None = Field(description="exact McNemar, two-sided")
    supported: float | None = Field(
        description="smallest loss that so many items can rule out with power 0.8"
    )

    @property
    def told(self) -> str:
        """The paired change, where there is one."""
        if self.items is None or self.change is None:
            return "not by items"
        return (
            f"{self.change:+.3f} ({self.low:+.3f} to {self.high:+.3f}), n {self.items}, can rule "
            f"out {self.supported:.3f}"
        )


class HarnessRecord(Record):
    """lm_eval's tasks on a run's model with the adapter off and on."""

    adapter_sha256: str = Field(description="the adapter that was on")
    limit: int | None = Field(description="items a task; none is all")
    scores: tuple[ScoreRecord, ...] = Field(description="by task and metric")


def read_harness(run: Path) -> HarnessRecord | None:
    """The scores of a run; None where the tasks were not run on its present adapter."""
    if not (run / HARNESS).is_file():
        return None
    record = read_record(HarnessRecord, run / HARNESS)
    training = read_record(TrainingRecord, run / filenames.TRAINING)
    return record if record.adapter_sha256 == training.adapter_sha256 else None
