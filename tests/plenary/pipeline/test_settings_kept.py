from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from support.bench import Bench

import plenary.embedded as embedded
from plenary.pipeline.settings_kept import SHOWN, differences, told
from plenary.runs.config import load_config


def files_of(run: Path) -> dict[str, bytes]:
    return {str(p.relative_to(run)): p.read_bytes() for p in run.rglob("*") if p.is_file()}


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    return Bench(tmp_path, monkeypatch, capsys)


@pytest.fixture
def held(bench: Bench) -> Bench:
    """A run of planted citizens up to the consensus."""
    assert bench.planted("consensus").code == 0
    return bench


COMMANDS = (
    ("run", "--exists", "resume"), ("recruit",), ("convene",), ("consensus",), ("dataset",),
    ("conditions",), ("elicit",), ("fit",), ("align",), ("compare",), ("report",), ("control",),
    ("publish", "--base", "lab/x", "--folder", "hub"), ("convene", "--executor", "processes"),
)  # fmt: skip


def test_no_command_with_other_settings_touches_a_file_of_the_run(held: Bench) -> None:
    """The slip: the name of the run and another config, or the defaults, with each command."""
    run = held.folder / "runs" / "small"
    before = files_of(run)
    model = (
        "--set",
        f"model=local:{embedded.model_path()}",
        "--set",
        f"citizens_model={held.world}",
    )
    for command in COMMANDS:
        trains = command[0] in ("run", "align", "compare", "report", "publish", "fit")
        specs = model if trains else held.specs()
        answer = held.here(*command, "dataset_only", "--name", "small", *specs)
        assert answer.code == 2, (command, answer)
        assert "panel.citizens: 14 -> " in answer.err, command
        assert "'recruit'" in answer.err, command
        assert "--name" in answer.err, command
        assert files_of(run) == before, command


def test_a_run_directory_stands_for_its_settings(held: Bench, tmp_path: Path) -> None:
    run = held.folder / "runs" / "small"
    before = {name: text for name, text in files_of(run).items() if name.endswith(".parquet")}
    settings = (run / "config.yaml").read_text()
    held.patch.chdir(tmp_path.parent)
    assert held.here("convene", str(run)).code == 0
    done = held.here("dataset", str(run), "--set", "dataset.creator=Ada", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["folder"] == str(run / "dataset")
    changed = yaml.safe_load((run / "config.yaml").read_text())
    assert changed["dataset"].pop("creator") == "Ada"
    assert changed["dataset"] | {"creator": "not given"} == yaml.safe_load(settings)["dataset"]
    assert before.items() <= files_of(run).items()
    assert list(tmp_path.parent.glob("runs")) == []


def test_a_run_directory_with_a_name_is_the_config_of_another_run(held: Bench) -> None:
    assert held.here("recruit", "runs/small", "--name", "second", "--set", "seed=3").code == 0
    first, second = (load_config(held.folder / "runs" / name) for name in ("small", "second"))
    assert differences(first, second) == ["seed: 0 -> 3"]


def test_a_run_directory_is_a_config_without_a_run(held: Bench) -> None:
    for command in (("preregister", "draft"), ("audit", "--dry-run"), ("elicit", "--dry-run"),
                    ("evaluate", "--dry-run"), ("run", "--dry-run")):  # fmt: skip
        answer = held.here(*command, "runs/small", "--json")
        assert answer.code == 0, (command, answer.err)


def test_redo_replaces_what_hangs_on_the_setting_and_keeps_the_assembly(held: Bench) -> None:
    run = held.folder / "runs" / "small"
    votes = (run / "votes.parquet").read_bytes()
    other = ("--set", "dataset.rule=borda")
    refused = held.here("consensus", "runs/small", *other)
    assert refused.code == 2
    assert "dataset.rule: 'weighted_share' -> 'borda'" in refused.err
    assert held.here("consensus", "runs/small", *other, "--exists", "redo").code == 0
    assert json.loads((run / "consensus.json").read_text())["rule"] == "borda"
    assert (run / "votes.parquet").read_bytes() == votes
    mixed = held.here("convene", "runs/small", "--set", "seed=7", "--exists", "redo")
    assert mixed.code == 2
    assert "its votes would mix with others" in mixed.err


def test_what_a_dataset_is_published_with_may_change_at_any_time(held: Bench) -> None:
    assert held.here("dataset", "runs/small").code == 0
    done = held.here("dataset", "runs/small", "--set", "dataset.creator=Ada")
    assert done.code == 0, done.err
    assert "Ada" in (held.folder / "runs" / "small" / "dataset" / "README.md").read_text()


def test_a_changed_file_of_outcomes_is_a_changed_setting(held: Bench) -> None:
    before = files_of(held.folder / "runs" / "small")
    outcomes = held.folder / "outcomes.csv"
    outcomes.write_text(outcomes.read_text().replace("3 trees", "4 trees"))
    answer = held.planted("consensus")
    assert answer.code == 2
    assert "outcomes.path: its files have changed" in answer.err
    assert files_of(held.folder / "runs" / "small") == before


def test_many_differences_are_told_in_part() -> None:
    found = differences(load_config("quickstart"), load_config("us_100", ["name=x"]))
    assert not any(line.startswith("name:") for line in found)
    assert told([f"a{k}: 1 -> 2" for k in range(SHOWN + 2)]).endswith(" and 2 more")
    assert all(" -> " in line for line in found)
