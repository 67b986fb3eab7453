"""Any table as a population through a mapping file, and every bad input."""

from __future__ import annotations

import gzip
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from census_data.cells import cells_of
from census_data.population import PopulationSettings, load_population
from census_data.sources.mapping import import_table, read_mapping
from census_data.store import write_population
from plenary.errors import DataError

MAPPING = """
source: Household survey, Statistical Office of Freedonia
licence: open, with attribution
universe: residents aged 16 and over
year: 2023
weight: peso
columns:
  age: {column: edad}
  sex: {column: sexo, recode: {"1": man, "2": woman}}
  region: {column: prov, recode: {N: North, S: South Coast}}
  household_income: {column: renta, missing: ["", "99999"], not_in_universe: ["-8"]}
  language: {column: lengua}
  religion: {column: lengua, kind: category, recode: {fr: old, de: new}}
bands: {household_income: [0, 1000, 2000]}
"""
HEADER = "edad,sexo,prov,renta,lengua,peso,otra\n"
ROWS = "30,1,N,1500,fr,10.5,x\n41,2,S,99999,de,20,y\n77, 2 ,N,-8,fr,5,z\n"


@pytest.fixture
def mapping(tmp_path):
    return write_mapping(tmp_path, MAPPING)


def write_mapping(folder, text):
    path = folder / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    return read_mapping(path)


def table(folder, text=HEADER + ROWS, name="people.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_another_country(tmp_path, mapping):
    people = import_table(table(tmp_path), mapping)
    assert people.weight.tolist() == [10.5, 20, 5]
    assert people.values("age").tolist() == [30, 41, 77]
    assert [people.label("sex", k) for k in range(3)] == ["man", "woman", "woman"]
    assert people.labels("region") == ("North", "South Coast")
    assert people.values("household_income").tolist() == [1500, -2, -1]
    assert people.labels("language") == ("fr", "de")
    assert people.label("religion", 1) == "new"
    assert set(people.values("tenure").tolist()) == {-2}
    assert cells_of(people, "household_income").labels[1:] == (
        "under 0", "0 to 999", "1000 to 1999", "2000 and over",
    )  # fmt: skip
    assert "United States" not in people.source.model_dump_json()


def test_kept_in_a_folder_and_filtered(tmp_path, mapping):
    people = import_table(table(tmp_path), mapping)
    write_population(people, tmp_path / "kept")
    again = load_population(PopulationSettings(folder=tmp_path / "kept"))
    assert again.source == people.source
    assert again.bands == people.bands
    assert again.categories == people.categories
    for name in people.columns:
        np.testing.assert_array_equal(again.values(name), people.values(name))
    np.testing.assert_array_equal(again.weight, people.weight)
    write_population(people, tmp_path / "twice")
    for file in (tmp_path / "kept").iterdir():
        assert file.read_bytes() == (tmp_path / "twice" / file.name).read_bytes()


def test_other_containers_give_the_same(tmp_path, mapping):
    plain = table(tmp_path)
    people = import_table(plain, mapping)
    (tmp_path / "p.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.write(plain, "p.csv")
    pq.write_table(
        pa.table({
            "edad": [30.0, 41.0, 77.0], "sexo": [1, 2, 2], "prov": ["N", "S", "N"],
            "renta": [1500, 99999, -8], "lengua": ["fr", "de", "fr"], "peso": [10.5, 20, 5],
        }), tmp_path / "p.parquet",
    )  # fmt: skip
    for name in ("p.csv.gz", "p.zip", "p.parquet"):
        other = import_table(tmp_path / name, mapping)
        for column in people.columns:
            np.testing.assert_array_equal(other.values(column), people.values(column))


@pytest.mark.slow
def test_many_blocks(tmp_path, mapping):
    count = 200_000
    path = table(
        tmp_path, HEADER + "".join(f"{20 + k % 60},1,N,{k},fr,2,{'x' * 40}\n" for k in range(count))
    )
    people = import_table(path, mapping)
    assert len(people) == count
    assert people.values("household_income")[-1] == count - 1


def test_nulls_in_parquet_are_missing(tmp_path, mapping):
    content = {
        "edad": [30, None], "sexo": [1, 2], "prov": ["N", "S"], "renta": [None, 5.0],
        "lengua": ["fr", "de"], "peso": [1, 1],
    }  # fmt: skip
    pq.write_table(pa.table(content), tmp_path / "p.parquet")
    people = import_table(tmp_path / "p.parquet", mapping)
    assert people.values("age").tolist() == [30, -2]
    assert people.values("household_income").tolist() == [-2, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace("peso", "weigth") + ROWS, r"has no column 'peso'; it has"),
        (HEADER.replace("sexo", "sexos") + ROWS, r"has no column 'sexo'; it has 'sexos'"),
        (
            HEADER + ROWS + "20,1,N,5,fr,0,x\n",
            r"weight '0' in column 'peso', row 4, is not positive",
        ),
        (HEADER + "20,1,N,5,fr,-3,x\n", r"weight '-3' in column 'peso', row 1, is not positive"),
        (HEADER + "20,1,N,5,fr,,x\n", r"weight '' in column 'peso', row 1, is not positive"),
        (HEADER + ROWS + "20,3,N,5,fr,1,x\n", r"unknown code '3' in column 'sexo', row 4; add it"),
        (HEADER + "old,1,N,5,fr,1,x\n", r"'old' in column 'edad', row 1, is not a number"),
        (HEADER + "20,1,N,-1,fr,1,x\n", r"number '-1' .* would be read as no answer"),
        (HEADER + "20,1,N\n", r"is malformed: .*the file"),
        (HEADER, r"has no rows"),
        ("", r"has no column"),
    ],
)
def test_bad_tables(tmp_path, mapping, text, message):
    with pytest.raises(DataError, match=message):
        import_table(table(tmp_path, text), mapping)


