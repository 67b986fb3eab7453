from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from datasets import Dataset
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from alignment.training.batches import collate
from alignment.training.lora import load_base, lora_config
from alignment.training.objectives import OBJECTIVES
from alignment.training.settings import AlignmentSettings
from alignment.training.trainer import without_library_warnings
from plenary.models.local.checkpoints import load_tokenizer
from plenary.seeding import generator
from plenary.training_rows import SoftRow, Turn


def _rows(p: Sequence[float], pairs: Sequence[int], swapped: Sequence[bool]) -> list[SoftRow]:
    asked: list[Turn] = [Turn(role="user", content="Which one?")]
    return [
        SoftRow(
            prompt=asked, labels=["A", "B"], target_p=x, weight=20.0, pair=str(pair), swapped=other
        )
        for x, pair, other in zip(p, pairs, swapped, strict=True)
    ]


# Three pairs, the first in both orders.
ROWS = _rows([0.9, 0.1, 0.5, 0.3], [0, 0, 1, 2], [False, True, False, False])


def _column(rows: Sequence[SoftRow], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows])


def test_the_settings_offer_exactly_the_objectives() -> None:
    offered = get_args(AlignmentSettings.model_fields["objective"].annotation)
    assert set(offered) == set(OBJECTIVES)


def _rng() -> np.random.Generator:
    return generator(0, "test")


def test_soft_sft_keeps_the_shares() -> None:
    assert OBJECTIVES["soft_sft"].shape(ROWS, _rng()) == ROWS


def test_sft_takes_the_majority_and_drops_ties() -> None:
    hard = OBJECTIVES["sft"].shape(ROWS, _rng())
    np.testing.assert_array_equal(_column(hard, "target_p"), [1, 0, 0, 0])
    np.testing.assert_array_equal(_column(hard, "weight"), [20, 20, 0, 20])


def test_sampled_answers_follow_the_shares() -> None:
    many = _rows([0.3, 0.7] * 4000, np.repeat(np.arange(4000), 2).tolist(), [False, True] * 4000)
    drawn = OBJECTIVES["sft_sampled"].shape(many, _rng())
    p = _column(drawn, "target_p")
    assert set(p) == {0.0, 1.0}
    assert p[::2].mean() == pytest.approx(0.3, abs=0.04)
    np.testing.assert_array_equal(p[1::2], 1 - p[::2])
    np.testing.assert_array_equal(_column(drawn, "weight"), _column(many, "weight"))


@pytest.mark.parametrize("name", ["dpo", "ipo"])
def test_contested_pairs_weigh_less_in_the_pair_losses(name: str) -> None:
    hard = OBJECTIVES[name].shape(ROWS, _rng())
    np.testing.assert_array_equal(_column(hard, "target_p"), [1, 0, 0, 0])
    np.testing.assert_allclose(_column(hard, "weight"), [16, 16, 0, 8])


def test_losses_by_hand() -> None:
    log_p, base = torch.tensor([[0.6, 0.3]]).log(), torch.tensor([[0.5, 0.5]]).log()
    gain = np.log(2)
    for p, sign in ((1.0, 1), (0.0, -1)):
        target = torch.tensor([p])
        dpo = OBJECTIVES["dpo"].loss(log_p, base, target, 0.5)
        ipo = OBJECTIVES["ipo"].loss(log_p, base, target, 0.5)
        assert dpo.item() == pytest.approx(np.log(1 + np.exp(-0.5 * sign * gain)), rel=1e-5)
        assert ipo.item() == pytest.approx((sign * gain - 1) ** 2, rel=1e-5)
    soft = OBJECTIVES["soft_sft"].loss(log_p, base, torch.tensor([0.7]), 0.5)
    assert soft.item() == pytest.approx(-(0.7 * np.log(0.6) + 0.3 * np.log(0.3)), rel=1e-5)


@pytest.mark.parametrize(("name", "kind"), [("dpo", "sigmoid"), ("ipo", "ipo")])
def test_pair_losses_are_those_of_trl(
    checkpoint, make_trainer, tmp_path: Path, name: str, kind: str
) -> None:
    """Loss and gradient against `DPOTrainer.compute_loss` on the same rows and adapter."""
    settings = AlignmentSettings(objective=name, replay_weight=0, beta=0.3)  # type: ignore[arg-type]
    path = checkpoint("qwen2")
    ours = make_trainer(path, settings)
    ours.replay = None
    rows = [dict(ours.train_dataset[k], weight=1.0, target_p=float(k % 2)) for k in range(8)]
    pairs = []
    for row in rows:
        first, second = row["label_ids"]
        chosen, rejected = (first, second) if row["target_p"] else (second, first)
        asked = row["input_ids"]
        pairs.append({"prompt_ids": asked, "chosen_ids": chosen, "rejected_ids": rejected})
    text = {"prompt": ["which?"], "chosen": ["A"], "rejected": ["B"]}
    with without_library_warnings():
        theirs = DPOTrainer(
            model=load_base(path, settings, bf16=False),
            args=DPOConfig(
                output_dir=str(tmp_path / "trl"), beta=0.3, loss_type=[kind], use_cpu=True,
                bf16=False, gradient_checkpointing=False, report_to="none", max_length=None,
            ),
            train_dataset=Dataset.from_dict(text),
            processing_class=load_tokenizer(path),
            peft_config=lora_config(settings, settings.rank),
        )  # fmt: skip
    found = []
    for trainer in (ours, theirs):
        torch.manual_seed(1)
        trained = [p for p in trainer.model.parameters() if p.requires_grad]
        for parameter in trained:
            parameter.data = 0.1 * torch.randn_like(parameter)
        batch = collate(rows) if trainer is ours else theirs.data_collator(pairs)
        with without_library_warnings():
            loss = trainer.compute_loss(trainer.model, batch)
        loss.backward()
        found.append((loss.item(), torch.cat([p.grad.flatten() for p in trained])))
    (loss, gradient), (wanted, reference) = found
    assert loss == pytest.approx(wanted, rel=1e-4)
    assert abs(wanted - (np.log(2) if kind == "sigmoid" else (1 / 0.6) ** 2)) > 1e-3
    torch.testing.assert_close(
        gradient, reference, rtol=1e-3, atol=1e-4 * float(reference.abs().max())
    )
