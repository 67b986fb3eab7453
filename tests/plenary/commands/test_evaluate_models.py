"""Several models from the command line's side, on planted worlds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from alignment.training.record import TrainingRecord
from plenary.cli.main import app
from plenary.commands.evaluate_models import Several, ask_several, compare_runs
from plenary.errors import ConfigError
from plenary.models.planted import PlantedWorld
from plenary.outcomes import default_outcomes
from plenary.runs import filenames
from plenary.runs.config import load_config
from plenary.runs.records.base import read_results, write_record
from plenary.runs.records.measures import RetentionRecord, SteeringRecord

CONFIG = load_config(None, ["battery.outcomes=12", "battery.bootstrap=100"])


def _worlds(folder: Path, count: int) -> tuple[str, ...]:
    rng, texts = np.random.default_rng(0), default_outcomes().texts
    values = rng.standard_normal(len(texts))
    specs = []
    for k in range(count):
        mixed = values + 0.3 * rng.standard_normal(len(texts))
        world = PlantedWorld(utilities=dict(zip(texts, mixed.tolist(), strict=True)))
        (folder / f"{k}.json").write_text(world.model_dump_json(), encoding="utf-8")
        specs.append(f"planted:{folder / f'{k}.json'}")
    return tuple(specs)


def test_similarity_is_measured_and_kept(tmp_path: Path):
    out = tmp_path / "several" / "models.json"
    found = ask_several(Several(_worlds(tmp_path, 2)), CONFIG, "core", out)
    assert [result.battery for result in found] == ["convergence"]
    assert found[0].findings[0].shown
    assert read_results(out) == found


@pytest.mark.slow
def test_sizes_are_measured_where_they_are_given(tmp_path: Path):
    several = Several(_worlds(tmp_path, 2), (1e6, 1e7))
    found = ask_several(several, CONFIG, "core", tmp_path / "models.json")
    assert [result.battery for result in found] == ["convergence", "scaling"]
    assert not any(finding.shown for finding in found[1].findings)


def test_each_model_needs_its_size(tmp_path: Path):
    several = Several(_worlds(tmp_path, 2), (1e6,))
    with pytest.raises(ConfigError, match="give one per model"):
        ask_several(several, CONFIG, "core", tmp_path / "o.json")


def _trained(folder: Path, name: str, size: int) -> Path:
    """What compare_runs reads of a finished run."""
    run = folder / name
    run.mkdir()
    (run / "config.yaml").write_text(f"name: {name}\nmodel: local:/models/{size}\n")
    trained = TrainingRecord(
        adapter_sha256=name, base_sha256=f"{size:012d}", objective="soft_sft", rows=1, steps=1,
        resumed_at=0, rank=8, parameters=size // 100, trained_share=0.01, seconds=1.0,
        loss_first=1.0, loss_last=0.5, loss_floor=0.4, replay_kl_last=0.0, mass_last=1.0,
        validation_agreement=None,
    )  # fmt: skip
    steered = dict.fromkeys(SteeringRecord.model_fields, 0.5)
    write_record(trained, run / filenames.TRAINING)
    write_record(SteeringRecord(**steered), run / filenames.STEERING)
    write_record(RetentionRecord(kept=None), run / filenames.RETENTION)
    return run


def test_steering_is_compared_over_finished_runs(tmp_path: Path):
    runs = [_trained(tmp_path, name, size) for name, size in (("a", 10**6), ("b", 10**7))]
    arguments = [word for run in runs for word in ("--run", str(run))]
    out = tmp_path / "models.json"
    told = CliRunner().invoke(app, ["evaluate-models", *arguments, "--out", str(out)])
    assert told.exit_code == 0, told.output
    assert "Size and steering" in told.stdout
    (found,) = read_results(out)
    assert "too few to test a trend" in found.findings[-1].sentence
    assert found.battery == "steerability"
    assert {m.value for m in found.measures if m.name.startswith("directional gain, ")} == {0.5}
    with pytest.raises(ConfigError, match="name each training once"):
        compare_runs([runs[0], runs[0]], (), CONFIG, out)
    with pytest.raises(ConfigError, match="give one per run"):
        compare_runs(runs, ("one",), CONFIG, out)
    neither = CliRunner().invoke(app, ["evaluate-models"])
    assert neither.exit_code == 2
