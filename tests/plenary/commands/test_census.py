"""plenary census show, fetch, import and rake, as typed."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from support.bureau import KEY, Reply, bureau
from typer.testing import CliRunner

from census_data.population import PopulationSettings, load_population
from census_data.sources.acs_margins import AGES
from plenary import embedded
from plenary.cli.main import app, main
from plenary.commands.census import import_files
from plenary.errors import ConfigError, DataError

WEIGHTS = Path(embedded.__file__).parent / "weights"
MAPPING = """
source: s
licence: l
universe: u
year: 2023
weight: w
columns: {sex: {column: s, recode: {"1": man, "2": woman}}, age: {column: a}}
"""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("CENSUS_API_KEY", KEY)
    with bureau() as running:
        monkeypatch.setenv("CENSUS_BASE_URL", running.address)
        yield running


def plenary(*words):
    result = CliRunner().invoke(app, ["census", *map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def answer(*words):
    result = plenary(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def imported(tmp_path):
    (tmp_path / "m.yaml").write_text(MAPPING, encoding="utf-8")
    rows = "".join(f"{1 + k % 2},{20 + k % 50},{1 + k % 3}\n" for k in range(300))
    (tmp_path / "p.csv").write_text("s,a,w\n" + rows, encoding="utf-8")
    found = answer(
        "import", tmp_path / "p.csv", "--mapping", tmp_path / "m.yaml", "--out", tmp_path / "pop"
    )
    assert (found["rows"], found["weight_sum"]) == (300, 600.0)
    assert found["columns"] == ["sex", "age"]
    return tmp_path / "pop"


@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="the embedded model is not built here")
def test_show(tmp_path):
    found = answer("show", "quickstart", "--out", tmp_path)
    assert found["rows"] == 179_811
    assert found["year"] == 2024
    assert found["weight_sum"] == pytest.approx(237_605_319, abs=1)
    assert 0.19 < found["imputed_share"] < 0.20


def test_an_altered_snapshot_is_one_plain_line(imported, tmp_path, monkeypatch, capsys):
    path = imported / "population.parquet"
    content = bytearray(path.read_bytes())
    known = hashlib.sha256(content).hexdigest()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    words = ("census", "show", "--set", f"population.folder={imported}", "--out", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["plenary", *words])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == DataError.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert repr(str(path)) in line
    assert known in line
    assert hashlib.sha256(content).hexdigest() in line


def test_a_mapping_without_a_licence_is_read_with_a_warning(imported, tmp_path):
    stated = (tmp_path / "m.yaml").read_text("utf-8")
    files = (tmp_path / "p.csv", "--mapping", tmp_path / "m.yaml", "--out", tmp_path / "pop2")
    assert answer("import", *files)["warnings"] == []
    for line in ("", "licence: ''\n"):
        (tmp_path / "m.yaml").write_text(stated.replace("licence: l\n", line), encoding="utf-8")
        (warning,) = answer("import", *files)["warnings"]
        assert "licence" in warning


def test_rake_to_a_file(imported, tmp_path):
    (tmp_path / "sex.csv").write_text("sex,count\nman,40\nwoman,60\n", encoding="utf-8")
    words = ("rake", "--folder", imported, "--margins", tmp_path / "sex.csv", "--shares",
             "--highest", "5", "--out", tmp_path / "raked")  # fmt: skip
    found = answer(*words)
    assert found["max_error"] <= 1e-7
    assert found["margins"][0]["name"] == "sex"
    people = load_population(PopulationSettings(folder=tmp_path / "raked"))
    women = people.weight[people.values("sex") == 1].sum()
    assert women / people.weight.sum() == pytest.approx(0.6)
    assert "Weights were raked to sex." in people.source.notes
    assert "design_effect" in plenary(*words).stdout


def test_rake_to_the_packaged_population(imported, tmp_path):
    found = answer("rake", "--folder", imported, "--to", "sex", "--shares", "--out", tmp_path)
    assert found["margins"][0]["name"] == "sex"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rake",), "no margin to rake to"),
        (("rake", "--to", "sex", "--highest", "0.5"), "has 0.5 at .highest"),
        (("rake", "--to", "sexx"), "unknown column 'sexx'"),
        (("import", "a.csv", "b.csv", "--mapping", "m.yaml"), "a mapping reads one table"),
        (("fetch", "--tables", "B01001", "--survey", "cps"), "unknown survey 'cps'"),
        (("fetch", "--tables", "B01001", "--geo", "mars"), "unknown geography 'mars'"),
        (("fetch", "--pums", "ZZ"), "unknown state 'ZZ'"),
    ],
)
def test_bad_words(server, tmp_path, words, message):
    with pytest.raises((ConfigError, DataError), match=message):
        plenary(*words, "--out", tmp_path / "out")


def test_fetch_wants_one_thing(server):
    for words in ((), ("--tables", "B1", "--pums", "CA")):
        result = plenary("fetch", *words)
        assert result.exit_code == 2
        assert "name --tables, --pums or --records" in result.stderr


def test_fetch_a_table_and_rake_to_it(server, tmp_path):
    labels = [f"Estimate!!Total:!!{sex}:!!{age}" for sex in ("Male", "Female") for age in AGES]
    names = [f"B01001_{k:03d}E" for k in range(1, len(labels) + 1)]
    facts = {n: {"label": t, "concept": "Sex by Age", "predicateType": "int"}
             for n, t in zip(names, labels, strict=True)}  # fmt: skip

    def reply(query):
        if "get" not in query:
            return Reply(200, json.dumps({"variables": facts}))
        fields = query["get"][0].split(",")
        values = ["United States" if f == "NAME" else "1000" for f in fields]
        return Reply(200, json.dumps([[*fields, "us"], [*values, "1"]]))

    server.routes["/acs5"] = reply
    out = tmp_path / "got"
    words = ("fetch", "--tables", "B01001", "--out", out, "--cache", tmp_path / "cache")
    found = answer(*words)
    assert found["margins"] == ["sex x age"]
    with (out / "B01001.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "place": "United States", "code": "us", "variable": "B01001_001E", "label": labels[0],
        "estimate": "1000.0",
    }  # fmt: skip
    assert answer(*words)["requests"] == 0
    raked = answer("rake", "--margins", out / "margins.yaml", "--out", tmp_path / "raked")
    assert raked["max_error"] <= 1e-7


def test_fetch_zips(server, tmp_path):
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("psam_p56.csv", "x")
    for kind in "ph":
        place = f"/programs-surveys/acs/data/pums/2024/1-Year/csv_{kind}wy.zip"
        server.files[place] = made.getvalue()
    found = answer("fetch", "--pums", "WY", "--out", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["csv_hwy.zip", "csv_pwy.zip"]
    assert len(found["files"]) == 2


def test_a_table_of_ones_own_without_a_mapping_is_told_of_it(tmp_path):
    table = tmp_path / "people.csv"
    table.write_text("s,a,w\n1,30,2\n")
    with pytest.raises(DataError, match="a table of your own needs --mapping FILE"):
        import_files([table], None, [], 2024, tmp_path / "out")


def test_a_panel_is_not_praised_for_what_its_survey_does_not_tell(tmp_path, monkeypatch):
    data = Path(__file__).parents[3] / "examples" / "data"
    import_files([data / "village.csv"], data / "village.yaml", [], 2024, tmp_path / "village")
    monkeypatch.chdir(tmp_path)
    changes = (
        "population.folder=village", "panel.citizens=6", 'panel.by=["sex", "education"]',
        "assembly.table_size=3",
    )  # fmt: skip
    told = CliRunner().invoke(app, ["recruit", *(w for c in changes for w in ("--set", c))])
    assert told.exit_code == 0, told.output
    fidelity = json.loads((tmp_path / "runs/run/panel_fidelity.json").read_text())
    assert [margin["name"] for margin in fidelity["margins"]] == ["age", "sex", "education"]
    shares = json.loads((tmp_path / "runs/run/panel_shares.json").read_text())
    assert {one["attribute"] for one in shares["categories"]} == {"age", "sex", "education"}
