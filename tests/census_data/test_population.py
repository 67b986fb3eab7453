"""Loading, refusing and filtering a population."""

from __future__ import annotations

import hashlib
import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from census_data.manifest import LABELS_FILE, MANIFEST_FILE, SNAPSHOT_FILE
from census_data.population import PopulationSettings, filtered, load_population
from plenary.errors import DataError

SNAPSHOT = Path(str(resources.files("census_data"))) / "snapshot"


@pytest.fixture
def copy(tmp_path):
    folder = tmp_path / "snapshot"
    shutil.copytree(SNAPSHOT, folder)
    return folder


@pytest.mark.parametrize("name", [SNAPSHOT_FILE, LABELS_FILE, MANIFEST_FILE])
def test_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(DataError, match=r"reinstall plenary") as error:
        load_population(folder=copy)
    assert str(copy / name) in str(error.value)


@pytest.mark.parametrize("name", [SNAPSHOT_FILE, LABELS_FILE])
def test_altered_file_is_refused_with_both_hashes(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(DataError, match=r"remake it with") as error:
        load_population(folder=copy)
    assert str(copy / name) in str(error.value)
    assert hashlib.sha256(content).hexdigest() in str(error.value)
    assert hashlib.sha256((SNAPSHOT / name).read_bytes()).hexdigest() in str(error.value)


def test_damaged_manifest_is_refused(copy):
    (copy / MANIFEST_FILE).write_text('{"sha256": 1}', encoding="utf-8")
    with pytest.raises(DataError, match=r"is not a Manifest"):
        load_population(folder=copy)


def test_file_that_is_no_parquet_is_refused(copy):
    content = b"not a table"
    (copy / SNAPSHOT_FILE).write_bytes(content)
    text = (copy / MANIFEST_FILE).read_text("utf-8")
    known = hashlib.sha256((SNAPSHOT / SNAPSHOT_FILE).read_bytes()).hexdigest()
    mended = text.replace(known, hashlib.sha256(content).hexdigest())
    (copy / MANIFEST_FILE).write_text(mended, encoding="utf-8")
    with pytest.raises(DataError, match=r"is not Parquet"):
        load_population(folder=copy)


def test_default_filter_keeps_citizens_in_housing_units():
    people = load_population()
    assert set(people.values("quarters").tolist()) == {0}
    assert "not a citizen" not in {
        people.labels("citizenship")[c] for c in people.values("citizenship")
    }
    assert 0.19 < people.imputed_share < 0.20


@pytest.mark.parametrize(
    ("quarters", "citizens", "share"),
    [("include", "all", 1.0), ("exclude", "all", 0.969), ("include", "citizens", 0.918)],
)
def test_filters_are_independent(quarters, citizens, share):
    people = load_population(PopulationSettings(group_quarters=quarters, citizens=citizens))
    assert people.weight.sum() / people.source.weight_sum == pytest.approx(share, abs=1e-3)
    assert np.all(people.weight > 0)


def test_row_ids_survive_the_filter():
    some, everyone = (
        load_population(),
        load_population(PopulationSettings(group_quarters="include", citizens="all")),
    )
    np.testing.assert_array_equal(everyone.values("age")[some.row_id], some.values("age"))


def test_filter_that_leaves_nobody():
    people = load_population(PopulationSettings(citizens="all"))
    strangers = people.select(people.values("citizenship") == 4)
    with pytest.raises(DataError, match=r"leaves nobody; widen it"):
        filtered(strangers, PopulationSettings())


def test_wrong_names_and_settings():
    people = load_population()
    with pytest.raises(DataError, match=r"unknown column 'shoe_size'; use one of age"):
        people.values("shoe_size")
    with pytest.raises(DataError, match=r"'age' is not a category"):
        people.labels("age")
    with pytest.raises(ValidationError):
        PopulationSettings.model_validate({"citizens": "some"})


def test_weights_must_be_positive():
    people = load_population()
    with pytest.raises(DataError, match=r"person weight 0.0 is not positive"):
        type(people)(
            people.row_id[:1],
            np.zeros(1),
            people.donor[:1],
            people.columns,
            people.categories,
            people.source,
        )
