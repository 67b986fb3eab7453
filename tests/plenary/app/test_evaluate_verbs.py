"""`plenary evaluate` on the model that ships."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plenary.app.cli import app
from plenary.app.evaluate_verbs import read_results
from plenary.errors import DataError

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
    [(("--suite", "big"), "neither core nor full"), (("--battery", "taste"), "unknown battery")],
)
def test_what_does_not_exist_is_an_error(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = _evaluate(*words, "--out", tmp_path / "r.json")
    assert done.exit_code
    assert said in done.output + str(done.exception)


def test_altered_results_are_refused(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("[{}]")
    with pytest.raises(DataError, match="run plenary evaluate again"):
        read_results(tmp_path / "r.json")


@pytest.mark.slow
def test_the_core_suite_runs_on_the_model_that_ships(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", "--out", str(tmp_path / "r.json"), "--json"])
    assert done.exit_code == 0, done.output
    told = {found.battery: found for found in read_results(tmp_path / "r.json")}
    assert told["utility_maximisation"].findings[0].shown
    assert told["coherence"].findings[0].shown
    assert "Uninformative" in told["expected_utility"].findings[0].sentence
