"""The bureau's own files: reading, joining, and fetching them over a bad line."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from support.bureau import Reply, bureau

from census_data.population import PopulationSettings, load_book, load_population
from census_data.sources.download import download
from census_data.sources.pums import (
    HOUSING_VARIABLES,
    PERSON_VARIABLES,
    bulk_address,
    import_pums,
    import_records,
)
from census_data.sources.recode import label_tables
from census_data.sources.session import CensusError, Patience
from census_data.store import write_population
from plenary.errors import ConfigError, DataError

QUICK = Patience(read=0.5, attempts=3)
ADULT = {
    "SERIALNO": "2024HU0000001", "PWGTP": "120", "STATE": "06", "AGEP": "41", "SEX": "2",
    "RAC1P": "1", "HISP": "01", "SCHL": "21", "FOD1P": "2001", "MAR": "1", "ESR": "1", "COW": "1",
    "OCCP": "0010", "INDP": "0170", "WKHP": "40", "PINCP": "52000", "CIT": "1", "ENG": "", "MIL":
    "4", "DIS": "2", "HICOV": "1", "JWTRNS": "01", "RELSHIPP": "20", "NAICSP": "111",
}  # fmt: skip
CHILD = {
    **ADULT, "AGEP": "7", "PWGTP": "90", "RELSHIPP": "25", "SCHL": "04", "FOD1P": "", "MAR": "5",
    "ESR": "", "COW": "", "OCCP": "", "INDP": "N", "WKHP": "", "PINCP": "", "MIL": "", "JWTRNS": "",
}  # fmt: skip
STUDENT = {
    **ADULT, "SERIALNO": "2024GQ0000007", "AGEP": "19", "RELSHIPP": "38", "FOD1P": "", "ENG": "1",
    "OCCP": "9920", "INDP": "9920", "ESR": "3", "COW": "9", "WKHP": "", "CIT": "5", "HISP": "02",
    "JWTRNS": "",
}  # fmt: skip
HOMES = [
    {"SERIALNO": "2024GQ0000007", "HINCP": "", "HHT": "", "TEN": "", "HHL": "", "NP": "1"},
    {"SERIALNO": "2024HU0000001", "HINCP": "99000", "HHT": "1", "TEN": "3", "HHL": "2", "NP": "2"},
]


def write(path, rows):
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def persons(tmp_path):
    return write(tmp_path / "psam_p06.csv", [ADULT, CHILD, STUDENT])


def test_persons_with_their_households(persons, tmp_path):
    people = import_pums([persons], [write(tmp_path / "psam_h06.csv", HOMES)], 2024)
    assert people.weight.tolist() == [120, 120]

    def said(name):
        return [people.label(name, k) for k in range(2)]

    assert people.values("age").tolist() == [41, 19]
    assert said("state") == ["California"] * 2
    assert said("region") == ["West"] * 2
    assert said("race_origin") == ["white", "Hispanic"]
    assert said("education") == ["bachelor's degree"] * 2
    assert said("occupation_group") == ["management", "unemployed, no work in the last 5 years"]
    assert said("industry_group")[0] == "agriculture, forestry and fishing"
    assert said("quarters") == ["housing unit", "other group quarters"]
    assert said("tenure") == ["rented", None]
    assert said("language") == ["Spanish", None]
    assert said("english") == [None, "very well"]
    assert people.values("household_income").tolist() == [99000, -1]
    assert people.values("children").tolist() == [1, 0]
    assert people.values("household_size").tolist() == [2, 1]
    assert people.values("householder").tolist() == [1, 0]
    assert people.values("hours").tolist() == [40, -1]
    assert set(people.values("metro").tolist()) == {-2}
    assert people.imputed_share == 0


def test_without_housing_files_households_are_missing(persons):
    people = import_pums([persons], [], 2024)
    assert set(people.values("tenure").tolist()) == {-2}
    assert people.values("household_size").tolist() == [2, 1]
    assert "tenure is missing for everybody." in people.source.notes


def test_filters_work_on_imported_files(persons, tmp_path):
    write_population(import_pums([persons], [], 2024), tmp_path / "kept")
    kept = load_population(PopulationSettings(folder=tmp_path / "kept"))
    assert kept.values("age").tolist() == [41]


def test_older_files_say_st(tmp_path):
    rows = [{("ST" if k == "STATE" else k): v for k, v in ADULT.items()}]
    people = import_pums([write(tmp_path / "psam_p06.csv", rows)], [], 2023)
    assert people.label("state", 0) == "California"


def test_zip_of_two_files(tmp_path, persons):
    second = write(tmp_path / "psam_pusb.csv", [{**ADULT, "SERIALNO": "x", "AGEP": "88"}])
    with zipfile.ZipFile(tmp_path / "csv_pus.zip", "w") as archive:
        archive.write(persons, "psam_pusa.csv")
        archive.write(second, "psam_pusb.csv")
        archive.writestr("ACS2024_PUMS_README.pdf", "x")
    people = import_pums([tmp_path / "csv_pus.zip"], [], 2024)
    assert people.values("age").tolist() == [41, 19, 88]


def test_endpoint_says_not_asked_in_its_own_way():
    lone = {**ADULT, "ENG": "0", "OCCP": "N", "INDP": "0", "PINCP": "-19999", "WKHP": "0",
            "FOD1P": "N", "JWTRNS": "-1", "HINCP": "-60000", "TEN": "0", "HHT": "0", "HHL": "0",
            "NP": "3", "state": "06"}  # fmt: skip
    people = import_records([lone], 2024)
    for name in ("english", "occupation", "occupation_group", "industry", "personal_income",
                 "hours", "field_of_degree", "commute", "household_income", "tenure"):  # fmt: skip
        assert people.values(name).tolist() == [-1], name
    assert people.values("household_size").tolist() == [3]
    with pytest.raises(DataError, match=r"records lack \['PWGTP'\]"):
        import_records([{k: v for k, v in lone.items() if k != "PWGTP"}], 2024)
    with pytest.raises(DataError, match="no record"):
        import_records([], 2024)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"SEX": "7"}, r"unknown code .* in column 'sex'"),
        ({"SEX": "x"}, r"unknown code 'x' in variable 'SEX'"),
        ({"OCCP": "0011"}, r"unknown code 11 in column 'occupation'"),
        ({"PWGTP": "0"}, r"weight '0' in column 'PWGTP', row 1, is not positive"),
        ({"AGEP": "3"}, r"no adult among the records"),
    ],
)
def test_bad_records(tmp_path, change, message):
    path = write(tmp_path / "psam_p06.csv", [{**ADULT, **change}])
    with pytest.raises(DataError, match=message):
        import_pums([path], [], 2024)


def test_bad_files(tmp_path, persons):
    path = write(tmp_path / "p.csv", [{k: v for k, v in ADULT.items() if k != "PWGTP"}])
    with pytest.raises(DataError, match=r"has no column 'PWGTP'"):
        import_pums([path], [], 2024)
    with pytest.raises(DataError, match=r"person of household '2024.*' has no housing record"):
        import_pums([persons], [write(tmp_path / "psam_h06.csv", HOMES[:1])], 2024)
    with pytest.raises(ConfigError, match="no person file"):
        import_pums([], [], 2024)
    write(tmp_path / "psam_p01.csv", [ADULT])
    (tmp_path / "psam_p01.csv").write_bytes(b"\xfe\x00bad,\n")
    with pytest.raises(DataError, match=r"is not encoded in 'utf8'"):
        import_pums([tmp_path / "psam_p01.csv"], [], 2024)


def test_groups_follow_from_codes_as_in_the_snapshot():
    everyone = load_population(PopulationSettings(group_quarters="include", citizens="all"))
    tables = label_tables(load_book())
    for name in ("occupation", "industry"):
        codes, groups = everyone.values(name), everyone.values(f"{name}_group")
        order = list(dict.fromkeys(tables[name].prefixes))
        found = np.array([order.index(prefix) for prefix in tables[name].prefixes])
        np.testing.assert_array_equal(found[codes[codes >= 0]], groups[codes >= 0])


def test_addresses():
    assert bulk_address("CA", 2024) == (
        "https://www2.census.gov/programs-surveys/acs/data/pums/2024/1-Year/csv_pca.zip"
    )
    assert bulk_address("wy", 2023, housing=True).endswith("/2023/1-Year/csv_hwy.zip")
    with pytest.raises(ConfigError, match="unknown state 'ZZ'"):
        bulk_address("ZZ", 2024)
    assert set(HOUSING_VARIABLES).isdisjoint(PERSON_VARIABLES)


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "there.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("psam_p06.csv", np.random.Generator(np.random.PCG64(0)).bytes(3_000_000))
    return path.read_bytes()


def test_broken_line_is_resumed(tmp_path, archive):
    waits = []
    with bureau() as server:
        server.files["/f.zip"] = archive
        server.script = [Reply(cut=1_000_000), Reply(503), Reply(cut=500_000)]
        path = download(f"{server.address}/f.zip", tmp_path / "f.zip", QUICK, waits.append)
        asked = len(server.seen)
        assert path.read_bytes() == archive
        assert asked >= 3
        download(f"{server.address}/f.zip", tmp_path / "f.zip", QUICK, waits.append)
        assert len(server.seen) == asked
    assert not (tmp_path / "f.zip.part").exists()


def test_what_came_is_kept_for_the_next_call(tmp_path, archive):
    (tmp_path / "f.zip.part").write_bytes(archive[:2_000_000])
    with bureau() as server:
        server.files["/f.zip"] = archive
        download(f"{server.address}/f.zip", tmp_path / "f.zip", QUICK, [].append)
    assert (tmp_path / "f.zip").read_bytes() == archive


def test_line_that_stays_down(tmp_path):
    with bureau() as gone:
        pass
    with pytest.raises(CensusError, match=r"cannot be fetched: ConnectionError; run again"):
        download(f"{gone.address}/f.zip", tmp_path / "f.zip", QUICK, [].append)


def test_no_such_file_and_no_archive(tmp_path):
    with bureau() as server:
        server.routes["/absent"] = lambda query: Reply(404, "no")
        server.routes["/page"] = lambda query: Reply(200, "<html>sorry</html>")
        with pytest.raises(CensusError, match="does not exist"):
            download(f"{server.address}/absent.zip", tmp_path / "f.zip", QUICK, [].append)
        with pytest.raises(CensusError, match="zip archive"):
            download(f"{server.address}/page.zip", tmp_path / "g.zip", QUICK, [].append)
