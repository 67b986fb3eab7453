from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from assembly.record.ballots import Votes
from personas.panel_file import read_panel, write_panel
from plenary.cli.main import app
from plenary.commands.show import describe, movement_by
from plenary.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("name", "title", "row"),
    [
        ("votes.parquet", "votes", ("votes", "2,128")),
        ("statements.parquet", "statements", ("statements", "228")),
        ("panel.jsonl", "a panel", ("citizens", "14")),
        ("consensus.parquet", "what the assembly decided", ("pairs", "38")),
        ("dataset", "a consensus dataset", ("held out", "14")),
        ("dataset/consensus.parquet", "a consensus dataset", ("pairs", "38")),
        ("utilities_before_train.parquet", "fitted utilities", ("outcomes", "14")),
        ("shift_held_out.parquet", "utilities that moved", ("outcomes", "10")),
        ("before.parquet", "answers", ("cells", "76")),
        ("ledger.sqlite", "a ledger or store of calls", ("votes", "2,128")),
        ("assembly.json", "a record", ("votes", "2128")),
    ],
)
def test_every_artifact_is_told_by_its_content(
    tiny: Path, name: str, title: str, row: tuple[str, str]
) -> None:
    shown = describe(tiny / name)
    assert shown.title == f"{tiny / name}: {title}"
    assert row in shown.rows


@pytest.mark.parametrize(
    "name",
    [
        "votes.parquet", "statements.parquet", "consensus.parquet", "dataset/consensus.parquet",
        "utilities_before_train.parquet", "shift_held_out.parquet", "before.parquet",
    ],
)  # fmt: skip
def test_every_column_of_a_table_is_explained(tiny: Path, name: str) -> None:
    explained = describe(tiny / name).columns
    assert [column for column, _ in explained] == pq.read_schema(tiny / name).names
    assert all(meaning for _, meaning in explained)


def test_a_panel_and_a_dataset_folder_are_explained_too(tiny: Path) -> None:
    person = json.loads((tiny / "panel.jsonl").read_text("utf-8").splitlines()[0])
    assert {name for name, _ in describe(tiny / "panel.jsonl").columns} == set(person)
    table = describe(tiny / "dataset" / "consensus.parquet")
    assert describe(tiny / "dataset").columns == table.columns
    assert not describe(tiny / "assembly.json").columns


def test_groups_that_moved_are_shown_with_intervals(tiny: Path) -> None:
    words = ["show", str(tiny / "votes.parquet"), "--by", "sex"]
    plain = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "woman" in plain.stdout
    assert " to " in plain.stdout
    answer = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    rows = json.loads(answer.stdout)
    assert {row["sex"] for row in rows} == {"man", "woman"}
    assert sum(row["citizens"] for row in rows) == 14
    for row in rows:
        assert row["changed_low"] <= row["changed"] <= row["changed_high"]
    assert rows == list(movement_by(tiny, "sex"))
    with pytest.raises(ConfigError, match="shoe"):
        movement_by(tiny, "shoe")


def test_groups_are_not_known_for_a_file_outside_a_run(tiny: Path, tmp_path: Path) -> None:
    shutil.copy(tiny / "votes.parquet", tmp_path)
    with pytest.raises(DataError, match="--by"):
        movement_by(tmp_path / "votes.parquet", "sex")


def test_states_add_up(tiny: Path) -> None:
    votes = Votes.read(tiny / "votes.parquet")
    rows = dict(describe(tiny / "votes.parquet").rows)
    counted = votes.counted(0)
    assert rows["before"].startswith(f"{counted['valid']:,} valid, ")
    assert "invalid" in dict(describe(tiny / "ledger.sqlite").rows)["votes by state"]


def test_a_panel_is_told_in_any_form(tiny: Path, tmp_path: Path) -> None:
    for name in ("panel.csv", "panel.parquet"):
        write_panel(read_panel(tiny / "panel.jsonl"), tmp_path / name)
        assert describe(tmp_path / name).rows == describe(tiny / "panel.jsonl").rows


def test_adapter_and_unknown_table(tmp_path: Path) -> None:
    (tmp_path / "plenary_adapter.json").write_text('{"format": "plenary-adapter-1", "seed": 3}')
    assert ("seed", "3") in describe(tmp_path).rows
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "x.parquet")
    assert describe(tmp_path / "x.parquet").rows == (("rows", "2"), ("columns", "a"))


def test_what_is_nothing_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    (tmp_path / "x.parquet").write_text("no")
    sqlite3.connect(tmp_path / "x.sqlite").close()
    for name in ("nothing", "x.json", "x.parquet", "x.sqlite"):
        with pytest.raises(DataError, match=name):
            describe(tmp_path / name)


def test_the_verb_prints_one_json_object(tiny: Path) -> None:
    words = ["show", str(tiny / "votes.parquet"), "--json"]
    answer = CliRunner().invoke(app, words, catch_exceptions=False)
    assert json.loads(answer.stdout)["citizens"] == "14"
    plain = CliRunner().invoke(app, words[:2], catch_exceptions=False)
    assert "citizens" in plain.stdout
