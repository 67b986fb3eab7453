"""The packaged snapshot against the full survey's published-size margins."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from census_data.fidelity import total_variation
from census_data.geography import STATES
from census_data.population import Population, PopulationSettings, load_population
from census_data.schema import BY_NAME, COLUMNS, MISSING, NOT_IN_UNIVERSE

SNAPSHOT = Path(str(resources.files("census_data"))) / "snapshot"
REFERENCE = json.loads((Path(__file__).parent / "reference_margins.json").read_text("utf-8"))
ALL = REFERENCE["adult_margins_51"]
NOT_IMPUTED = REFERENCE["adult_margins_49_excluding_CA_TX"]
# Survey margin -> (column, Census code of each of our codes in order).
ONE_WAY = {
    "STATE": ("state", [f"{state.fips:02d}" for state in STATES]),
    "SEX": ("sex", ["1", "2"]),
    "CIT": ("citizenship", ["1", "2", "3", "4", "5"]),
    "metro": ("metro", ["0", "1", "2", "3"]),
    "DIS": ("disability", ["1", "2"]),
}
ONE_WAY_49 = {
    "MAR": ("marital", ["1", "2", "3", "4", "5"]),
    "ESR": ("employment", ["1", "2", "3", "4", "5", "6"]),
    "MIL": ("veteran", ["1", "2", "3", "4"]),
    "COW": ("class_of_worker", ["-1", "1", "2", "3", "4", "5", "6", "7", "8", "9"]),
    "HICOV": ("insured", ["1", "2"]),
}
RACE5 = {"white": "White NH", "Black": "Black NH", "Hispanic": "Hispanic", "Asian": "Asian NH"}
EDUCATION5 = (0, 1, 2, 2, 3, 4, 4, 4)


@cache
def everyone() -> Population:
    return load_population(PopulationSettings(group_quarters="include", citizens="all"))


def weighted(names: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    keys, at = np.unique(names, return_inverse=True)
    return dict(zip(keys.tolist(), np.bincount(at, weight).tolist(), strict=True))


def distance(ours: dict[str, float], theirs: dict[str, float]) -> float:
    assert set(ours) == set(theirs)
    keys = sorted(ours)
    return total_variation(np.array([ours[k] for k in keys]), np.array([theirs[k] for k in keys]))


def age7(population: Population) -> np.ndarray:
    edges = np.array(REFERENCE["age7_edges"][1:])
    return np.searchsorted(edges, population.values("age"), side="right").astype(str)


def race5(population: Population) -> np.ndarray:
    names = [RACE5.get(label, "Other NH") for label in population.labels("race_origin")]
    return np.array(names)[population.values("race_origin")]


def education5(population: Population) -> np.ndarray:
    return np.array(EDUCATION5)[population.values("education")].astype(str)


@pytest.mark.parametrize("margin", ONE_WAY)
def test_one_way_margin_of_all_states(margin):
    column, codes = ONE_WAY[margin]
    names = np.array(codes)[everyone().values(column)]
    assert distance(weighted(names, everyone().weight), ALL[margin]) <= 0.003


@pytest.mark.parametrize("margin", ONE_WAY_49)
def test_one_way_margin_without_california_and_texas(margin):
    column, codes = ONE_WAY_49[margin]
    own = everyone().select(~everyone().donor)
    offset = 1 if codes[0] == "-1" else 0
    names = np.array(codes)[own.values(column) + offset]
    assert distance(weighted(names, own.weight), NOT_IMPUTED[margin]) <= 0.003


@pytest.mark.parametrize(
    ("margin", "of"), [("age7", age7), ("race5", race5), ("educ5", education5)]
)
def test_one_way_margin_of_bands(margin, of):
    assert distance(weighted(of(everyone()), everyone().weight), ALL[margin]) <= 0.003


def test_two_way_margins():
    people = everyone()
    sex = np.array(["1", "2"])[people.values("sex")]
    crossed = {
        "age7xSEX": np.char.add(np.char.add(age7(people), "|"), sex),
        "race5xeduc5": np.char.add(np.char.add(race5(people), "|"), education5(people)),
    }
    for margin, names in crossed.items():
        ours = weighted(names, people.weight)
        assert distance(ours, REFERENCE["adult_2way_51"][margin]) <= 0.025


def test_every_state_is_there_with_its_region():
    people = everyone()
    assert len(np.unique(people.values("state"))) == 51
    assert np.bincount(people.values("state")).min() >= 1_000
    for state in STATES:
        rows = np.flatnonzero(people.values("state") == people.labels("state").index(state.name))
        assert {people.label("region", int(rows[0]))} == {state.region}
        assert len(np.unique(people.values("region")[rows])) == 1


def test_size_and_weights():
    assert sum(file.stat().st_size for file in SNAPSHOT.iterdir()) <= 3_000_000
    people = everyone()
    assert len(people) == people.source.rows == 199_996
    assert people.weight.sum() == people.source.weight_sum
    assert people.weight.sum() == pytest.approx(REFERENCE["adults_18plus"], rel=1e-6)


def test_every_code_has_a_label_and_every_label_is_distinct():
    people = everyone()
    for column in COLUMNS:
        values = people.values(column.name)
        if column.kind == "number":
            continue
        labels = people.labels(column.name)
        assert len(set(labels)) == len(labels), column.name
        assert all(label.strip() for label in labels)
        assert values.min() >= NOT_IN_UNIVERSE
        assert values.max() < len(labels)
        assert not column.labels or column.labels == labels


def test_not_in_universe_is_as_the_schema_says():
    people = everyone()
    asked = {
        "tenure": people.values("quarters") == 0,
        "household_income": people.values("quarters") == 0,
        "field_of_degree": people.values("education") >= 4,
        "english": None,
    }
    for name, universe in asked.items():
        unasked = people.values(name) == NOT_IN_UNIVERSE
        assert BY_NAME[name].universe != "all adults"
        if universe is not None:
            np.testing.assert_array_equal(unasked, ~universe)
    for column in COLUMNS:
        values = people.values(column.name)
        assert not np.any(values == MISSING), column.name
        if column.universe == "all adults":
            assert not np.any(values == NOT_IN_UNIVERSE), column.name


def test_derived_columns_agree_with_what_they_come_from():
    people = everyone()
    hispanic = people.values("race_origin") == people.labels("race_origin").index("Hispanic")
    np.testing.assert_array_equal(hispanic, people.values("hispanic_origin") > 0)
    none = people.labels("occupation").index("unemployed, no work in the last 5 years")
    group = people.labels("occupation_group").index("unemployed, no work in the last 5 years")
    np.testing.assert_array_equal(
        people.values("occupation") == none, people.values("occupation_group") == group
    )


def test_donors_are_california_and_texas():
    people = everyone()
    states = {people.labels("state")[code] for code in people.values("state")[people.donor]}
    assert states == {"California", "Texas"}
    assert people.imputed_share == pytest.approx(0.2045, abs=5e-4)
    assert people.imputed_share == pytest.approx(people.source.imputed_share)
    assert len(people.source.imputed_columns) == 14
    assert {"marital", "occupation", "personal_income"} < set(people.source.imputed_columns)
    assert "household_income" not in people.source.imputed_columns
