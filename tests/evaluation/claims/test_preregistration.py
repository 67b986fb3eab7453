"""Plans that are locked, edited, and deviated from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evaluation.claims.preregistration import (
    check_names,
    deviations,
    lock_plan,
    lock_state,
    read_plan,
)
from plenary.errors import ConfigError, DataError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = """
title: does an assembly change a recruiter
primary: [agreement_gain, hiring_change]
settings: {seed: 3, panel.citizens: 60, elicitation.templates: [plain], hiring.margin: 0.1}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_a_locked_plan_holds_for_later_data_alone(plan: Path) -> None:
    assert not lock_state(plan).holds_for(NOW)
    state = lock_plan(plan, NOW)
    assert state.lock is not None
    assert state.lock.sha256 == read_plan(plan).hash
    assert lock_state(plan).holds_for(NOW + timedelta(seconds=1))
    assert not lock_state(plan).holds_for(NOW - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("old", "new"),
    [("seed: 3", "seed: 4"), ("agreement_gain, ", ""), ("margin: 0.1", "margin: 0.2")],
)
def test_an_edit_after_the_lock_is_detected(plan: Path, old: str, new: str) -> None:
    lock_plan(plan, NOW)
    plan.write_text(TEXT.replace(old, new), encoding="utf-8")
    assert lock_state(plan).edited
    assert not lock_state(plan).holds_for(NOW + timedelta(days=1))
    with pytest.raises(ConfigError, match="undo the edit"):
        lock_plan(plan, NOW + timedelta(days=1))


def test_layout_is_no_edit_and_locking_again_keeps_the_time(plan: Path) -> None:
    first = lock_plan(plan, NOW)
    plan.write_text("# a remark\n" + TEXT, encoding="utf-8")
    assert not lock_state(plan).edited
    assert lock_plan(plan, NOW + timedelta(days=1)).lock == first.lock


def test_deviations_are_listed(plan: Path) -> None:
    settings = {"seed": 3, "panel.citizens": 80, "elicitation.templates": ["plain"]}
    found = deviations(read_plan(plan), settings)
    assert [(d.name, d.planned, d.actual) for d in found] == [
        ("panel.citizens", "60", "80"),
        ("hiring.margin", "0.1", "null"),
    ]


def test_what_cannot_be_planned_is_an_error(plan: Path) -> None:
    with pytest.raises(ConfigError, match="not a setting"):
        check_names(read_plan(plan), {"seed": 0})
    plan.write_text("title: x\nprimary: [fame]\nsettings: {seed: 1}", encoding="utf-8")
    with pytest.raises(ConfigError, match="fame"):
        read_plan(plan)
    with pytest.raises(ConfigError, match="cannot read plan"):
        read_plan(plan.with_name("none.yaml"))


def test_a_broken_lock_is_an_error(plan: Path) -> None:
    plan.with_suffix(".lock").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="lock the plan again"):
        lock_state(plan)
