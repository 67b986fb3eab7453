from __future__ import annotations

from pathlib import Path

import pytest

from plenary.app import pipeline
from plenary.app.config import PipelineConfig, load_config
from plenary.app.pipeline import run_stages
from plenary.app.run_directory import RunManifest, write_text
from plenary.app.stages import Stage
from plenary.app.watcher import Silent
from plenary.app.workspace import Workspace
from plenary.errors import ConfigError, DataError

PLANTED = ("model=planted:x", "citizens_model=planted:x")


class Recorder:
    """Three small stages that note when they work."""

    def __init__(self) -> None:
        self.worked: list[str] = []
        self.fail = ""
        self.clock = 0.0

    def monotonic(self) -> float:
        return self.clock

    def stages(self) -> tuple[Stage, ...]:
        return (
            self.stage("one", lambda c: (c.seed,), ()),
            self.stage("two", lambda c: (c.panel,), ("one",), continues=True),
            self.stage("three", lambda c: (c.fit,), ("two",)),
        )

    def stage(
        self, name: str, settings, needs: tuple[str, ...], *, continues: bool = False
    ) -> Stage:
        def work(space: Workspace) -> None:
            self.worked.append(name)
            self.clock += 5
            if name == self.fail:
                raise DataError("broken")
            write_text(space.file(f"{name}.txt"), f"{name} {[s(space.config) for s in [settings]]}")

        return Stage(name, work, settings, needs, (f"{name}.txt",), continues)

    def run(self, root: Path, exists: str = "resume", *overrides: str) -> list[str]:
        self.worked.clear()
        config: PipelineConfig = load_config(None, [*PLANTED, *overrides])
        run_stages(config, root, exists, self.stages(), Silent())  # type: ignore[arg-type]
        return list(self.worked)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.setattr(pipeline, "preflight", lambda config: None)
    return Recorder()


def test_second_run_skips_everything(recorder: Recorder, tmp_path: Path) -> None:
    assert recorder.run(tmp_path, "error") == ["one", "two", "three"]
    assert recorder.run(tmp_path) == []


def test_a_changed_setting_redoes_its_stage_alone(recorder: Recorder, tmp_path: Path) -> None:
    recorder.run(tmp_path)
    assert recorder.run(tmp_path, "resume", "fit.max_iterations=50") == ["three"]


def test_changed_input_redoes_what_follows(recorder: Recorder, tmp_path: Path) -> None:
    recorder.run(tmp_path)
    (tmp_path / "run" / "one.txt").write_text("altered")
    assert recorder.run(tmp_path) == ["one"]


def test_begun_work_refuses_other_settings(recorder: Recorder, tmp_path: Path) -> None:
    recorder.fail = "two"
    with pytest.raises(DataError):
        recorder.run(tmp_path)
    recorder.fail = ""
    with pytest.raises(ConfigError, match="begun under other settings"):
        recorder.run(tmp_path, "resume", "panel.citizens=9")
    assert recorder.run(tmp_path) == ["two", "three"]


def test_failed_stage_is_not_done(recorder: Recorder, tmp_path: Path) -> None:
    recorder.fail = "three"
    with pytest.raises(DataError):
        recorder.run(tmp_path)
    recorder.fail = ""
    assert recorder.run(tmp_path) == ["three"]


def test_time_of_sessions_that_were_stopped_counts(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "time", recorder)
    recorder.fail = "two"
    for _ in range(2):
        with pytest.raises(DataError):
            recorder.run(tmp_path)
    recorder.fail = ""
    recorder.run(tmp_path)
    manifest = RunManifest.model_validate_json((tmp_path / "run" / "manifest.json").read_text())
    assert {name: record.seconds for name, record in manifest.stages.items()} == {
        "one": 5, "two": 15, "three": 5,
    }  # fmt: skip


def test_replace_starts_again(recorder: Recorder, tmp_path: Path) -> None:
    recorder.run(tmp_path)
    assert recorder.run(tmp_path, "replace") == ["one", "two", "three"]


def test_a_stage_whose_code_changed_is_redone_and_a_recorded_one_is_carried_on(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = recorder.stages()
    marked = (*stages[:2], stages[2]._replace(recorded=True))
    monkeypatch.setattr(recorder, "stages", lambda: marked)
    recorder.run(tmp_path)
    monkeypatch.setattr(pipeline, "code_hash", lambda work, *_: "newer")
    assert recorder.run(tmp_path) == ["one", "two"]


def test_an_audit_or_a_plan_that_cannot_be_is_refused_before_a_model_is_asked(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match="max_calls"):
        pipeline.preflight(load_config("quickstart", ["hiring.max_calls=10"]))
    plan = tmp_path / "plan.yaml"
    plan.write_text("title: x\nprimary: [retention]\nsettings: {panel.people: 1}")
    with pytest.raises(ConfigError, match=r"panel\.people"):
        pipeline.preflight(load_config("quickstart", [f"analysis_plan={plan}"]))


def test_a_stage_that_shows_what_came_since_always_runs(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = recorder.stages()
    always = (*stages[:2], stages[2]._replace(always=True))
    monkeypatch.setattr(recorder, "stages", lambda: always)
    assert recorder.run(tmp_path, "error") == ["one", "two", "three"]
    assert recorder.run(tmp_path) == ["three"]
