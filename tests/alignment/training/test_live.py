from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel

from alignment.experiments.relearning import neutral_finetune, reply_loss
from alignment.training.live import LiveModel
from alignment.training.settings import AlignmentSettings
from alignment.training.train import align
from plenary.errors import DataError
from plenary.models.base import Conversation, Message
from plenary.training_rows import SoftRow

SETTINGS = AlignmentSettings(epochs=3, batch=10, replay_weight=0, learning_rate=1e-2)


@pytest.fixture(params=["llama", "mistral"])
def trained(
    request: pytest.FixtureRequest,
    checkpoint,
    rows: list[SoftRow],
    tmp_path: Path,
) -> tuple[Path, Path]:
    base = checkpoint(request.param)
    align(base, rows, SETTINGS, tmp_path / "adapter", 0)
    return base, tmp_path / "adapter"


def slow_reading(live: LiveModel, text: Conversation) -> tuple[float, float, float]:
    """One unpadded pass a side over every position, in float64 loops over the vocabulary."""
    (row,) = live.encode([text])
    ids = torch.tensor([row.input_ids])
    sides = []
    for adapted in (False, True):
        with torch.no_grad(), live.side(adapted=adapted) as model:
            sides.append(model(input_ids=ids).logits[0].double().log_softmax(-1).numpy())
    start = len(row.input_ids) - row.scored
    kl = [
        sum(np.exp(q) * (q - p) for q, p in zip(sides[0][t], sides[1][t], strict=True))
        for t in range(start, len(row.input_ids))
    ]
    logs = [
        sum(side[t][row.input_ids[t + 1]] for t in range(start, len(row.input_ids) - 1))
        for side in sides
    ]
    return float(np.mean(kl)), float(logs[0]), float(logs[1])


def test_reading_is_the_definition(trained: tuple[Path, Path], replay: list[Conversation]) -> None:
    live = LiveModel(*trained)
    found = live.read(replay)
    for k, text in enumerate(replay):
        kl, before, after = slow_reading(live, text)
        assert found.kl[k] == pytest.approx(kl, rel=1e-3, abs=1e-6)
        assert found.before[k] == pytest.approx(before, rel=1e-4)
        assert found.after[k] == pytest.approx(after, rel=1e-4)
    assert found.tokens[2] == 0
    assert found.kl.min() > 1e-5


def test_batches_do_not_change_a_reading(
    trained: tuple[Path, Path], replay: list[Conversation]
) -> None:
    live = LiveModel(*trained)
    whole, alone = live.read(replay), live.read(replay[:1])
    assert whole.kl[0] == pytest.approx(alone.kl[0], rel=1e-3)
    assert whole.after[0] == pytest.approx(alone.after[0], rel=1e-5)


def test_adapter_off_is_the_base(trained: tuple[Path, Path], replay: list[Conversation]) -> None:
    live = LiveModel(*trained)
    for module in live.model.modules():
        if hasattr(module, "lora_B"):
            for weight in module.lora_B.parameters():
                weight.data.zero_()
    assert np.abs(live.read(replay).kl).max() == 0


def test_an_adapter_of_another_base_is_refused(trained: tuple[Path, Path], tmp_path: Path) -> None:
    base, adapter = trained
    other = Path(shutil.copytree(base, tmp_path / "other"))
    (other / "config.json").write_text((base / "config.json").read_text() + " ")
    with pytest.raises(DataError, match="was trained on weights"):
        LiveModel(other, adapter)


def test_neutral_text_is_learned_and_the_adapter_stays_whole(
    trained: tuple[Path, Path], replay: list[Conversation], tmp_path: Path
) -> None:
    base, adapter = trained
    texts = [replay[0], (Message("user", "Speak."), Message("assistant", "a clinic opens"))]
    before = LiveModel(base, adapter)
    with torch.no_grad():
        loss = float(reply_loss(before, before.encode(texts)))
    reading = before.read(texts)
    assert loss == pytest.approx(-reading.after.sum() / reading.tokens.sum(), rel=1e-4)
    made = [
        neutral_finetune(base, adapter, texts, tmp_path / f"later{k}", 0, steps=25)
        for k in range(2)
    ]
    later = LiveModel(base, made[0])
    assert isinstance(later.model, PeftModel)
    with torch.no_grad():
        assert float(reply_loss(later, later.encode(texts))) < loss / 2
    weights = [(folder / "adapter_model.safetensors").read_bytes() for folder in made]
    assert weights[0] == weights[1] != (adapter / "adapter_model.safetensors").read_bytes()
