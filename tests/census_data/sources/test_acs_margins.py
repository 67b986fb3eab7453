"""Tables of the survey as margins of adults."""

from __future__ import annotations

import numpy as np
import pytest

from census_data.margins import fit_margins
from census_data.population import load_population
from census_data.raking import rake
from census_data.sources.acs_margins import (
    AGES,
    BROAD_AGES,
    CHILDREN,
    SCHOOLING,
    TABLES,
    table_margin,
)
from census_data.sources.api import AcsTable
from plenary.errors import ConfigError, DataError

PEOPLE = load_population()
FULL = ("Estimate!!Total:", "Estimate!!Total:!!Male:", "Estimate!!Total:!!Female:")
AGE_LINES = [
    *FULL,
    *(
        f"Estimate!!Total:!!{sex}:!!{age}"
        for sex in ("Male", "Female")
        for age in (*CHILDREN, *AGES)
    ),
]
EDUCATION_LINES = [
    *FULL,
    *(
        f"Estimate!!Total:!!{sex}:!!{age}:!!{level}"
        for sex in ("Male", "Female") for age in BROAD_AGES for level in SCHOOLING
    ),
    *(f"Estimate!!Total:!!{sex}:!!{age}:" for sex in ("Male", "Female") for age in BROAD_AGES),
]  # fmt: skip
CITIZEN_LINES = [
    f"Estimate!!Total:!!{sex}:!!{age}:!!{end}"
    for sex in ("Male", "Female")
    for age in ("Under 18 years", "18 years and over")
    for end in ("Native", "Foreign born:!!Naturalized U.S. citizen",
                "Foreign born:!!Not a U.S. citizen")
]  # fmt: skip


def table(name, lines, places=("United States",), codes=("us",), fill=10.0):
    return AcsTable(
        table=name, title="T", year=2024, survey="acs5",
        variables=tuple(f"{name}_{k:03d}E" for k in range(1, len(lines) + 1)),
        labels=tuple(lines), places=places, place_codes=codes,
        estimates=np.full((len(places), len(lines)), fill),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "lines", "cells", "total"),
    [
        ("B01001", AGE_LINES, 14, 2 * 19 * 10),
        ("B15001", EDUCATION_LINES, 12, 2 * 5 * 7 * 10),
        ("B05003", CITIZEN_LINES, 6, 60),
    ],
)
def test_adults_are_counted_once(name, lines, cells, total):
    target = table_margin(table(name, lines))
    assert target.columns == TABLES[name].columns
    assert len(target.cells) == cells
    assert sum(cell[-1] for cell in target.cells) == total
    if name != "B05003":
        raked = rake(PEOPLE.weight, fit_margins(PEOPLE, [target], shares=True))
        assert raked.report.max_error <= 1e-7


def test_several_states_give_a_three_way_margin():
    two = table("B01001", AGE_LINES, ("California", "Texas"), ("06", "48"))
    target = table_margin(two)
    assert target.columns == ("state", "sex", "age")
    assert len(target.cells) == 28
    with pytest.raises(ConfigError, match="not states"):
        table_margin(table("B01001", AGE_LINES, ("a", "b"), ("06001", "06003")))
    with pytest.raises(DataError, match="state '72'"):
        table_margin(table("B01001", AGE_LINES, ("a", "Puerto Rico"), ("06", "72")))


def test_what_cannot_be_used_is_named():
    with pytest.raises(ConfigError, match=r"no margin of adults is known in table 'B19001'"):
        table_margin(table("B19001", FULL))
    with pytest.raises(DataError, match=r"unknown line 'Estimate!!Total!!Male!!90 years'"):
        table_margin(table("B01001", [*AGE_LINES, "Estimate!!Total:!!Male:!!90 years"]))
    with pytest.raises(DataError, match=r"lacks \['education'\]"):
        table_margin(table("B15001", ["Estimate!!Total:!!Male:!!18 to 24 years"]))
    with pytest.raises(DataError, match=r"'B01001_004E' of 'United States' is withheld|withheld"):
        table_margin(table("B01001", AGE_LINES, fill=np.nan))
