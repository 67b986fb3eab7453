from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from alignment.training.batches import ReplayRow, collate, pad_left, retention_kl
from alignment.training.settings import AlignmentSettings
from alignment.training.trainer import Replay, SoftLabelTrainer
from plenary.models.local.huggingface import load_model

SETTINGS = AlignmentSettings()
ARCHITECTURES = ["llama", "qwen2", "gemma2", "mistral", "gpt2"]
Make = Callable[[Path, AlignmentSettings], SoftLabelTrainer]


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def _logits(model: torch.nn.Module, ids: list[int]) -> np.ndarray:
    """Logits [T, V] of one sequence alone, without padding or mask."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0].double().numpy()


def _stir(trainer: SoftLabelTrainer) -> None:
    """Move the adapter off its start, where its second factor is zero."""
    torch.manual_seed(1)
    for name, parameter in trainer.model.named_parameters():
        if "lora_" in name:
            parameter.data += 0.05 * torch.randn_like(parameter)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_loss_matches_a_slow_reference(
    checkpoint: Callable[[str], Path], make_trainer: Make, name: str
) -> None:
    trainer = make_trainer(checkpoint(name), SETTINGS)
    _stir(trainer)
    assert trainer.replay is not None
    rows = [trainer.train_dataset[k] for k in range(12)]
    total = 0.0
    for row in rows:
        log_p = _log_softmax(_logits(trainer.model, row["input_ids"])[-1])
        (a,), (b,) = row["label_ids"]
        p = row["target_p"]
        total -= row["weight"] * (p * log_p[a] + (1 - p) * log_p[b]) / len(rows)
    divergences = []
    for kept in trainer.replay.draw(0):
        after = _logits(trainer.model, kept.input_ids)
        with trainer.model.disable_adapter():
            before = _logits(trainer.model, kept.input_ids)
        for at in range(len(kept.input_ids) - kept.scored, len(kept.input_ids)):
            was, now = _log_softmax(before[at]), _log_softmax(after[at])
            divergences.append(np.sum(np.exp(was) * (was - now)))
    expected = total + SETTINGS.replay_weight * np.mean(divergences)
    loss = trainer.compute_loss(trainer.model, collate(rows))
    assert np.mean(divergences) > 1e-3
    assert loss.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_batch_composition_changes_nothing(
    checkpoint: Callable[[str], Path], make_trainer: Make, name: str
) -> None:
    trainer = make_trainer(checkpoint(name), SETTINGS)
    _stir(trainer)
    trainer.replay = None
    rows = [trainer.train_dataset[k] for k in range(10)]

    def gradient(batch: list) -> torch.Tensor:
        trainer.model.zero_grad()
        trainer.compute_loss(trainer.model, collate(batch)).backward()
        trained = (p.grad for p in trainer.model.parameters() if p.requires_grad)
        return torch.cat([grad.flatten() for grad in trained if grad is not None])

    whole = gradient(rows)
    alone = torch.stack([gradient([row]) for row in rows]).mean(0)
    torch.testing.assert_close(alone, whole, rtol=1e-3, atol=1e-4 * float(whole.abs().max()))


def test_retention_is_zero_only_for_an_unmoved_model() -> None:
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    assert retention_kl(logits, logits + 3).item() == pytest.approx(0, abs=1e-6)
    assert retention_kl(logits, 2 * logits).item() > 0.05


def test_padding_stands_on_the_left() -> None:
    padded = pad_left([[5, 6, 7], [8]])
    assert padded.input_ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert padded.attention_mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert padded.position_ids.tolist() == [[0, 1, 2], [0, 0, 0]]


@pytest.mark.parametrize("name", ["qwen2", "gemma2", "mistral"])
def test_only_the_adapter_has_gradients_and_starts_at_the_base(
    checkpoint: Callable[[str], Path], make_trainer: Make, name: str
) -> None:
    trainer = make_trainer(checkpoint(name), SETTINGS)
    trainer.model.train()
    batch = collate([trainer.train_dataset[k] for k in range(4)])
    trainer.compute_loss(trainer.model, batch).backward()
    assert trainer.measured[0][1] == pytest.approx(0, abs=1e-9)
    moved = {n for n, p in trainer.model.named_parameters() if p.grad is not None}
    assert moved
    assert all("lora_" in n for n in moved)
    assert not any("lm_head" in n or "embed" in n for n in moved)


def test_adapter_off_is_the_base_after_training(
    checkpoint: Callable[[str], Path], make_trainer: Make
) -> None:
    trainer = make_trainer(checkpoint("gemma2"), SETTINGS)
    ids = trainer.train_dataset[0]["input_ids"]
    trainer.train()
    trainer.model.eval()
    trained = _logits(trainer.model, ids)
    with trainer.model.disable_adapter():
        off = _logits(trainer.model, ids)
    np.testing.assert_array_equal(off, _logits(load_model(checkpoint("gemma2")), ids))
    assert np.abs(trained - off).max() > 1e-3


def test_replay_draws_depend_on_the_step_alone() -> None:
    rows = [ReplayRow([k], 1) for k in range(20)]
    replay = Replay(rows, 0.5, 8, seed=3)
    assert replay.draw(4) == Replay(rows, 0.5, 8, seed=3).draw(4)
    assert replay.draw(4) != replay.draw(5)
    assert len(Replay(rows[:3], 0.5, 8, seed=3).draw(0)) == 3
