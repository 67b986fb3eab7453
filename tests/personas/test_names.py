"""Invented names: fit to sex and cohort, seeded by person."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from personas.names import FAKER_YEARS, fits_cohort, invent_names, name_tables

NAMES = Path(str(resources.files("personas"))) / "names"


def invent_name(sex, year, race_origin, seed, row):
    return invent_names([sex], np.array([year]), [race_origin], seed, np.array([row]))[0]


def first(sex, year, row):
    return invent_name(sex, year, "white", 3, row).split(" ")[0]


@pytest.mark.parametrize("sex", ["woman", "man"])
@pytest.mark.parametrize("year", [1928, 1941, 1955, 1967, 1979, 1988, 1996, 2006])
def test_first_names_fit_sex_and_cohort(sex, year):
    assert all(fits_cohort(first(sex, year, row), sex, year) for row in range(150))


def test_cohorts_differ():
    old = Counter(first("woman", 1932, row) for row in range(400))
    young = Counter(first("woman", 2004, row) for row in range(400))
    assert old["Mary"] + old["Betty"] > 3 * (young["Mary"] + young["Betty"]) + 5
    assert young["Emily"] + young["Madison"] > 3 * (old["Emily"] + old["Madison"]) + 5
    assert not fits_cohort("Madison", "woman", 1932)
    assert not fits_cohort("Betty", "man", 1932)
    assert not fits_cohort("Kirsten", "woman", 1932)


def test_faker_adds_names_that_the_counts_lack():
    known = {name for (sex, name) in name_tables().decades if sex == "woman"}
    drawn = {first("woman", 1985, row) for row in range(400)}
    assert 1985 in FAKER_YEARS
    assert drawn - known
    assert drawn & known


def test_surnames_follow_race_and_origin():
    hispanic = Counter(
        invent_name("man", 1980, "Hispanic", 1, row).split(" ", 1)[1] for row in range(500)
    )
    asian = Counter(
        invent_name("man", 1980, "Asian", 1, row).split(" ", 1)[1] for row in range(500)
    )
    assert hispanic["Garcia"] > asian["Garcia"]
    assert asian["Nguyen"] > 5 > hispanic["Nguyen"]
    assert invent_name("man", 1980, "another race", 1, 1).count(" ") == 1


def test_a_name_belongs_to_seed_and_row_alone():
    names = [invent_name("woman", 1970, "Black", 5, row) for row in range(60)]
    again = [invent_name("woman", 1970, "Black", 5, row) for row in reversed(range(60))]
    assert names == again[::-1]
    assert names != [invent_name("woman", 1970, "Black", 6, row) for row in range(60)]


def test_every_cohort_has_names():
    for sex in ("woman", "man"):
        for decade in range(1920, 2010, 10):
            assert len(name_tables().first[sex, decade].names) >= 30
    assert first("man", 1890, 1)
    assert first("man", 2020, 1)


def test_tables_are_those_of_the_provenance():
    tables = json.loads((NAMES / "provenance.json").read_text("utf-8"))["tables"]
    assert set(tables) == {"first_names.parquet", "surnames.parquet"}
    for name, note in tables.items():
        assert hashlib.sha256((NAMES / name).read_bytes()).hexdigest() == note["sha256"]
        assert "Public domain" in note["origin"]
