"""The Persona (a simulated citizen, taken from one survey record) and the Panel of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from plenary.errors import DataError
from plenary.preferences import FloatArray

UNASKED = "; None where the question does not apply"
UNKNOWN = "; None where the survey does not tell"


class Attitude(BaseModel):
    """A drawn answer to a survey item: a prior, not the record's own answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: str = Field(description="item of the survey")
    about: str = Field(description="what is asked about")
    answer: str = Field(description="the drawn answer")
    source: str = Field(min_length=1, description="survey whose shares it was drawn from")


class Persona(BaseModel):
    """One citizen: a real survey record under an invented name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, description="identifier inside the panel, c001 onwards")
    row_id: int = Field(ge=0, description="row of the census snapshot")
    weight: float = Field(
        gt=0, description="design weight: persons that the survey record represents"
    )
    inclusion: float = Field(gt=0, le=1, description="probability that the draw selects the record")
    inclusion_kind: Literal["exact", "estimated"] = Field(
        default="exact", description="whether that probability is known or an estimate"
    )
    imputed: bool = Field(description="work, income, marital status etc. come from a donor record")
    name: str = Field(min_length=1, description="invented name that fits sex and birth cohort")
    name_kind: Literal["invented"] = Field(
        default="invented", description="the survey has no names; this one refers to nobody"
    )
    age: int = Field(ge=18, le=120, description="years")
    sex: Literal["woman", "man"] = Field(description="sex as recorded")
    race_origin: str | None = Field(description="race, or Hispanic of any race" + UNKNOWN)
    education: str | None = Field(description="highest level of education" + UNKNOWN)
    field_of_degree: str | None = Field(description="field of the bachelor's degree" + UNASKED)
    marital: str | None = Field(description="marital status" + UNKNOWN)
    employment: str | None = Field(description="employment status" + UNKNOWN)
    class_of_worker: str | None = Field(description="kind of employer" + UNASKED)
    occupation: str | None = Field(description="Census occupation title" + UNASKED)
    industry: str | None = Field(description="Census industry title" + UNASKED)
    hours: int | None = Field(description="usual hours of work per week" + UNASKED)
    personal_income: int | None = Field(description="dollars per year" + UNASKED)
    household_income: int | None = Field(description="dollars per year" + UNASKED)
    household_type: str | None = Field(description="type of household" + UNASKED)
    household_size: int | None = Field(
        ge=1, description="persons in the household, capped at 12" + UNKNOWN
    )
    children: int | None = Field(
        ge=0, description="persons under 18 in the household, capped at 8" + UNKNOWN
    )
    tenure: str | None = Field(description="tenure of the home" + UNASKED)
    citizenship: str | None = Field(description="citizenship and how it was acquired" + UNKNOWN)
    nativity: str | None = Field(description="native-born or foreign-born" + UNKNOWN)
    language: str | None = Field(description="language of the household" + UNASKED)
    english: str | None = Field(description="ability to speak English" + UNASKED)
    veteran: str | None = Field(description="military service" + UNKNOWN)
    disability: str | None = Field(description="disabled or not" + UNKNOWN)
    insured: str | None = Field(description="health insurance" + UNKNOWN)
    state: str | None = Field(description="state of residence" + UNKNOWN)
    region: str | None = Field(description="Census region" + UNKNOWN)
    metro: str | None = Field(description="size of the metropolitan area" + UNKNOWN)
    metro_area: str | None = Field(description="core-based statistical area, None outside any")
    attitudes: tuple[Attitude, ...] = Field(
        default=(),
        description="answers drawn from a survey of similar people; empty unless asked for",
    )


@dataclass(frozen=True, slots=True)
class Panel:
    """The citizens of an assembly.

    personas [C]. weight [C]: post-stratification weight, mean 1, so that a weighted share over the
    panel estimates the population's. method, seed: how they were drawn. raked: attributes whose
    one-way margins the weights meet; () if the weights are the design weights.
    """

    personas: tuple[Persona, ...]
    weight: FloatArray
    method: str
    seed: int
    raked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.personas) != len(self.weight):
            raise DataError(
                f"{len(self.weight)!r} weights for {len(self.personas)!r} personas; give one each"
            )

    def __len__(self) -> int:
        return len(self.personas)

    def __iter__(self) -> Iterator[Persona]:
        return iter(self.personas)

    @property
    def design_weight(self) -> FloatArray:
        """Persons that the record represents divided by its inclusion probability [C], mean 1."""
        raw = np.array([persona.weight / persona.inclusion for persona in self.personas])
        return raw / raw.mean()

    @property
    def imputed_share(self) -> float:
        """Weighted share of citizens with donor-imputed columns; lower is better."""
        imputed = np.array([persona.imputed for persona in self.personas], dtype=np.float64)
        return float(self.weight @ imputed / self.weight.sum())

    @property
    def effective_size(self) -> float:
        """Kish effective number of citizens, at most C; higher is better."""
        return float(self.weight.sum() ** 2 / (self.weight @ self.weight))

    @property
    def design_effect(self) -> float:
        """Kish's 1 + squared coefficient of variation of the weights; 1 is best."""
        return len(self) / self.effective_size
