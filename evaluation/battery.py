"""What every battery answers with: measures beside the value of a null chooser, and findings."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Item(NamedTuple):
    """One item of a mean: what it is about (one unit, or the two of a pair), and its value."""

    units: tuple[str, ...]
    value: float


class Measure(BaseModel):
    """One figure of a battery."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="what is measured, in a few words")
    value: float | None = Field(description="None where the answers do not allow it")
    low: float | None = Field(default=None, description="lower end of the interval")
    high: float | None = Field(default=None, description="upper end of the interval")
    interval: str = Field(default="", description="what the interval is, and its level")
    n: int = Field(ge=0, description="answered items that the value rests on")
    unit: str = Field(default="", description="unit; empty for a pure number")
    floor: float | None = Field(default=None, description="value of a null chooser")
    better: Literal["higher", "lower", "neither"] = Field(
        default="neither", description="which direction is better, if any"
    )
    note: str = Field(default="", description="what a reader must know to read it")
    items: tuple[Item, ...] = Field(
        default=(), description="of a mean over items that another model is asked alike, its parts"
    )


class Finding(NamedTuple):
    """One sentence, and whether the evidence that its stronger form asks for was there."""

    sentence: str
    shown: bool


def gated(evidence: bool, strong: str, weak: str) -> Finding:
    """The strong sentence if its evidence is there, else the weak one."""
    return Finding(strong if evidence else weak, evidence)


class BatteryResult(BaseModel):
    """The answers of one model to one battery."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    battery: str = Field(description="key in BATTERIES")
    title: str = Field(description="title of its section")
    definition: str = Field(description="what the figures mean and where they come from")
    model: str = Field(description="name of the backend")
    asked: int = Field(ge=0, description="answers asked for")
    invalid: int = Field(ge=0, description="refused, failed or unreadable among them")
    measures: tuple[Measure, ...]
    findings: tuple[Finding, ...]

    @property
    def tests(self) -> int:
        """Figures that can be held against a null value: those with an interval, and exact p's."""
        return sum(m.low is not None or m.unit.startswith("p,") for m in self.measures)
