"""The verbs `plenary personas ...`, run through the command line's entry."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from census_data.fidelity import ATTRIBUTES
from plenary.cli.main import app as whole
from plenary.cli.personas import app
from plenary.errors import ConfigError
from plenary.figures.panel import read_shares

RUNNER = CliRunner()


def run(*words):
    answer = RUNNER.invoke(app, list(words), catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_draw_check_and_figures(tmp_path):
    path = tmp_path / "panel.csv"
    text = run("draw", str(path), "--citizens", "30", "--figure", str(tmp_path / "p.svg"), "--json")
    assert json.loads(text)["citizens"] == "30"
    assert "| `age` |" in (tmp_path / "panel.md").read_text("utf-8")
    svg = (tmp_path / "p.svg").read_text("utf-8")
    assert svg.startswith("<svg")
    assert "under 25" in svg
    assert json.loads(run("check", str(path), "--json"))["method"] == "swap"
    pytest.importorskip("matplotlib")
    run("draw", str(path), "--citizens", "30", "--figure", str(tmp_path / "p.png"), "--json")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match=r"figure 'p.gif' is neither .svg nor .png"):
        run("draw", str(path), "--citizens", "20", "--figure", str(tmp_path / "p.gif"))


def test_check_takes_a_table_of_people_without_ids(tmp_path):
    table = tmp_path / "mine.csv"
    table.write_text("age,sex,mood,weight\n34,woman,good,1\n71,man,,3\n", encoding="utf-8")
    found = json.loads(run("check", str(table), "--json"))
    assert found["citizens"] == "2"
    assert found["ids"].startswith("c001 to c002")
    assert found["effective citizens"] == "1.6"
    assert "34" in found["the first is told"]
    assert "Mood: good" in found["the first is told"]
    lines = tmp_path / "mine.jsonl"
    lines.write_text('{"id": "Ann", "description": "You are Ann."}\n{"id": "Ben", "age": 20}\n')
    found = json.loads(run("check", str(lines), "--json"))
    assert found["ids"] == "Ann to Ben"
    assert found["the first is told"] == "You are Ann."


def test_check_numbers_the_citizens_of_a_panel_file_without_ids(tmp_path):
    path = tmp_path / "panel.jsonl"
    run("draw", str(path), "--citizens", "12", "--json")
    whole = run("check", str(path), "--json")
    people = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for person in people:
        del person["id"]
    path.write_text("".join(json.dumps(person) + "\n" for person in people), encoding="utf-8")
    assert run("check", str(path), "--json") == whole


def test_recruit_writes_the_figure_of_its_panel(tmp_path):
    words = ["recruit", "--set", "panel.citizens=20", "--by", "sex,region", "--out", str(tmp_path)]
    for name in ("p.svg", "p.png"):
        if name.endswith("png"):
            pytest.importorskip("matplotlib")
        answer = RUNNER.invoke(
            whole, [*words, "--figure", str(tmp_path / name)], catch_exceptions=False
        )
        assert answer.exit_code == 0, answer.output
        assert (tmp_path / name).stat().st_size > 10_000
    run_folder = tmp_path / "run"
    table = read_shares(run_folder / "panel_shares.json")
    assert {row.attribute for row in table} == set(ATTRIBUTES)
    assert (tmp_path / "p.svg").read_text("utf-8").count("<circle") == len(table)
    assert "- inclusion probabilities: estimated" in (run_folder / "panel.md").read_text("utf-8")
    lines = (run_folder / "panel.jsonl").read_text("utf-8").splitlines()
    people = [json.loads(line) for line in lines]
    assert {person["inclusion_kind"] for person in people} == {"estimated"}


def test_draw_with_quotas(tmp_path):
    (tmp_path / "q.yaml").write_text("sex: {woman: [6, 6], man: [4, 6]}\n")
    path = tmp_path / "panel.jsonl"
    words = ["--citizens", "12", "--method", "lottery", "--quota", str(tmp_path / "q.yaml")]
    run("draw", str(path), *words, "--by", "sex,region", "--json")
    people = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert sum(p["sex"] == "woman" for p in people) == 6
    with pytest.raises(ConfigError, match=r"has 'dice' at 'method'"):
        run("draw", str(path), "--method", "dice")


def test_stream(tmp_path):
    path = tmp_path / "people.jsonl"
    run("stream", str(path), "--count", "50", "--json")
    people = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert len(people) == 50
    assert people[0]["text"].startswith("You are a")


def test_validate():
    words = ("validate", "--citizens", "30", "--items", "gunlaw,grass", "--json")
    flat = json.loads(run(*words, "--model", "survey:marginal"))
    assert flat["verdict"] == ["differences between groups are flattened"]
    assert set(flat["scores"]) == {"personas", "marginal", "regression", "no persona"}
    table = run("validate", "--citizens", "30", "--items", "gunlaw", "--model", "survey:shares")
    assert "between ratio" in table
    with pytest.raises(ConfigError, match=r"rendering 'third'; use second, first"):
        run(*words, "--rendering", "third")
