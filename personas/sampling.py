"""Drawing a panel from a population. Shapes: N persons, C citizens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from census_data.labels import NO_RECENT_WORK
from census_data.population import Population
from personas.persona import Panel, Persona
from personas.profile import Sex, invent_name
from plenary.errors import ConfigError, DataError
from plenary.preferences import FloatArray, IntArray
from plenary.seeding import generator

LABELLED = (
    "race_origin",
    "education",
    "field_of_degree",
    "marital",
    "employment",
    "class_of_worker",
    "industry",
    "household_type",
    "tenure",
    "citizenship",
    "nativity",
    "language",
    "english",
    "veteran",
    "disability",
    "insured",
    "state",
    "region",
    "metro",
    "metro_area",
)
NUMBERS = (
    "age",
    "hours",
    "personal_income",
    "household_income",
    "household_size",
    "children",
)
UNANSWERED = (-2, -1)


class Selection(NamedTuple):
    """Positions drawn [C], without repetition, and the inclusion probability of each [C]."""

    positions: IntArray
    inclusion: FloatArray


Method = Callable[[FloatArray, int, np.random.Generator], Selection]


class PanelSettings(BaseModel):
    """Who is invited to the room."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    citizens: int = Field(default=60, ge=2, description="number of citizens")
    method: Literal["weighted"] = Field(
        default="weighted",
        description="weighted: systematic draw, probability proportional to weight",
    )


def recruit(population: Population, settings: PanelSettings, seed: int) -> Panel:
    """Draw a panel; the same population, settings and seed give the same panel.

    A citizen's panel weight is design weight over inclusion probability, scaled to mean 1. The draw
    is proportional to the weight, so every panel weight is 1 unless the panel is so large that some
    records are taken with certainty.
    """
    if settings.citizens > len(population):
        raise ConfigError(
            f"{settings.citizens!r} citizens from a population of {len(population)} records; "
            "ask for fewer"
        )
    rng = generator(seed, "panel", settings.method)
    drawn = METHODS[settings.method](population.weight, settings.citizens, rng)
    width = max(3, len(str(settings.citizens)))
    personas = tuple(
        _persona(population, int(at), float(chance), f"c{k:0{width}d}", seed)
        for k, (at, chance) in enumerate(zip(drawn.positions, drawn.inclusion, strict=True), 1)
    )
    raw = population.weight[drawn.positions] / drawn.inclusion
    return Panel(personas, raw / raw.mean(), settings.method, seed)


def inclusion_probabilities(weight: FloatArray, citizens: int) -> FloatArray:
    """Probabilities [N] proportional to weight [N], capped at 1, that sum to `citizens`."""
    certain = np.zeros(len(weight), dtype=bool)
    while True:
        rest = citizens - int(certain.sum())
        chance = np.where(certain, 1.0, rest * weight / weight[~certain].sum())
        over = ~certain & (chance >= 1)
        if not over.any() or rest == 0:
            return chance
        certain |= over
        if certain.all():
            return np.ones(len(weight))


def systematic_draw(weight: FloatArray, citizens: int, rng: np.random.Generator) -> Selection:
    """Systematic draw without replacement, probability proportional to weight.

    Equally spaced points with one random start on the cumulated probabilities, in the order of the
    rows: the snapshot is sorted by state and then metropolitan size, race, sex and age, which
    spreads the panel over them. Citizens come out in random order.
    """
    chance = inclusion_probabilities(weight, citizens)
    certain = np.flatnonzero(chance >= 1)
    open_rows = np.flatnonzero(chance < 1)
    points = citizens - len(certain)
    picked = np.array([], dtype=np.int64)
    if points:
        cumulated = np.cumsum(chance[open_rows])
        cumulated *= points / cumulated[-1]
        at = np.searchsorted(cumulated, rng.random() + np.arange(points), side="right")
        picked = open_rows[at.clip(max=len(open_rows) - 1)]
    positions = rng.permutation(np.concatenate([certain, picked]))
    return Selection(positions, chance[positions])


METHODS: dict[str, Method] = {"weighted": systematic_draw}


def _persona(population: Population, at: int, chance: float, name: str, seed: int) -> Persona:
    texts = {column: population.label(column, at) for column in LABELLED}
    row_id = int(population.row_id[at])
    sex = _sex(population, at)
    numbers = {column: _number(population, column, at) for column in NUMBERS}
    birth_year = population.source.year - int(population.values("age")[at])
    occupation = population.label("occupation", at)
    return Persona.model_validate(
        {
            "id": name,
            "row_id": row_id,
            "weight": float(population.weight[at]),
            "inclusion": chance,
            "imputed": bool(population.donor[at]),
            "name": invent_name(sex, birth_year, texts["race_origin"] or "", seed, row_id),
            "sex": sex,
            "occupation": None if occupation == NO_RECENT_WORK else occupation,
            **numbers,
            **texts,
        }
    )


def _sex(population: Population, at: int) -> Sex:
    label = population.label("sex", at)
    if label == "woman":
        return "woman"
    if label == "man":
        return "man"
    raise DataError(
        f"sex {label!r} in row {int(population.row_id[at])!r}; recode it to woman or man"
    )


def _number(population: Population, column: str, at: int) -> int | None:
    value = int(population.values(column)[at])
    return None if value in UNANSWERED else value
