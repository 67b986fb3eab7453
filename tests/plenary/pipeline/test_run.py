from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from plenary.errors import ConfigError, DataError, PlenaryError
from plenary.pipeline import run as pipeline
from plenary.pipeline.run import run_stages
from plenary.pipeline.stage import Stage
from plenary.runs.config import PipelineConfig, load_config
from plenary.runs.directory import RunManifest
from plenary.runs.files import write_text
from plenary.runs.models import spec_hash
from plenary.runs.progress import NullWatcher
from plenary.runs.workspace import Workspace

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
        run_stages(config, root, exists, self.stages(), NullWatcher())  # type: ignore[arg-type]
        return list(self.worked)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.setattr(pipeline, "preflight", lambda *_: None)
    return Recorder()


def test_second_run_skips_everything(recorder: Recorder, tmp_path: Path) -> None:
    assert recorder.run(tmp_path, "error") == ["one", "two", "three"]
    assert recorder.run(tmp_path) == []


def files_of(run: Path) -> dict[str, bytes]:
    return {str(p.relative_to(run)): p.read_bytes() for p in run.rglob("*") if p.is_file()}


def test_changed_settings_are_refused_before_a_file_is_touched(
    recorder: Recorder, tmp_path: Path
) -> None:
    recorder.run(tmp_path)
    before = files_of(tmp_path / "run")
    with pytest.raises(ConfigError) as caught:
        recorder.run(tmp_path, "resume", "fit.max_iterations=50")
    assert recorder.worked == []
    assert files_of(tmp_path / "run") == before
    assert "'three' would be done again: fit.max_iterations: 200 -> 50" in str(caught.value)
    for remedy in (repr(str(tmp_path / "run")), "--name", "--exists redo"):
        assert remedy in str(caught.value)


def test_redo_does_the_stage_alone_and_what_hangs_on_it(recorder: Recorder, tmp_path: Path) -> None:
    recorder.run(tmp_path)
    assert recorder.run(tmp_path, "redo", "fit.max_iterations=50") == ["three"]
    assert "max_iterations: 50" in (tmp_path / "run" / "config.yaml").read_text()
    with pytest.raises(ConfigError, match=r"would mix with others"):
        recorder.run(tmp_path, "redo", "fit.max_iterations=50", "seed=1")


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", ["budget.calls=9", "chat.endpoint.retries=1", "alignment.rank=4", "hiring.resumes=9"]
)
def test_settings_of_no_finished_stage_may_change(
    recorder: Recorder, tmp_path: Path, change: str
) -> None:
    recorder.run(tmp_path)
    assert recorder.run(tmp_path, "resume", change) == []


def test_a_later_stage_that_this_command_does_not_run_is_kept_too(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings written down are those of every finished stage."""
    stages = recorder.stages()
    adapter = Stage("align", stages[0].work, lambda c: (c.alignment,), ("two",), ())
    monkeypatch.setattr(recorder, "stages", lambda: (*stages, adapter))
    recorder.run(tmp_path)
    monkeypatch.setattr(recorder, "stages", lambda: stages)
    with pytest.raises(ConfigError, match=r"'align' would be done again: alignment\.rank"):
        recorder.run(tmp_path, "resume", "alignment.rank=4")


def test_the_first_citizens_of_a_held_assembly_stay(recorder: Recorder, tmp_path: Path) -> None:
    """Stage one is what the assembly hangs on: a command that ends before it is refused as well."""
    recorder.run(tmp_path)
    config = load_config(None, [*PLANTED, "seed=1"])
    with pytest.raises(ConfigError, match="seed: 0 -> 1"):
        run_stages(config, tmp_path, "redo", recorder.stages()[:2], NullWatcher())


def test_a_run_of_older_code_goes_on(recorder: Recorder, tmp_path: Path) -> None:
    """Settings that it did not know stand in its file with no value, or not at all."""
    recorder.run(tmp_path)
    path = tmp_path / "run" / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    del settings["chat"], settings["fit"]
    path.write_text(yaml.safe_dump(settings))
    manifest = tmp_path / "run" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"settings": "', '"settings": "older'))
    assert recorder.run(tmp_path) == []


def test_a_model_that_became_another_is_refused(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = tmp_path / "world.json"
    specs = [f"{name}=planted:{world}" for name in ("model", "citizens_model")]
    stage = recorder.stage("elicit", lambda c: (spec_hash(c.model),), ())
    monkeypatch.setattr(recorder, "stages", lambda: (stage,))
    world.write_text("{}")
    assert recorder.run(tmp_path, "resume", *specs) == ["elicit"]
    spec_hash.cache_clear()
    world.write_text('{"utilities": {}}')
    with pytest.raises(ConfigError, match="its files have changed"):
        recorder.run(tmp_path, "resume", *specs)
    assert recorder.run(tmp_path, "redo", *specs) == ["elicit"]


def test_changed_input_redoes_what_follows(recorder: Recorder, tmp_path: Path) -> None:
    recorder.run(tmp_path)
    (tmp_path / "run" / "one.txt").write_text("altered")
    assert recorder.run(tmp_path) == ["one"]


def test_begun_work_refuses_other_settings(recorder: Recorder, tmp_path: Path) -> None:
    recorder.fail = "two"
    with pytest.raises(DataError):
        recorder.run(tmp_path)
    recorder.fail = ""
    with pytest.raises(ConfigError, match=r"panel\.citizens: 60 -> 9; .* would mix with others"):
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


def test_everything_that_does_not_fit_is_said_at_once_with_what_to_set(tmp_path: Path) -> None:
    lines = [f"o{k},the town builds {k + 2} clinics,town" for k in range(9)]
    (tmp_path / "own.csv").write_text("\n".join(["id,text,topic", *lines]), encoding="utf-8")
    changes = [
        f"outcomes.path={tmp_path / 'own.csv'}", "panel.citizens=5", "dataset.rule_strata=mood",
        "hiring.max_calls=10", "measures.hiring=true",
    ]  # fmt: skip
    with pytest.raises(PlenaryError) as caught:
        pipeline.preflight(load_config("quickstart", changes))
    for name in ("outcomes.count=null", "assembly.table_size", "panel.citizens", "mood", "calls"):
        assert name in str(caught.value)


def test_few_outcomes_of_ones_own_are_asked_in_all_their_pairs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [f"o{k},the town builds {k + 2} clinics,town" for k in range(9)]
    (tmp_path / "own.csv").write_text("\n".join(["id,text,topic", *lines]), encoding="utf-8")
    own = [f"outcomes.path={tmp_path / 'own.csv'}", "outcomes.count=null"]
    pipeline.preflight(load_config("quickstart", own))
    assert "design.train_pairs" in caplog.text
    assert "design.held_out_pairs" in caplog.text
    caplog.clear()
    pipeline.preflight(load_config("quickstart"))
    assert not caplog.records


def test_a_stage_that_shows_what_came_since_always_runs(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = recorder.stages()
    always = (*stages[:2], stages[2]._replace(always=True))
    monkeypatch.setattr(recorder, "stages", lambda: always)
    assert recorder.run(tmp_path, "error") == ["one", "two", "three"]
    assert recorder.run(tmp_path) == ["three"]
