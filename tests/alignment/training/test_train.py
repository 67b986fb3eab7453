from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from alignment.training.adapter import WEIGHTS, check_adapter
from alignment.training.settings import AlignmentSettings
from alignment.training.train import align, open_aligned
from alignment.training.trainer import TrainingStep
from plenary.errors import ConfigError, ConvergenceError, DataError
from plenary.models.base import Conversation
from plenary.models.local.huggingface import LocalBackend
from plenary.preferences import Targets
from plenary.prompt_templates import LABELS, PROMPT_TEMPLATES, question
from plenary.training_rows import SoftRow

Maker = Callable[[str], Path]
ONE_STEP = AlignmentSettings(batch=32, epochs=1, warmup=0)


def _shares(backend: LocalBackend, texts: Sequence[str], targets: Targets) -> np.ndarray:
    """p [P] that the first outcome of each pair is chosen, mean of both orders."""
    plain = PROMPT_TEMPLATES["plain"]
    asked = [question(plain, texts[a], texts[b]) for a, b in targets.pairs]
    asked += [question(plain, texts[b], texts[a]) for a, b in targets.pairs]
    first = np.array([choice.shares[0] for choice in asyncio.run(backend.choose(asked, LABELS))])
    return (first[: len(targets.pairs)] + 1 - first[len(targets.pairs) :]) / 2


@pytest.fixture
def decisive(checkpoint: Maker, tmp_path: Path) -> Path:
    """A model whose frozen output layer can put its whole mass on one token."""
    path = Path(shutil.copytree(checkpoint("llama"), tmp_path / "decisive"))
    tensors = load_file(path / "model.safetensors")
    tensors["model.norm.weight"] *= 4
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    return path


@pytest.mark.parametrize("objective", ["soft_sft", "sft"])
def test_a_planted_target_is_learned(
    decisive: Path,
    texts: tuple[str, ...],
    targets: Targets,
    rows: list[SoftRow],
    tmp_path: Path,
    objective: str,
) -> None:
    settings = AlignmentSettings(
        objective=objective,  # type: ignore[arg-type]
        epochs=150,
        learning_rate=1e-2,
        batch=15,
        replay_weight=0,
    )
    result = align(decisive, rows, settings, tmp_path / "adapter", 0)
    before = np.abs(_shares(LocalBackend(decisive), texts, targets) - targets.p).mean()
    reached = _shares(open_aligned(decisive, result.adapter), texts, targets)
    assert ((reached > 0.5) == (targets.p > 0.5)).mean() > 0.9
    if objective == "soft_sft":
        assert np.abs(reached - targets.p).mean() < min(0.02, before / 10)
        assert result.loss_floor < result.loss_last < result.loss_floor + 0.02 < result.loss_first
        assert result.mass_last > 0.99
    else:
        assert np.abs(reached - (targets.p > 0.5)).mean() < 0.02
    assert result.rows == 2 * len(targets.pairs)
    assert result.steps == 300


@pytest.mark.parametrize("name", ["qwen2", "gemma2", "mistral", "gpt2"])
def test_one_step_on_each_architecture(
    checkpoint: Maker,
    texts: tuple[str, ...],
    targets: Targets,
    rows: list[SoftRow],
    replay: list[Conversation],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    path, steps = checkpoint(name), list[TrainingStep]()
    # The library that trains the checkpoint's tokenizer writes to the terminal.
    capfd.readouterr()
    result = align(path, rows, ONE_STEP, tmp_path / "adapter", 0, steps.append, replay=replay)
    assert capfd.readouterr().out == ""
    assert [(s.step, s.steps) for s in steps] == [(1, 1)]
    assert result.steps == 1
    assert result.replay_kl_last == pytest.approx(0, abs=1e-9)
    assert list(tmp_path.iterdir()) == [tmp_path / "adapter"]
    check_adapter(result.adapter, path)
    before = _shares(LocalBackend(path), texts, targets)
    after = _shares(open_aligned(path, result.adapter), texts, targets)
    assert np.abs(after - before).max() > 1e-4


def test_same_seed_same_adapter(
    checkpoint: Maker,
    rows: list[SoftRow],
    replay: list[Conversation],
    tmp_path: Path,
) -> None:
    settings = AlignmentSettings(batch=8, epochs=1, replay_rows=2)
    runs = [
        align(checkpoint("qwen2"), rows, settings, tmp_path / str(k), s, replay=replay)
        for k, s in enumerate((0, 0, 1))
    ]
    assert runs[0].adapter_sha256 == runs[1].adapter_sha256 != runs[2].adapter_sha256
    assert (tmp_path / "0" / "plenary_adapter.json").read_text() == (
        tmp_path / "1" / "plenary_adapter.json"
    ).read_text()


def test_replay_holds_the_model_back(
    checkpoint: Maker,
    rows: list[SoftRow],
    replay: list[Conversation],
    tmp_path: Path,
) -> None:
    drift = []
    for weight in (1e-6, 3.0):
        settings = AlignmentSettings(batch=15, epochs=10, replay_weight=weight)
        path = checkpoint("llama")
        result = align(path, rows, settings, tmp_path / "a", 0, replay=replay)
        drift.append(result.replay_kl_last)
    assert drift[1] < drift[0] / 2


def test_another_base_is_refused_on_load(
    checkpoint: Maker, rows: list[SoftRow], tmp_path: Path
) -> None:
    settings = ONE_STEP.model_copy(update={"replay_weight": 0})
    result = align(checkpoint("qwen2"), rows, settings, tmp_path / "adapter", 0)
    other = Path(shutil.copytree(checkpoint("qwen2"), tmp_path / "other"))
    tensors = load_file(other / "model.safetensors")
    save_file({k: v + 1e-6 for k, v in tensors.items()}, other / "model.safetensors")
    with pytest.raises(DataError, match="was trained on weights"):
        open_aligned(other, result.adapter)


def test_a_run_that_fails_leaves_what_was_there(
    checkpoint: Maker, rows: list[SoftRow], tmp_path: Path
) -> None:
    settings = AlignmentSettings(batch=4, epochs=1, replay_weight=0, warmup=0)
    output = tmp_path / "adapter"
    align(checkpoint("qwen2"), rows, settings, output, 0)
    kept = (output / WEIGHTS).read_bytes()
    wild = settings.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(ConvergenceError, match="learning_rate"):
        align(checkpoint("qwen2"), rows, wild, output, 0)
    assert (output / WEIGHTS).read_bytes() == kept
    assert list(tmp_path.iterdir()) == [output]
    align(checkpoint("qwen2"), rows, settings, output, 1)
    assert (output / WEIGHTS).read_bytes() != kept


def test_foreign_output_and_missing_replay_are_refused(
    checkpoint: Maker, rows: list[SoftRow], tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    settings = ONE_STEP.model_copy(update={"replay_weight": 0})
    with pytest.raises(DataError, match="not an adapter"):
        align(checkpoint("qwen2"), rows, settings, tmp_path, 0)
    with pytest.raises(ConfigError, match=r"replay_weight is 0\.5"):
        align(checkpoint("qwen2"), rows, ONE_STEP, tmp_path / "adapter", 0)
