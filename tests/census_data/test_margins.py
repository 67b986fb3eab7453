"""Margins counted, read, written and fitted to a population."""

from __future__ import annotations

import numpy as np
import pytest

from census_data.cells import band_labels, cells_of, joint_cells
from census_data.margins import (
    MarginTarget,
    fit_margins,
    population_margin,
    read_targets,
    write_targets,
)
from census_data.population import load_population
from census_data.raking import OUTSIDE, rake
from plenary.errors import ConfigError, DataError
from plenary.seeding import generator

PEOPLE = load_population()
SOME = PEOPLE.select(generator(1, "some").permutation(len(PEOPLE))[:4000])


def test_band_labels():
    assert band_labels((0, 1, 15)) == ("under 0", "0", "1 to 14", "15 and over")


def test_cells_count_no_answer_apart():
    _, codes, labels = cells_of(PEOPLE, "english")
    assert labels[0] == "no answer"
    np.testing.assert_array_equal(codes == 0, PEOPLE.values("english") < 0)


def test_number_without_bands_is_refused():
    bare = type(PEOPLE)(
        PEOPLE.row_id, PEOPLE.weight, PEOPLE.donor, PEOPLE.columns, PEOPLE.categories,
        PEOPLE.source, {},
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"'age' has no bands"):
        cells_of(bare, "age")


@pytest.mark.parametrize("names", [(), ("sex", "sex"), ("sex", "age", "region", "metro")])
def test_one_to_three_columns(names):
    with pytest.raises(ConfigError, match="one, two or three different columns"):
        joint_cells(PEOPLE, names)


def test_raking_a_sample_to_the_population(tmp_path):
    columns = [("sex", "age"), ("race_origin",), ("sex", "region", "metro")]
    targets = [population_margin(PEOPLE, names) for names in columns]
    write_targets(targets, tmp_path / "m.yaml")
    again = read_targets(tmp_path / "m.yaml")
    assert [t.columns for t in again] == columns
    raked = rake(np.ones(len(SOME)), fit_margins(SOME, again))
    assert raked.weight.sum() == pytest.approx(PEOPLE.weight.sum())
    assert raked.report.max_error <= 1e-7


def test_shares_are_scaled_to_the_people_they_cover():
    others = "owned with a mortgage | owned free and clear | occupied without rent"
    target = MarginTarget(columns=("tenure",), cells=(("rented", 40), (others, 60)))
    (margin,) = fit_margins(SOME, [target], shares=True)
    assert margin.targets.sum() == pytest.approx(SOME.weight[margin.codes > OUTSIDE].sum())
    assert margin.targets[0] / margin.targets.sum() == pytest.approx(0.4)
    assert set(margin.codes[SOME.values("tenure") < 0]) <= {OUTSIDE}


def test_csv_is_one_margin(tmp_path):
    path = tmp_path / "sex.csv"
    path.write_text("sex,region,count\nman,South,10\nwoman,South | West,30\n", encoding="utf-8")
    (target,) = read_targets(path)
    (margin,) = fit_margins(SOME, [target])
    assert margin.targets.tolist() == [10, 30]
    assert margin.cells == ("man, South", "woman, South | West")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("margins: [", "is not YAML"),
        ("margins: []", r"has \[\] at 'margins'"),
        ("margins: [{columns: [sex], cells: [[man, 1]], colour: red}]", "Extra inputs"),
        ("", "has None"),
    ],
)
def test_bad_yaml(tmp_path, text, message):
    path = tmp_path / "m.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_targets(path)


@pytest.mark.parametrize("text", ["", "sex,count\n", "sex,n\nman,1\n", "count\n1\n"])
def test_bad_csv(tmp_path, text):
    path = tmp_path / "m.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="have no header"):
        read_targets(path)


def test_unreadable_files(tmp_path):
    with pytest.raises(DataError, match="cannot read margins"):
        read_targets(tmp_path / "none.yaml")
    (tmp_path / "m.toml").write_text("x")
    with pytest.raises(DataError, match="toml"):
        read_targets(tmp_path / "m.toml")
    (tmp_path / "m.csv").write_bytes("sexe,count\nfemme né,1\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_targets(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            (("other", 1.0),),
            r"unknown code 'other' for column 'sex'; use one of 'no answer', 'man'",
        ),
        ((("man", 1.0), ("man", 2.0)), r"names cell 'man' twice"),
        ((("man",),), r"is not 1 labels and a count"),
        ((("man", "many"),), r"count 'many' of margin 'sex' is not a number"),
        ((("man", -1.0),), r"count -1.0 of margin 'sex' is negative"),
    ],
)
def test_bad_targets(cells, message):
    with pytest.raises(DataError, match=message):
        fit_margins(SOME, [MarginTarget(columns=("sex",), cells=cells)])
