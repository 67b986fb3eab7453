"""Plans by the command line, and a run held against one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from evaluation.claims.preregistration import PlanLock, read_plan
from plenary.cli.main import app
from plenary.errors import ConfigError
from plenary.report.preregistration import planning
from plenary.runs.config import load_config

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["preregister", *map(str, words)])


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    assert call("draft", "quickstart", "--output", path).exit_code == 0
    return path


def space(plan: Path | None, *changes: str) -> Any:
    said = () if plan is None else (f"analysis_plan={json.dumps(str(plan))}",)
    config = load_config("quickstart", [*said, *changes])
    return SimpleNamespace(
        config=config, run=SimpleNamespace(manifest=SimpleNamespace(created=NOW))
    )


def locked(plan: Path, when: datetime) -> None:
    lock = PlanLock(sha256=read_plan(plan).hash, locked=when)
    plan.with_suffix(".lock").write_text(lock.model_dump_json(), encoding="utf-8")


def test_a_draft_is_locked_checked_and_an_edit_seen(plan: Path) -> None:
    assert call("check", plan).exit_code == 1
    done = call("lock", plan, "--json")
    assert json.loads(done.stdout)["holds"] is True
    assert call("check", plan).exit_code == 0
    plan.write_text(plan.read_text().replace("panel.citizens: 60", "panel.citizens: 61"))
    found = call("check", plan, "--json")
    assert found.exit_code == 1
    assert json.loads(found.stdout)["edited"] is True
    assert isinstance(call("lock", plan).exception, ConfigError)


def test_a_draft_does_not_overwrite_and_unknown_settings_are_refused(plan: Path) -> None:
    assert isinstance(call("draft", "--output", plan).exception, ConfigError)
    plan.write_text("title: x\nprimary: [hiring_gap]\nsettings: {panel.people: 1}")
    assert "panel.people" in str(call("lock", plan).exception)


def test_without_a_plan_the_run_is_exploratory() -> None:
    found = planning(space(None), 7)
    assert (
        found.banner
        == "Exploratory: no plan was locked before the data were collected; 7 tests were run."
    )
    assert found.section.tables == ()


@pytest.mark.parametrize(("days", "holds"), [(-1, True), (1, False)])
def test_the_banner_hangs_on_the_time_of_the_lock(plan: Path, days: int, holds: bool) -> None:
    locked(plan, NOW + timedelta(days=days))
    found = planning(space(plan), 7)
    assert bool(found.banner) is not holds
    assert "7 tests were run" in found.section.said[0]
    assert dict(found.section.tables[0].rows)["data collected after the lock"] == (
        "yes" if holds else "no"
    )
    assert "0 of" in found.section.tables[0].caption


def test_deviations_and_edits_are_shown(plan: Path) -> None:
    locked(plan, NOW - timedelta(days=1))
    found = planning(space(plan, "panel.citizens=80"), 7)
    assert found.section.tables[1].rows == (("panel.citizens", "60", "80"),)
    plan.write_text(plan.read_text().replace("seed: 0", "seed: 5"))
    edited = planning(space(plan), 7)
    assert edited.banner.startswith("Exploratory")
    assert dict(edited.section.tables[0].rows)["edited since"] == "yes"
