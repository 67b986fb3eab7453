"""Answers asked in parts are those of one process, also when it is killed in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from evaluation.elicitation.answer_table import AnswerTable, settings_as_text
from evaluation.elicitation.design import all_pairs
from plenary.cli.main import app
from plenary.commands.elicit_parts import Gathered, gather
from plenary.errors import BudgetExceeded, ConfigError, UnusableAnswers
from plenary.executors.base import Executor, Here
from plenary.executors.processes import Processes
from plenary.outcomes import load_outcomes
from plenary.runs.config import PipelineConfig, load_config

K = 80
TEXTS = [f"outcome number {k:02d} happens" for k in range(K)]
SUPPORT = Path(__file__).parents[2] / "support"


@pytest.fixture
def world(tmp_path: Path) -> tuple[str, ...]:
    """A planted model and its outcomes, as changes of a config."""
    return planted(tmp_path, "world")


def planted(folder: Path, name: str, **changed: object) -> tuple[str, ...]:
    utilities = dict(zip(TEXTS, np.linspace(-2, 2, K), strict=True))
    text = json.dumps({"utilities": utilities, "order_bias": 0.2, **changed})
    (folder / f"{name}.json").write_text(text, encoding="utf-8")
    (folder / "outcomes.csv").write_text("\n".join(["text", *TEXTS]), encoding="utf-8")
    return (
        f"model=planted:{folder / name}.json",
        f"outcomes.path={folder / 'outcomes.csv'}",
        "outcomes.count=null",
    )


def asked(folder: Path, *changes: str, by: Executor | None = None, size: int = 256) -> Gathered:
    """All 3,160 pairs, in parts."""
    config = load_config(None, changes)
    outcomes = load_outcomes(Path(str(config.outcomes.path))).outcomes
    return gather(folder, all_pairs(K), outcomes, config, settings_of(config), by or Here(), size)


def settings_of(config: PipelineConfig) -> dict[str, str]:
    return settings_as_text(config.elicitation) | {"design": "all"}


def of_one_process(folder: Path, *changes: str) -> AnswerTable:
    options = [word for change in changes for word in ("--set", change)]
    path = folder / "one.parquet"
    arguments = ["elicit", "--design", "all", "--answers", str(path), *options]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return AnswerTable.read(path)


def assert_same(found: AnswerTable, wanted: AnswerTable) -> None:
    assert found.to_arrow().equals(wanted.to_arrow())
    assert found.origin == wanted.origin


def test_parts_make_the_table_of_one_process(tmp_path: Path, world: tuple[str, ...]) -> None:
    templates = (*world, "elicitation.templates=[plain, pb-07]")
    found = asked(tmp_path / "answers", *templates)
    assert (found.parts, found.asked_now, found.calls) == (13, 13, 4 * 3160)
    assert_same(AnswerTable.read(found.table), of_one_process(tmp_path, *templates))


def test_a_killed_command_goes_on_where_it_was(tmp_path: Path, world: tuple[str, ...]) -> None:
    options = [word for change in world for word in ("--set", change)]
    command = [
        "elicit",
        "--design",
        "all",
        "--answers",
        str(tmp_path / "parts"),
        *options,
        "--json",
    ]
    killed = subprocess.run(
        [sys.executable, str(SUPPORT / "killed_parts.py"), "000001", *command],
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    kept = tmp_path / "parts" / "parts" / "000000.parquet"
    before = kept.stat().st_mtime_ns
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    record = json.loads(done.stdout.strip().splitlines()[-1])
    assert (record["parts"], record["parts_asked"]) == (2, 1)
    assert record["calls_made"] == 2 * (3160 - 2048)
    assert kept.stat().st_mtime_ns == before
    assert_same(AnswerTable.read(Path(record["answers"])), of_one_process(tmp_path, *world))
    again = CliRunner().invoke(app, command, catch_exceptions=False)
    assert json.loads(again.stdout.strip().splitlines()[-1])["calls_made"] == 0


def test_other_questions_are_not_mixed_in(tmp_path: Path, world: tuple[str, ...]) -> None:
    folder = tmp_path / "answers"
    asked(folder, *world, size=1024)
    other = planted(tmp_path, "other", order_bias=0.3)
    for changes in ((*world, "seed=9"), other, (*world, "elicitation.min_mass=0.4")):
        with pytest.raises(ConfigError, match="other questions"):
            asked(folder, *changes, size=1024)
    with pytest.raises(ConfigError, match="other questions"):
        asked(folder, *world, size=2048)
    assert asked(folder, *world, "elicitation.max_unusable=0.3", size=1024).calls == 0


def test_what_needs_all_answers_at_once_is_refused(tmp_path: Path, world: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"elicitation\.orders=both"):
        asked(tmp_path / "answers", *world, "elicitation.orders=balanced")
    options = [word for change in world for word in ("--set", change)]
    command = ["elicit", "--design", "swiss", "--answers", str(tmp_path / "parts"), *options]
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, ConfigError)
    assert "chooses pairs by earlier answers" in str(refused.exception)


def test_templates_are_judged_over_all_parts(tmp_path: Path) -> None:
    hesitant = (*planted(tmp_path, "mute", exact=False, invalid=0.8), "elicitation.samples=1")
    with pytest.raises(UnusableAnswers, match=r"no valid answer to \d\d% of 40 questions"):
        asked(tmp_path / "answers", *hesitant, size=1024)
    found = asked(tmp_path / "answers", *hesitant, "elicitation.max_unusable=0.9", size=1024)
    assert found.excluded_templates == ()
    assert found.totals.invalid / found.totals.cells.sum() == pytest.approx(0.8, abs=0.03)


def test_a_model_that_never_answers_is_not_asked_a_million_times(tmp_path: Path) -> None:
    mute = planted(tmp_path, "mute", invalid=0.7)
    with pytest.raises(UnusableAnswers, match=r"answer mass 0\.3 .* in 100% of 40 questions"):
        asked(tmp_path / "answers", *mute)
    assert not list((tmp_path / "answers").rglob("*.parquet"))


def test_a_budget_stops_between_parts_and_more_of_it_goes_on(
    tmp_path: Path, world: tuple[str, ...]
) -> None:
    folder = tmp_path / "answers"
    with pytest.raises(BudgetExceeded, match="used up"):
        asked(folder, *world, "budget.calls=1100")
    assert len(list(folder.rglob("*.parquet"))) == 2
    assert asked(folder, *world, "budget.calls=9000").asked_now == 11
    with pytest.raises(BudgetExceeded, match="of 2 workers"):
        asked(tmp_path / "other", *world, "budget.calls=1", by=Processes(2))


@pytest.mark.slow
def test_processes_make_the_same_table_with_a_worker_killed(
    tmp_path: Path, world: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path.cwd()), str(SUPPORT.parent)]))
    crew = Processes(2)
    made = crew._crew

    def murderous(*arguments: object) -> object:
        workers = made(*arguments)  # type: ignore[arg-type]
        workers[0].kill()
        return workers

    monkeypatch.setattr(crew, "_crew", murderous)
    found = asked(tmp_path / "answers", *world, by=crew)
    assert (found.parts, found.calls) == (13, 2 * 3160)
    assert_same(AnswerTable.read(found.table), of_one_process(tmp_path, *world))
