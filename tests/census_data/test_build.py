"""The recoding script on a source of the test's own."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from census_data.build import AREAS_FILE, CODES_FILE, SOURCE_FILE, build, copy_margins
from census_data.population import PopulationSettings, load_population
from plenary.errors import DataError

ROW = {
    "state": 48,
    "puma": 101,
    "cbsa": 10140,
    "metro": 3,
    "agep": 40,
    "sex": 2,
    "rac1p": 9,
    "hisp": 1,
    "schl": 21,
    "fod1p": 1100,
    "mar": 5,
    "esr": 1,
    "cow": 1,
    "occp": 10,
    "indp": 170,
    "wkhp": 40,
    "pincp": 50_000,
    "hincp": 123_456,
    "hht": 6,
    "np": 1,
    "kids": 0,
    "ten": 3,
    "cit": 4,
    "eng": 1,
    "hhl": 2,
    "mil": 4,
    "dis": 2,
    "hicov": 1,
    "jwtrns": 11,
    "typehugq": 1,
    "householder": 1,
    "donor": 1,
    "weight": 900,
}
DORMITORY = ROW | {
    "state": 11,
    "cbsa": 0,
    "metro": 0,
    "hisp": 2,
    "schl": 19,
    "fod1p": -1,
    "occp": 9920,
    "indp": 9920,
    "cow": 9,
    "wkhp": -1,
    "hincp": -1,
    "hht": -1,
    "ten": -1,
    "hhl": -1,
    "jwtrns": -1,
    "typehugq": 3,
    "cit": 5,
    "donor": 0,
    "weight": 300,
}
UNEMPLOYED = "Unemployed, With No Work Experience In The Last 5 Years Or Earlier Or Never Worked"
TITLES = {
    "occp": {"10": "MGR-Chief Executives And Legislators", "9920": UNEMPLOYED},
    "indp": {"170": "AGR-Crop Production", "9920": UNEMPLOYED},
    "fod1p": {"1100": "General Agriculture"},
}


def write_source(folder, rows):
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / SOURCE_FILE)
    (folder / CODES_FILE).write_text(json.dumps(TITLES), encoding="utf-8")
    (folder / AREAS_FILE).write_text(
        'cbsa_code,cbsa_name\n10140,"Aberdeen, WA"\n', encoding="utf-8"
    )
    return folder


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "source", [ROW, DORMITORY])


def test_recoded_labels(source, tmp_path):
    build(source, tmp_path / "out")
    people = load_population(
        PopulationSettings(group_quarters="include", citizens="all"), tmp_path / "out"
    )
    names = ("state", "region", "sex", "race_origin", "education", "field_of_degree", "occupation")
    assert [people.label(name, 0) for name in names] == [
        "Texas",
        "South",
        "woman",
        "multiracial",
        "bachelor's degree",
        "General Agriculture",
        "Chief Executives And Legislators",
    ]
    assert people.label("occupation_group", 0) == "management"
    assert people.label("industry_group", 0) == "agriculture, forestry and fishing"
    assert people.label("metro_area", 0) == "Aberdeen, WA"
    assert people.label("nativity", 0) == "foreign-born"
    assert people.values("household_income").tolist() == [123_456, -1]
    assert [people.label(name, 1) for name in ("state", "race_origin", "tenure", "metro_area")] == [
        "District of Columbia",
        "Hispanic",
        None,
        None,
    ]
    assert people.label("occupation", 1) == "unemployed, no work in the last 5 years"
    assert people.weight.tolist() == [900, 300]
    assert people.imputed_share == people.source.imputed_share == 0.75


def test_same_source_same_bytes(source, tmp_path):
    first, second = build(source, tmp_path / "a"), build(source, tmp_path / "b")
    assert first == second
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


@pytest.mark.parametrize(
    ("field", "code", "column"),
    [("mar", 6, "marital"), ("occp", 11, "occupation"), ("state", 3, "state"), ("sex", 0, "sex")],
)
def test_unknown_code_is_refused_and_nothing_written(tmp_path, field, code, column):
    source = write_source(tmp_path / "source", [ROW | {field: code}])
    with pytest.raises(DataError, match=rf"unknown code {code} in column '{column}'"):
        build(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_incomplete_source(tmp_path):
    row = {name: value for name, value in ROW.items() if name not in ("ten", "np")}
    with pytest.raises(DataError, match=r"\['household_size', 'tenure'\] cannot be made"):
        build(write_source(tmp_path / "source", [row]), tmp_path / "out")


def test_missing_source(tmp_path):
    with pytest.raises(DataError, match=r"cannot read the snapshot file"):
        build(tmp_path, tmp_path / "out")


def test_margins_are_carried_over(tmp_path):
    keys = ("adult_margins_51", "adult_margins_49_excluding_CA_TX", "adult_2way_51")
    full = {key: {} for key in keys} | {
        "source": "s",
        "adults_18plus": 1,
        "age7_edges": [18],
        "x": 1,
    }
    (tmp_path / "reference_margins.json").write_text(json.dumps(full), encoding="utf-8")
    copy_margins(tmp_path, tmp_path / "kept.json")
    assert set(json.loads((tmp_path / "kept.json").read_text("utf-8"))) == set(full) - {"x"}


def test_small_integers_are_widened_on_load(source, tmp_path):
    build(source, tmp_path / "out")
    people = load_population(PopulationSettings(citizens="all"), tmp_path / "out")
    assert people.values("age").dtype == np.int64
