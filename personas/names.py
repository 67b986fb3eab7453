"""Invented names for citizens: public name counts (first names, surnames) mixed with Faker.

The survey records carry no names. A first name is drawn from the counts of the Social Security
Administration for the person's sex and decade of birth, in three of ten cases from Faker if the
name fits the cohort; a surname from the Census Bureau's table, P(surname | race or origin). A
person's random stream depends only on the root seed and the row, not on the order of drawing.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from personas.build_names import FIRST_NAMES_FILE, SURNAMES_FILE
from plenary.errors import DataError
from plenary.preferences import FloatArray, IntArray
from plenary.seeding import uniforms

Sex = Literal["woman", "man"]
NameArray = npt.NDArray[np.object_]
T = TypeVar("T", bound=Hashable)
FAKER_SHARE = 0.3
# Faker's first names are the top 200 of these birth years.
FAKER_YEARS = range(1960, 2000)
SEX_CODES: dict[Sex, str] = {"woman": "F", "man": "M"}
SURNAME_COLUMNS = {
    "white": "p_white",
    "Black": "p_black",
    "Hispanic": "p_hispanic",
    "Asian": "p_asian",
    # The bureau's surname table counts Asians and Pacific Islanders together.
    "Pacific Islander": "p_asian",
    "American Indian": "p_aian",
    "multiracial": "p_multi",
}


class Draw(NamedTuple):
    """Names and their cumulative probabilities [G], ending at 1."""

    names: NameArray
    cumulated: FloatArray

    def pick(self, uniform: FloatArray) -> NameArray:
        """The names at uniform numbers in [0, 1) [N]."""
        at = np.searchsorted(self.cumulated, uniform, side="right")
        return self.names[at.clip(max=len(self.names) - 1)]


@dataclass(frozen=True, slots=True)
class NameTables:
    """First names by sex and decade, surnames by race, and the decades with each first name."""

    first: Mapping[tuple[Sex, int], Draw]
    surnames: Mapping[str, Draw]
    everyone: Draw
    decades: Mapping[tuple[Sex, str], frozenset[int]]


def invent_names(
    sexes: Sequence[Sex],
    birth_years: IntArray,
    races: Sequence[str],
    seed: int,
    ids: IntArray,
) -> list[str]:
    """Invented first name and surname of N persons; a name depends only on seed, id and traits."""
    use_faker, first, last = uniforms(seed, ids, 3, "name").T
    names = np.empty(len(ids), dtype=object)
    cohorts = list(zip(sexes, birth_years.tolist(), strict=True))
    for (sex, year), rows in _groups(cohorts):
        names[rows] = name_tables().first[sex, _decade(year)].pick(first[rows])
        fitting = _faker_names(sex, year)
        if fitting is not None:
            taken = rows[use_faker[rows] < FAKER_SHARE]
            names[taken] = fitting.pick(first[taken])
    surnames = np.empty(len(ids), dtype=object)
    tables = name_tables()
    for race, rows in _groups(races):
        surnames[rows] = tables.surnames.get(race, tables.everyone).pick(last[rows])
    return [f"{name} {surname}" for name, surname in zip(names, surnames, strict=True)]


def _groups(keys: Sequence[T]) -> Iterator[tuple[T, IntArray]]:
    """Every key with its positions."""
    found: dict[T, list[int]] = {}
    for at, key in enumerate(keys):
        found.setdefault(key, []).append(at)
    for key, rows in found.items():
        yield key, np.array(rows)


def fits_cohort(name: str, sex: Sex, birth_year: int) -> bool:
    """Whether a first name was given to that sex within a decade of the birth year.

    Names too rare for the counts fit the years that Faker's list was made from, unless the counts
    have them only for the other sex.
    """
    decades = name_tables().decades
    known = decades.get((sex, name))
    if known is not None:
        return any(abs(decade - _decade(birth_year)) <= 10 for decade in known)
    other: Sex = "man" if sex == "woman" else "woman"
    return (other, name) not in decades and birth_year in FAKER_YEARS


@functools.cache
def name_tables() -> NameTables:
    """The packaged tables, read once."""
    folder = Path(str(resources.files("personas"))) / "names"
    first = _read(folder / FIRST_NAMES_FILE)
    surnames = _read(folder / SURNAMES_FILE)
    share = surnames["share"].to_numpy().astype(np.float64)
    names = tuple(surnames["surname"].to_pylist())
    by_race = {
        race: _draw(names, share * surnames[column].to_numpy())
        for race, column in SURNAME_COLUMNS.items()
    }
    return NameTables(_first_names(first), by_race, _draw(names, share), _known_decades(first))


def _first_names(table: pa.Table) -> dict[tuple[Sex, int], Draw]:
    sexes = np.array(table["sex"].to_pylist())
    decades = table["decade"].to_numpy()
    counts = table["count"].to_numpy()
    names = np.array(table["name"].to_pylist(), dtype=object)
    found: dict[tuple[Sex, int], Draw] = {}
    for sex, code in SEX_CODES.items():
        for decade in np.unique(decades).tolist():
            rows = (sexes == code) & (decades == decade)
            found[sex, decade] = _draw(tuple(names[rows]), counts[rows].astype(np.float64))
    return found


def _known_decades(table: pa.Table) -> dict[tuple[Sex, str], frozenset[int]]:
    sex_of: dict[str, Sex] = {code: sex for sex, code in SEX_CODES.items()}
    found: dict[tuple[Sex, str], set[int]] = {}
    for row in table.select(["sex", "name", "decade"]).to_pylist():
        found.setdefault((sex_of[row["sex"]], row["name"]), set()).add(row["decade"])
    return {key: frozenset(decades) for key, decades in found.items()}


def _draw(names: tuple[str, ...], weight: FloatArray) -> Draw:
    return Draw(np.array(names, dtype=object), np.cumsum(weight) / weight.sum())


def _decade(birth_year: int) -> int:
    return min(max(birth_year // 10 * 10, 1920), 2000)


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"cannot read the table of names {str(path)!r}: {error}; reinstall plenary"
        ) from error


@functools.cache
def _faker_names(sex: Sex, birth_year: int) -> Draw | None:
    """Faker's first names that fit the cohort, with Faker's weights; None if none does."""
    weights = _faker_weights(sex)
    fitting = {name: w for name, w in weights.items() if fits_cohort(name, sex, birth_year)}
    if not fitting:
        return None
    return _draw(tuple(fitting), np.array(list(fitting.values()), dtype=np.float64))


@functools.cache
def _faker_weights(sex: Sex) -> Mapping[str, float]:
    from faker.providers.person.en_US import Provider

    return Provider.first_names_female if sex == "woman" else Provider.first_names_male
