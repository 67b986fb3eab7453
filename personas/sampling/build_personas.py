"""Building personas from rows of a population, many at a time. N persons, C citizens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import TypeAdapter, ValidationError

from census_data.labels import NO_RECENT_WORK
from census_data.population import Population
from personas.names import Sex, invent_names
from personas.persona import Persona
from personas.sampling.draws import InclusionKind, Selection
from plenary.errors import ConfigError, DataError
from plenary.preferences import IntArray
from plenary.seeding import generator
from plenary.untrusted import first_fault

LABELLED = (
    "race_origin",
    "education",
    "field_of_degree",
    "marital",
    "employment",
    "class_of_worker",
    "occupation",
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
CHUNK = 10_000
# Copies of one record in a long stream get different names.
COPY_STEP = 2**32
PEOPLE = TypeAdapter(tuple[Persona, ...])


def build_personas(
    population: Population,
    drawn: Selection,
    ids: Sequence[str],
    seed: int,
    copies: IntArray | None = None,
) -> tuple[Persona, ...]:
    """Personas of the drawn rows [C], in order; names depend only on seed, row and copy."""
    at = drawn.positions
    columns: dict[str, list[int | float | str | bool | None]] = {
        name: _labels(population, name, at) for name in LABELLED
    }
    columns |= {name: _numbers(population, name, at) for name in NUMBERS}
    columns["occupation"] = [None if t == NO_RECENT_WORK else t for t in columns["occupation"]]
    sexes = _sexes(population, at)
    row_ids = population.row_id[at]
    columns |= {
        "id": list(ids),
        "row_id": row_ids.tolist(),
        "weight": population.weight[at].tolist(),
        "inclusion": drawn.inclusion.tolist(),
        "inclusion_kind": [drawn.kind] * len(at),
        "imputed": population.donor[at].tolist(),
        "sex": list(sexes),
        "name": list(_names(population, at, sexes, columns["race_origin"], seed, copies)),
    }
    keys = tuple(columns)
    rows = [dict(zip(keys, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    try:
        return PEOPLE.validate_python(rows)
    except ValidationError as error:
        raise DataError(
            f"a citizen of this population {first_fault(error)}; import the population again"
        ) from error


def drawable(population: Population) -> Population:
    """The people who can become citizens (age and sex known); DataError if there are none."""
    known = (population.values("age") >= 0) & (population.values("sex") >= 0)
    if not known.any():
        raise DataError(
            "nobody in this population has both an age and a sex; map those columns, and import it "
            "again"
        )
    return population if known.all() else population.select(known)


def stream_personas(
    population: Population, count: int, seed: int, chunk: int = CHUNK
) -> Iterator[tuple[Persona, ...]]:
    """`count` personas in chunks, in proportion to weight, in mixed order; memory for one chunk.

    A systematic draw with repetition: a record whose expected number of copies is 3.4 occurs three
    or four times, each copy under its own name. `inclusion` is that expected number, at most 1.
    """
    if count < 1 or chunk < 1:
        raise ConfigError(f"{count!r} personas in chunks of {chunk!r}; ask for at least one")
    population = drawable(population)
    cumulated = np.cumsum(population.weight) * (count / population.weight.sum())
    expected = population.weight * (count / population.weight.sum())
    start = float(generator(seed, "stream").random())
    stride = _coprime(count)
    width = max(7, len(str(count)))
    for low in range(0, count, chunk):
        numbers = np.arange(low, min(low + chunk, count))
        points = numbers * stride % count
        at = np.searchsorted(cumulated, points + start, side="right").clip(max=len(population) - 1)
        before = np.where(at > 0, cumulated[at - 1], 0.0)
        copies = points - np.ceil(before - start).astype(np.int64).clip(min=0)
        kind: InclusionKind = "exact"
        drawn = Selection(at, expected[at].clip(max=1), kind)
        ids = [f"p{number:0{width}d}" for number in (numbers + 1).tolist()]
        yield build_personas(population, drawn, ids, seed, copies)


def _coprime(count: int) -> int:
    """A stride near the golden section of `count` that visits every number once."""
    stride = max(1, int(count * 0.618034))
    while np.gcd(stride, count) != 1:
        stride += 1
    return stride


def _names(
    population: Population,
    at: IntArray,
    sexes: Sequence[Sex],
    races: Sequence[object],
    seed: int,
    copies: IntArray | None,
) -> list[str]:
    ids = population.row_id[at]
    if copies is not None:
        ids = ids + copies * COPY_STEP
    years = population.source.year - population.values("age")[at]
    return invent_names(sexes, years, [str(race) for race in races], seed, ids)


def _labels(
    population: Population, name: str, at: IntArray
) -> list[int | float | str | bool | None]:
    table = np.array([*population.labels(name), None], dtype=object)
    codes = population.values(name)[at]
    return table[np.where(codes < 0, len(table) - 1, codes)].tolist()


def _numbers(
    population: Population, name: str, at: IntArray
) -> list[int | float | str | bool | None]:
    return [None if value in (-1, -2) else value for value in population.values(name)[at].tolist()]


def _sexes(population: Population, at: IntArray) -> list[Sex]:
    words: dict[str | None, Sex] = {"woman": "woman", "man": "man"}
    found: list[Sex] = []
    for row, label in zip(at.tolist(), _labels(population, "sex", at), strict=True):
        if label not in ("woman", "man"):
            raise DataError(
                f"sex {label!r} in row {int(population.row_id[row])!r}; recode it to woman or man"
            )
        found.append(words[label])
    return found