def test_encodings(tmp_path, mapping):
    text = HEADER + ROWS + "20,1,N,5,español,1,x\n"
    path = table(tmp_path, text, encoding="latin-1")
    with pytest.raises(DataError, match=r"is not encoded in 'utf8'.*save it as UTF-8"):
        import_table(path, mapping.model_copy(update={"columns": {
            k: v for k, v in mapping.columns.items() if k != "religion"}}))  # fmt: skip
    other = write_mapping(tmp_path, MAPPING.replace("de: new", "de: new, español: new"))
    people = import_table(path, other.model_copy(update={"encoding": "latin-1"}))
    assert people.labels("language")[-1] == "español"
    with pytest.raises(DataError, match=r"encoding 'klingon'"):
        import_table(path, mapping.model_copy(update={"encoding": "klingon"}))


def test_damaged_archives(tmp_path, mapping):
    plain = table(tmp_path)
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(plain, "p.csv")
    whole = (tmp_path / "p.zip").read_bytes()
    (tmp_path / "p.zip").write_bytes(whole[:-30])
    with pytest.raises(DataError, match=r"truncated or damaged.*again"):
        import_table(tmp_path / "p.zip", mapping)
    broken = bytearray(whole)
    broken[60] ^= 255
    (tmp_path / "p.zip").write_bytes(broken)
    with pytest.raises(DataError, match="truncated or damaged"):
        import_table(tmp_path / "p.zip", mapping)
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("readme.txt", "no")
    with pytest.raises(DataError, match="has no member"):
        import_table(tmp_path / "p.zip", mapping)
    (tmp_path / "p.csv.gz").write_bytes(gzip.compress(plain.read_bytes())[:-9])
    with pytest.raises(DataError, match="truncated or damaged"):
        import_table(tmp_path / "p.csv.gz", mapping)
    (tmp_path / "p.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="malformed"):
        import_table(tmp_path / "p.parquet", mapping)


def test_absent_files(tmp_path, mapping):
    with pytest.raises(DataError, match="cannot read"):
        import_table(tmp_path / "none.csv", mapping)
    with pytest.raises(DataError, match="cannot read mapping"):
        read_mapping(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("weight: peso\n", "", r"has .* at 'weight'"),
        ("weight: peso", "weight: [", "is not YAML"),
        ("year: 2023", "year: soon", "has 'soon' at 'year'"),
        ("kind: category, ", "", "not in the schema; use one of age, sex"),
        ("age: {column: edad}", "age: {column: edad, kind: category}", "is a number, not a"),
        ("age: {column: edad}", 'age: {column: edad, recode: {"1": a}}', "has a recode table"),
    ],
)
def test_bad_mappings(tmp_path, old, new, message):
    with pytest.raises(DataError, match=message):
        import_table(table(tmp_path), write_mapping(tmp_path, MAPPING.replace(old, new)))


def test_delimiter(tmp_path):
    other = write_mapping(tmp_path, MAPPING + "delimiter: ';'\n")
    assert len(import_table(table(tmp_path, (HEADER + ROWS).replace(",", ";")), other)) == 3
