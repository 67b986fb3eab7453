from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from alignment.training.adapter import WEIGHTS
from alignment.training.checkpoints import WHOLE, work_folder
from alignment.training.launch import write_job
from alignment.training.settings import AlignmentSettings
from alignment.training.train import align
from alignment.training.trainer import TrainingStep
from plenary.errors import ConfigError, ConvergenceError
from plenary.models.base import Conversation
from plenary.training_rows import SoftRow

Maker = Callable[[str], Path]
# Thirty rows in batches of 8: four steps an epoch, twelve in all.
SETTINGS = AlignmentSettings(batch=8, epochs=3, replay_rows=2, checkpoint_every=3)
SCRIPT = Path(__file__).with_name("killed_training.py")


def _killed(job: Path, step: int) -> None:
    root = str(Path(__file__).parents[3])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(SCRIPT), str(job), str(step)]
    answer = subprocess.run(
        command, capture_output=True, env=os.environ | {"PYTHONPATH": path}, check=False
    )
    assert answer.returncode == -signal.SIGKILL, answer.stderr.decode()


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_adapter(
    checkpoint: Maker,
    rows: list[SoftRow],
    replay: list[Conversation],
    tmp_path: Path,
) -> None:
    """Killed in step 8, after the checkpoint of step 6; tolerance 1e-6 on every weight."""
    base, job = checkpoint("qwen2"), tmp_path / "job.json"
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    write_job(job, base, rows, SETTINGS, broken, 5, replay)
    _killed(job, 8)
    assert not broken.exists()
    assert (work_folder(broken) / "checkpoint-6" / WHOLE).is_file()
    # A kill may also fall into the writing of a checkpoint, which then lacks its mark.
    (work_folder(broken) / "checkpoint-7").mkdir()

    seen: list[TrainingStep] = []
    went_on = align(base, rows, SETTINGS, broken, 5, seen.append, replay=replay)
    straight = align(base, rows, SETTINGS, whole, 5, replay=replay)
    assert went_on.resumed_at == 6
    assert straight.resumed_at == 0
    assert [step.step for step in seen] == list(range(7, 13))
    ours, theirs = (load_file(folder / WEIGHTS) for folder in (broken, whole))
    for name, weights in theirs.items():
        np.testing.assert_allclose(ours[name], weights, atol=1e-6, err_msg=name)
    assert went_on.steps == straight.steps == 12
    assert went_on.loss_first == pytest.approx(straight.loss_first, abs=1e-6)
    assert went_on.loss_last == pytest.approx(straight.loss_last, abs=1e-6)
    assert {path.name for path in tmp_path.iterdir()} == {"job.json", "broken", "whole"}


def _interrupted(base: Path, rows: list[SoftRow], output: Path, replay: list[Conversation]) -> None:
    def stop(step: TrainingStep) -> None:
        if step.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        align(base, rows, SETTINGS, output, 5, stop, replay=replay)


def test_other_arguments_start_afresh(
    checkpoint: Maker,
    rows: list[SoftRow],
    replay: list[Conversation],
    tmp_path: Path,
) -> None:
    base, output = checkpoint("qwen2"), tmp_path / "adapter"
    _interrupted(base, rows, output, replay)
    assert work_folder(output).is_dir()
    assert align(base, rows, SETTINGS, output, 6, replay=replay).resumed_at == 0
    assert not work_folder(output).exists()


def test_a_run_that_diverged_is_not_taken_up_again(
    checkpoint: Maker, rows: list[SoftRow], tmp_path: Path
) -> None:
    wild = SETTINGS.model_copy(update={"learning_rate": 1e30, "replay_weight": 0, "warmup": 0})
    with pytest.raises(ConvergenceError):
        align(checkpoint("qwen2"), rows, wild, tmp_path / "adapter", 0)
    assert list(tmp_path.iterdir()) == []


def test_training_stops_when_held_out_agreement_no_longer_rises(
    checkpoint: Maker, rows: list[SoftRow], tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(
        update={"patience": 2, "epochs": 200, "validation": 0.3, "replay_weight": 0}
    )
    base = checkpoint("llama")
    runs = [align(base, rows, settings, tmp_path / str(k), 2) for k in range(2)]
    result = runs[0]
    assert result.rows == 2 * (15 - round(0.3 * 15))
    assert result.steps < 150
    assert result.steps % SETTINGS.checkpoint_every == 0
    assert result.validation_agreement is not None
    assert 0 <= result.validation_agreement <= 1
    assert runs[0].adapter_sha256 == runs[1].adapter_sha256
    assert not work_folder(tmp_path / "0").exists()

    # Two looks of three steps each brought nothing better, so the best one is six steps back.
    def stop(step: TrainingStep) -> None:
        if step.step == result.steps - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        align(base, rows, settings, tmp_path / "cut", 2, stop)
    saved = load_file(tmp_path / "0" / WEIGHTS)
    best, later = (
        load_file(work_folder(tmp_path / "cut") / f"checkpoint-{result.steps - back}" / WEIGHTS)
        for back in (6, 3)
    )
    assert saved.keys() == best.keys()
    assert all(np.allclose(saved[name], best[name], atol=1e-6) for name in saved)
    assert not all(np.allclose(saved[name], later[name], atol=1e-6) for name in saved)


def test_validation_needs_pairs(checkpoint: Maker, rows: list[SoftRow], tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"patience": 1, "validation": 0.01, "replay_weight": 0})
    with pytest.raises(ConfigError, match=r"0\.01 of 15 pairs"):
        align(checkpoint("llama"), rows, settings, tmp_path / "a", 0)
    with pytest.raises(ValueError, match="checkpoint_every"):
        AlignmentSettings(patience=1)


def test_a_tracker_that_is_not_installed_is_named(
    checkpoint: Maker,
    rows: list[SoftRow],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("alignment.training.trainer.find_spec", lambda name: None)
    settings = SETTINGS.model_copy(update={"report_to": "tensorboard", "replay_weight": 0})
    with pytest.raises(ConfigError, match="pip install tensorboard"):
        align(checkpoint("qwen2"), rows, settings, tmp_path / "adapter", 0)


def test_measurements_reach_tensorboard(
    checkpoint: Maker, rows: list[SoftRow], tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"report_to": "tensorboard", "replay_weight": 0})
    align(checkpoint("qwen2"), rows, settings, tmp_path / "adapter", 0)
    events = list(work_folder(tmp_path / "adapter").rglob("events.out.tfevents.*"))
    assert len(events) == 1
    assert b"label_mass" in events[0].read_bytes()
    assert not list(work_folder(tmp_path / "adapter").glob("checkpoint-*"))
