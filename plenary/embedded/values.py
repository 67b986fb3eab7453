"""Planted values of the embedded model: ten dimensions, its own weights, and citizens' weights.

A utility is u = w . a: w the weights [D] of who is asked, a the attributes [D] of an outcome.
Where a dimension has a counterpart in the General Social Survey, the effect of demographics on a
citizen's weight follows the measured coefficients (gss_effects.json, made by gss_effects.py).
Mean weights, spread, and the effects marked "choice" there are choices, not measurements.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import ndtr

from plenary.preferences import FloatArray

DIMENSIONS = (
    "wealth", "lives", "ai_autonomy", "equality", "environment",
    "liberty", "security", "animals", "tradition", "knowledge",
)  # fmt: skip
SELF_WEIGHTS = np.array([0.55, 0.8, 1.1, 0.1, 0.3, 0.35, 0.1, 0.15, -0.35, 0.95])
CITIZEN_WEIGHTS = np.array([0.6, 1.2, -0.75, 0.6, 0.6, 0.6, 0.85, 0.5, 0.5, 0.45])
SIGMA = 0.4
SPREAD = 1.3
ARGUMENT_STRENGTH = 0.4
ARGUMENT_LIMIT = 1.2

Region = Literal["Northeast", "Midwest", "South", "West"]


@dataclass(frozen=True, slots=True)
class Traits:
    """What a persona text says that bears on its planted weights; None where it is silent.

    degree: 0 no high school, 1 high school, 2 associate, 3 bachelor, 4 graduate (GSS coding).
    income: household income, dollars a year. ideology: 1 very liberal .. 7 very conservative.
    """

    age: int | None = None
    sex: Literal["woman", "man"] | None = None
    race: str | None = None
    degree: int | None = None
    income: int | None = None
    region: Region | None = None
    ideology: int | None = None


class Effects(NamedTuple):
    """Demographic effects on the weights: terms [E], coefficients [D, E], term means [E]."""

    terms: tuple[str, ...]
    coefficients: FloatArray
    means: FloatArray


@cache
def effects(with_ideology: bool) -> Effects:
    """The packaged effects, without or with ideology among the predictors."""
    path = resources.files("plenary.embedded") / "gss_effects.json"
    table = json.loads(path.read_text(encoding="utf-8"))[
        "with_ideology" if with_ideology else "without_ideology"
    ]
    terms = tuple(table["terms"])
    return Effects(
        terms,
        np.array([[table["effects"][d][t] for t in terms] for d in DIMENSIONS]),
        np.array([table["means"][t] for t in terms]),
    )


def income_rank(dollars: float) -> float:
    """Rank 0..1 of a US household income by a log-normal curve (median 82,000, log sd 0.95)."""
    return float(ndtr(np.log(max(dollars, 1.0) / 82_000) / 0.95))


def _predictors(traits: Traits) -> dict[str, float | None]:
    race, region = traits.race, traits.region
    known = {"white": "white", "black": "black", "hispanic": "hispanic"}
    group = None if race is None else known.get(race.casefold(), "other_race")
    values: dict[str, float | None] = {
        "female": None if traits.sex is None else float(traits.sex == "woman"),
        "age_decades": None if traits.age is None else traits.age / 10,
        "degree": None if traits.degree is None else float(traits.degree),
        "income_rank": None if traits.income is None else income_rank(traits.income),
        "ideology": None if traits.ideology is None else float(traits.ideology),
    }
    for name in ("black", "hispanic", "other_race"):
        values[name] = None if group is None else float(group == name)
    for name in ("midwest", "south", "west"):
        values[name] = None if region is None else float(region.casefold() == name)
    return values


def citizen_weights(traits: Traits) -> FloatArray:
    """Planted weights [D] of a citizen; a trait left out counts as the population mean."""
    table = effects(with_ideology=traits.ideology is not None)
    known = _predictors(traits)
    values = (known[term] for term in table.terms)
    gap = np.array([0.0 if v is None else v - m for v, m in zip(values, table.means, strict=True)])
    return CITIZEN_WEIGHTS + SPREAD * (table.coefficients @ gap)


def choice_probability(gap: FloatArray | float) -> FloatArray:
    """Planted probability of the first of two outcomes whose utilities differ by `gap`."""
    return ndtr(np.asarray(gap) / (SIGMA * np.sqrt(2.0)))


def argument_shift(sides: FloatArray | list[int]) -> float:
    """Planted change of the utility gap after arguments, +1 for the first outcome, -1 against."""
    return float(np.clip(ARGUMENT_STRENGTH * np.sum(sides), -ARGUMENT_LIMIT, ARGUMENT_LIMIT))
