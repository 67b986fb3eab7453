"""The schema: a population's columns (categories, whole numbers) and what their codes mean.

A category is an integer code into the column's labels. Two codes mean no answer: NOT_IN_UNIVERSE
(the question does not apply: no tenure in a dormitory) and MISSING (it applies but the answer is
unknown; the American Community Survey edits every record, so none occurs in the shipped snapshot).
Numbers use the same two codes: the bureau rounds dollars, so -1 and -2 are never amounts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from census_data import labels
from census_data.geography import REGIONS

NOT_IN_UNIVERSE = -1
MISSING = -2


@dataclass(frozen=True, slots=True)
class Column:
    """One attribute of a person.

    census: Census variable it is recoded from, or the columns it is derived from.
    labels: meaning of codes 0.. in order; empty for numbers and for the long tables of labels.json.
    first: Census code of the first label, the others follow one by one.
    universe: who is asked; everybody else has NOT_IN_UNIVERSE.
    donor: imputed from a donor record in California and Texas.
    bounds: least and largest number that a person can have; anything else is a code. closed:
    whether no other labels than these are allowed.
    """

    name: str
    kind: Literal["category", "number"]
    census: str
    description: str
    labels: tuple[str, ...] = ()
    first: int = 1
    universe: str = "all adults"
    donor: bool = False
    bounds: tuple[float, float] = (-math.inf, math.inf)
    closed: bool = False


HOUSEHOLDS = "not in group quarters"
WORKED = "worked in the last 5 years, or unemployed"

COLUMNS = (
    Column("age", "number", "AGEP", "age in years, top-coded by the bureau", bounds=(18, 120)),
    Column("sex", "category", "SEX", "sex", labels.SEX, closed=True),
    Column(
        "race", "category", "RAC1P", "race as recorded, apart from Hispanic origin", labels.RACE
    ),
    Column(
        "hispanic_origin", "category", "HISP", "detailed Hispanic origin", labels.HISPANIC_ORIGIN
    ),
    Column(
        "race_origin",
        "category",
        "race, hispanic_origin",
        "race of people who are not Hispanic, and Hispanic of any race",
        labels.RACE_ORIGIN,
    ),
    Column("schooling", "category", "SCHL", "highest grade or degree in detail", labels.SCHOOLING),
    Column(
        "education",
        "category",
        "schooling",
        "highest level of education",
        labels.EDUCATION,
        closed=True,
    ),
    Column(
        "field_of_degree",
        "category",
        "FOD1P",
        "field of the bachelor's degree",
        universe="holds a bachelor's degree",
        donor=True,
    ),
    Column("marital", "category", "MAR", "marital status", labels.MARITAL, donor=True),
    Column(
        "employment",
        "category",
        "ESR",
        "employment status in the week before the interview",
        labels.EMPLOYMENT,
        donor=True,
    ),
    Column(
        "class_of_worker",
        "category",
        "COW",
        "kind of employer in the current or most recent job",
        labels.CLASS_OF_WORKER,
        universe=WORKED,
        donor=True,
    ),
    Column(
        "occupation",
        "category",
        "OCCP",
        "current or most recent occupation",
        universe=WORKED,
        donor=True,
    ),
    Column(
        "occupation_group",
        "category",
        "occupation",
        "major group of the occupation",
        tuple(labels.OCCUPATION_GROUP.values()),
        universe=WORKED,
        donor=True,
    ),
    Column(
        "industry",
        "category",
        "INDP",
        "industry of that job",
        universe=WORKED,
        donor=True,
    ),
    Column(
        "industry_group",
        "category",
        "industry",
        "sector of the industry",
        tuple(labels.INDUSTRY_GROUP.values()),
        universe=WORKED,
        donor=True,
    ),
    Column(
        "hours",
        "number",
        "WKHP",
        "usual hours of work a week",
        universe="worked in the last 12 months",
        donor=True,
        bounds=(0, 168),
    ),
    Column(
        "personal_income",
        "number",
        "PINCP",
        "income of the last 12 months in dollars, not inflated",
        donor=True,
    ),
    Column(
        "household_income",
        "number",
        "HINCP",
        "household income of the last 12 months in dollars, not inflated",
        universe=HOUSEHOLDS,
    ),
    Column(
        "household_type",
        "category",
        "HHT",
        "type of household the person lives in",
        labels.HOUSEHOLD_TYPE,
        universe=HOUSEHOLDS,
    ),
    Column(
        "household_size", "number", "NP", "persons in the household, capped at 12", bounds=(1, 60)
    ),
    Column(
        "children",
        "number",
        "AGEP",
        "persons under 18 in the household, capped at 8",
        bounds=(0, 40),
    ),
    Column(
        "householder",
        "category",
        "RELSHIPP",
        "is the household's reference person",
        labels.YES_NO,
        first=0,
    ),
    Column("tenure", "category", "TEN", "tenure of the home", labels.TENURE, universe=HOUSEHOLDS),
    Column(
        "citizenship", "category", "CIT", "citizenship and how it was acquired", labels.CITIZENSHIP
    ),
    Column("nativity", "category", "citizenship", "citizen at birth or not", labels.NATIVITY),
    Column(
        "language",
        "category",
        "HHL",
        "language spoken in the household",
        labels.LANGUAGE,
        universe=HOUSEHOLDS,
    ),
    Column(
        "english",
        "category",
        "ENG",
        "ability to speak English",
        labels.ENGLISH,
        universe="speaks another language at home",
        donor=True,
    ),
    Column("veteran", "category", "MIL", "military service", labels.VETERAN, donor=True),
    Column("disability", "category", "DIS", "any of six difficulties", labels.DISABILITY),
    Column("insured", "category", "HICOV", "health insurance", labels.INSURED, donor=True),
    Column(
        "commute",
        "category",
        "JWTRNS",
        "means of travel to work",
        labels.COMMUTE,
        universe="at work last week",
        donor=True,
    ),
    Column("quarters", "category", "TYPEHUGQ", "housing unit or group quarters", labels.QUARTERS),
    Column("state", "category", "STATE", "state", labels.STATE),
    Column("region", "category", "state", "Census region", REGIONS),
    Column(
        "metro",
        "category",
        "PUMA, OMB 2023 delineation",
        "size of the core-based statistical area: none, below 250,000, below 1 million, larger",
        labels.METRO,
        first=0,
    ),
    Column(
        "metro_area",
        "category",
        "PUMA, OMB 2023 delineation",
        "core-based statistical area that holds most of the person's PUMA",
        universe="lives in one",
    ),
)
BY_NAME = {column.name: column for column in COLUMNS}

# Lower edges of the bands in which numbers are compared; dollars for incomes.
BANDS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "age": (25, 35, 45, 55, 65, 75),
        "household_income": (0, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000),
        "personal_income": (0, 1, 15_000, 30_000, 50_000, 75_000, 100_000),
        "hours": (0, 20, 35, 45),
        "household_size": (2, 3, 4, 5),
        "children": (1, 2, 3),
    }
)
