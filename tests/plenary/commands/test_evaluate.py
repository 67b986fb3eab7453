"""`plenary evaluate` on the model that ships."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plenary.cli.main import app
from plenary.commands.evaluate import LOOSE, Place, finished_run, place_of
from plenary.errors import ConfigError, DataError
from plenary.runs.config import load_config
from plenary.runs.directory import StageRecord, new_manifest
from plenary.runs.records.base import read_results

SMALL = ("--set", "battery.outcomes=12", "--set", "battery.bootstrap=100")


def _evaluate(*words: object):
    return CliRunner().invoke(app, ["evaluate", *SMALL, *map(str, words)])


def test_a_dry_run_counts_prompts_and_writes_nothing(tmp_path: Path) -> None:
    done = _evaluate("--battery", "coherence", "--dry-run", "--json", "--out", tmp_path / "r.json")
    assert done.exit_code == 0, done.output
    assert 0 < json.loads(done.stdout)["Coherence of choices"] < 1000
    assert not list(tmp_path.iterdir())


def test_results_are_kept_read_back_and_calls_not_repeated(tmp_path: Path) -> None:
    out = tmp_path / "new" / "results.json"
    words = ("--battery", "behaviour_link", "--battery", "temporal_discounting", "--out", out)
    done = _evaluate(*words, "--json")
    assert done.exit_code == 0, done.output
    results = read_results(out)
    assert [found.battery for found in results] == ["behaviour_link", "temporal_discounting"]
    assert results[0].findings[0].shown
    assert not [f for f in results[1].findings if f.shown]
    again = _evaluate(*words, "--set", "budget.calls=1")
    assert again.exit_code == 0, again.output
    assert read_results(out) == results
    assert "Choices in context" in again.output


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--suite", "big"), "'core', 'full'"), (("--battery", "taste"), "unknown battery")],
)
def test_what_does_not_exist_is_an_error(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = _evaluate(*words, "--out", tmp_path / "r.json")
    assert done.exit_code
    assert said in done.output + str(done.exception)


def test_altered_results_are_refused(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("[{}]")
    with pytest.raises(DataError, match="run plenary evaluate again"):
        read_results(tmp_path / "r.json")


def finished(folder: Path, model: str = "embedded") -> Path:
    """What a finished run of the quickstart leaves, as far as this verb looks."""
    run = folder / "quickstart"
    run.mkdir()
    done = StageRecord(fingerprint="f", settings="s")
    manifest = new_manifest("quickstart", "h", 1, deterministic=True, reason="").model_copy(
        update={"stages": {"report": done}}
    )
    (run / "manifest.json").write_text(manifest.model_dump_json())
    (run / "config.yaml").write_text(f"model: {model}\n")
    return run


def test_results_of_a_config_with_a_finished_run_go_there(tmp_path: Path) -> None:
    run = finished(tmp_path)
    words = ("quickstart", "--runs", tmp_path, "--battery", "temporal_discounting")
    done = _evaluate(*words)
    assert done.exit_code == 0, done.output
    assert "plenary report" in done.output
    assert len(read_results(run / "batteries" / "before.json")) == 1
    done = _evaluate(*words[:3], "--battery", "power_seeking")
    assert done.exit_code == 0, done.output
    names = [found.battery for found in read_results(run / "batteries" / "before.json")]
    assert names == ["temporal_discounting", "power_seeking"]


def test_where_results_go_and_under_which_adapter(tmp_path: Path) -> None:
    config, run = load_config("quickstart"), finished(tmp_path)
    assert finished_run(config, tmp_path) == run
    assert finished_run(config.model_copy(update={"model": "local:/x"}), tmp_path) is None
    after = place_of(run, None, None, after=True)
    assert after == Place(run / "batteries" / "after.json", run / "adapter", run)
    own = tmp_path / "own.json"
    assert place_of(run, None, own, after=True) == Place(own, run / "adapter", None)
    assert place_of(run, own, None, after=False) == Place(LOOSE, own, None)
    with pytest.raises(ConfigError, match="no finished run"):
        place_of(None, None, None, after=True)
    with pytest.raises(ConfigError, match="takes the run's adapter"):
        place_of(run, own, None, after=True)


@pytest.mark.exhaustive
def test_the_core_suite_runs_on_the_model_that_ships(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", "--out", str(tmp_path / "r.json"), "--json"])
    assert done.exit_code == 0, done.output
    told = {found.battery: found for found in read_results(tmp_path / "r.json")}
    assert told["utility_maximisation"].findings[0].shown
    assert told["coherence"].findings[0].shown
    assert "Uninformative" in told["expected_utility"].findings[0].sentence
