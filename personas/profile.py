"""Invented names: the door to Faker, mixed with public name counts.

The survey records carry no names. A first name is drawn from the counts of the Social Security
Administration for the person's sex and decade of birth, in three of ten cases from Faker where the
name fits the cohort; a surname from the Census Bureau's table, P(surname | race or origin). The
stream of a person depends on the root seed and the row alone, not on the order of drawing.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from personas.build_names import FIRST_NAMES_FILE, SURNAMES_FILE
from plenary.errors import DataError
from plenary.preferences import FloatArray
from plenary.seeding import derived_seed, generator

if TYPE_CHECKING:
    from faker import Faker

Sex = Literal["woman", "man"]
FAKER_SHARE = 0.3
FAKER_TRIES = 12
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
    """Names and their cumulated probabilities [N], ending at 1."""

    names: tuple[str, ...]
    cumulated: FloatArray

    def pick(self, uniform: float) -> str:
        """The name at a uniform number in [0, 1)."""
        at = int(np.searchsorted(self.cumulated, uniform, side="right"))
        return self.names[min(at, len(self.names) - 1)]


@dataclass(frozen=True, slots=True)
class NameTables:
    """First names by sex and decade, surnames by race, and the decades a first name is known in."""

    first: Mapping[tuple[Sex, int], Draw]
    surnames: Mapping[str, Draw]
    everyone: Draw
    decades: Mapping[tuple[Sex, str], frozenset[int]]


def invent_name(sex: Sex, birth_year: int, race_origin: str, seed: int, row_id: int) -> str:
    """Invented first name and surname of one person; the same seed and row give the same name."""
    tables = name_tables()
    rng = generator(seed, "name", row_id)
    use_faker, first, last = rng.random(3)
    name = None
    if use_faker < FAKER_SHARE:
        name = _from_faker(sex, birth_year, derived_seed(seed, "faker", row_id))
    decade = _decade(birth_year)
    if name is None:
        name = tables.first[sex, decade].pick(first)
    return f"{name} {tables.surnames.get(race_origin, tables.everyone).pick(last)}"


def fits_cohort(name: str, sex: Sex, birth_year: int) -> bool:
    """A first name fits when given to that sex within a decade of the birth year.

    Names too rare for the counts fit the years that Faker's list was made from, unless the counts
    know them for the other sex alone.
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
    return Draw(names, np.cumsum(weight) / weight.sum())


def _decade(birth_year: int) -> int:
    return min(max(birth_year // 10 * 10, 1920), 2000)


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"cannot read the table of names {str(path)!r}: {error}; reinstall plenary"
        ) from error


def _from_faker(sex: Sex, birth_year: int, seed: int) -> str | None:
    fake = _faker()
    fake.seed_instance(seed)
    draw = fake.first_name_female if sex == "woman" else fake.first_name_male
    for _ in range(FAKER_TRIES):
        name = draw()
        if fits_cohort(name, sex, birth_year):
            return name
    return None


@functools.cache
def _faker() -> Faker:
    from faker import Faker

    return Faker("en_US")
