from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from alignment.training.checkpoints import LOGS, RUN, WHOLE, work_folder
from plenary.cli.main import app
from plenary.commands.clean import leftovers, remove_leftovers
from plenary.errors import ConfigError, DataError
from plenary.runs.directory import new_manifest, open_run
from plenary.runs.files import staged

TEMPORARY = ".votes.k2_9zqab.parquet"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with results, and what three killed processes left in it."""
    made = open_run(tmp_path, new_manifest("one", "h", 0, deterministic=True, reason=""), "error")
    made.close()
    path = made.path
    for name in ("votes.parquet", "ledger.sqlite", "ledger.sqlite-wal", TEMPORARY, ".hidden.json"):
        (path / name).write_text("12345")
    for adapter in ("adapter", "adapter.partial", "control_experiment/adapters/rank=0.5-7.partial"):
        (path / adapter).mkdir(parents=True)
        (path / adapter / "adapter_model.safetensors").write_text("weights")
    whole = work_folder(path / "adapter") / "checkpoint-3"
    whole.mkdir(parents=True)
    (whole / WHOLE).write_text('{"steps": []}')
    (whole.parent / RUN).write_text('{"fingerprint": "f"}')
    cut_off = work_folder(path / "control_experiment/adapters/assembly-7")
    (cut_off / "checkpoint-3").mkdir(parents=True)
    (cut_off / LOGS).mkdir()
    finished = work_folder(path / "control_experiment/adapters/shuffled-7")
    (finished / LOGS).mkdir(parents=True)
    return path


def names(run: Path) -> set[str]:
    return {str(path.relative_to(run)) for path in run.rglob("*")}


def test_only_what_is_half_written_goes(run: Path) -> None:
    before = names(run)
    gone = {str(left.path.relative_to(run)): left.size for left in remove_leftovers(
        run, checkpoints=False)}  # fmt: skip
    assert gone == {
        TEMPORARY: 5,
        "adapter.partial": 7,
        "control_experiment/adapters/rank=0.5-7.partial": 7,
        "control_experiment/adapters/assembly-7.training": 0,
    }
    assert before - names(run) == {
        TEMPORARY,
        "adapter.partial",
        "adapter.partial/adapter_model.safetensors",
        "control_experiment/adapters/rank=0.5-7.partial",
        "control_experiment/adapters/rank=0.5-7.partial/adapter_model.safetensors",
        "control_experiment/adapters/assembly-7.training/checkpoint-3",
    }
    assert not remove_leftovers(run, checkpoints=False)


def test_checkpoints_go_when_asked(run: Path) -> None:
    remove_leftovers(run, checkpoints=True)
    assert not leftovers(run)
    assert not work_folder(run / "adapter").exists()
    assert (run / "adapter/adapter_model.safetensors").is_file()
    assert (work_folder(run / "control_experiment/adapters/shuffled-7") / LOGS).is_dir()


def test_a_directory_at_work_is_left_alone(run: Path, tmp_path: Path) -> None:
    manifest = new_manifest("one", "h", 0, deterministic=True, reason="")
    working = open_run(tmp_path, manifest, "resume")
    before = names(run)
    with pytest.raises(ConfigError, match="in use by another process"):
        remove_leftovers(run, checkpoints=True)
    working.close()
    assert names(run) == before


def test_another_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.partial").mkdir()
    with pytest.raises(DataError, match="not a run directory"):
        remove_leftovers(tmp_path, checkpoints=True)
    assert (tmp_path / "a.partial").is_dir()


def test_links_are_not_followed(run: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "x.partial").mkdir(parents=True)
    (run / "link").symlink_to(elsewhere)
    (run / "linked.partial").symlink_to(elsewhere)
    remove_leftovers(run, checkpoints=True)
    assert (elsewhere / "x.partial").is_dir()
    assert (run / "linked.partial").is_symlink()


def test_the_pattern_is_that_of_staged_files(run: Path) -> None:
    with staged(run / "summary.table.json") as temporary:
        assert temporary in {left.path for left in leftovers(run)}


def test_the_verb_shows_first_and_then_removes(run: Path) -> None:
    runner, before = CliRunner(), names(run)
    told = runner.invoke(app, ["clean", str(run), "--dry-run", "--json"], catch_exceptions=False)
    assert "adapter.partial" in told.stdout
    assert "adapter.training" not in told.stdout
    assert names(run) == before
    done = runner.invoke(app, ["clean", str(run), "--checkpoints"], catch_exceptions=False)
    assert "removed from" in done.stdout
    assert not leftovers(run)
