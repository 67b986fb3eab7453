from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from alignment.training.batches import (
    AnswerRow,
    collate,
    encode_answers,
    label_log_probs,
    logits_needed,
    rest_kl,
)
from alignment.training.objectives import OBJECTIVES
from alignment.training.settings import AlignmentSettings
from plenary.models.local.chat_template import ChatRenderer
from plenary.models.local.checkpoints import load_tokenizer
from plenary.models.local.huggingface import load_model
from plenary.preferences import Targets
from plenary.training_rows import rows_toward, training_templates

Maker = Callable[[str], Path]
FRAMES = ("plain", "pb-01", "pb-10")
SINGLE = AnswerRow(input_ids=[3, 4, 5], label_ids=[[1], [2]], target_p=0.9, weight=0.5)
DOUBLE = AnswerRow(input_ids=[3, 4], label_ids=[[6, 7], [8]], target_p=0.2, weight=1.5)


@pytest.fixture
def rows(
    checkpoint: Maker, texts: tuple[str, ...], targets: Targets
) -> Callable[[str], list[AnswerRow]]:
    def make(name: str) -> list[AnswerRow]:
        """Rows of three templates, labels of one and of several tokens."""
        asked = rows_toward(texts, targets, training_templates(FRAMES))
        return encode_answers(ChatRenderer(load_tokenizer(checkpoint(name))), asked[:18], 1024)

    return make


def _log_p(model: torch.nn.Module, rows: list[AnswerRow]) -> torch.Tensor:
    batch = collate(rows)
    padded = {k: batch[k] for k in ("input_ids", "attention_mask", "position_ids")}
    logits = model(**padded, logits_to_keep=logits_needed(batch)).logits
    return label_log_probs(logits, batch)


def test_one_sequence_serves_both_labels_of_one_token() -> None:
    alone, mixed = collate([SINGLE]), collate([SINGLE, DOUBLE])
    assert alone["input_ids"].tolist() == [[3, 4, 5]]
    assert logits_needed(alone) == 1
    assert mixed["input_ids"].tolist() == [[3, 4, 5], [3, 4, 6], [0, 3, 4]]
    assert logits_needed(mixed) == 2
    assert mixed["reads"].tolist() == [
        [0, 0, 1, 0], [0, 0, 2, 1], [1, 1, 6, 2], [1, 0, 7, 2], [2, 0, 8, 3],
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["llama", "qwen2", "gemma2", "mistral", "gpt2"])
def test_padding_side_batch_and_packing_change_nothing(
    checkpoint: Maker, rows: Callable[[str], list[AnswerRow]], name: str
) -> None:
    """Left-padded batches against rows alone, padded on the right, and packed into one sequence."""
    model, asked = load_model(checkpoint(name)), rows(name)
    with torch.no_grad():
        batched = _log_p(model, asked)
        alone = torch.cat([_log_p(model, [row]) for row in asked])
        shuffled = _log_p(model, asked[::-1]).flip(0)
        right = torch.stack([_right_padded(model, row) for row in asked])
        torch.testing.assert_close(batched, alone, rtol=0, atol=1e-4)
        torch.testing.assert_close(batched, shuffled, rtol=0, atol=1e-4)
        torch.testing.assert_close(batched, right, rtol=0, atol=1e-4)
        if name in ("llama", "qwen2", "gpt2"):
            torch.testing.assert_close(batched, _packed(model, asked), rtol=0, atol=1e-4)


def _right_padded(model: torch.nn.Module, row: AnswerRow) -> torch.Tensor:
    """Log-probabilities [2] of the labels, with seven tokens of padding after each sequence."""
    found = []
    for tokens in row["label_ids"]:
        ids = [*row["input_ids"], *tokens]
        shown = torch.tensor([[*ids, *[0] * 7]])
        mask = torch.tensor([[1] * len(ids) + [0] * 7])
        logs = model(input_ids=shown, attention_mask=mask).logits[0].float().log_softmax(-1)
        start = len(row["input_ids"]) - 1
        found.append(sum(logs[start + at, token] for at, token in enumerate(tokens)))
    return torch.stack(found)  # type: ignore[arg-type]


def _packed(model: torch.nn.Module, rows: list[AnswerRow]) -> torch.Tensor:
    """Log-probabilities [B, 2] from one sequence of all rows that cannot see each other."""
    parts = [[*row["input_ids"], *tokens] for row in rows for tokens in row["label_ids"]]
    ids = torch.tensor([[token for part in parts for token in part]])
    number = torch.cat([torch.full((len(part),), k) for k, part in enumerate(parts)])
    position = torch.cat([torch.arange(len(part)) for part in parts])
    seen = (number[:, None] == number) & (torch.arange(len(number))[:, None] >= torch.arange(
        len(number)
    ))  # fmt: skip
    mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
    logits = model(
        input_ids=ids, attention_mask=mask[None, None], position_ids=position[None], use_cache=False
    ).logits[0]
    logs, end, found = logits.float().log_softmax(-1), 0, list[torch.Tensor]()
    for part, tokens in zip(parts, [t for row in rows for t in row["label_ids"]], strict=True):
        end += len(part)
        start = end - len(tokens) - 1
        found.append(sum(logs[start + at, token] for at, token in enumerate(tokens)))  # type: ignore[arg-type]
    return torch.stack(found).view(-1, 2)


@pytest.mark.parametrize("name", ["llama", "gemma2"])
def test_logits_where_they_are_read_equal_logits_everywhere(
    checkpoint: Maker, rows: Callable[[str], list[AnswerRow]], name: str
) -> None:
    model, batch = load_model(checkpoint(name)), collate(rows(name))
    padded = {k: batch[k] for k in ("input_ids", "attention_mask", "position_ids")}
    needed = logits_needed(batch)
    with torch.no_grad():
        few = model(**padded, logits_to_keep=needed).logits
        everywhere = model(**padded).logits
    assert few.numel() * 5 < everywhere.numel()
    torch.testing.assert_close(
        label_log_probs(few, batch), label_log_probs(everywhere, batch), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_gradient_against_finite_differences_of_a_slow_reference(objective: str) -> None:
    """d loss / d logits of the whole path, labels of one and two tokens, in double precision."""
    rng = np.random.default_rng(0)
    hard = [dict(SINGLE, target_p=1.0), dict(DOUBLE, target_p=0.0)]
    content = [SINGLE, DOUBLE] if objective == "soft_sft" else hard
    batch = collate(content)  # type: ignore[arg-type]
    logits, base = rng.normal(size=(3, 2, 9)), rng.normal(size=(2, 2))

    def slow(values: np.ndarray) -> float:
        logs = values - np.log(np.exp(values).sum(-1, keepdims=True))
        table = np.array([[logs[0, 1, 1], logs[0, 1, 2]],
                          [logs[1, 0, 6] + logs[1, 1, 7], logs[2, 1, 8]]])  # fmt: skip
        total = 0.0
        for (a, b), (base_a, base_b), row in zip(table, base, content, strict=True):
            p, sign = row["target_p"], 2 * row["target_p"] - 1
            gain = sign * ((a - base_a) - (b - base_b))
            loss = {
                "dpo": np.log1p(np.exp(-0.3 * gain)),
                "ipo": (gain - 1 / 0.6) ** 2,
            }.get(objective, -(p * a + (1 - p) * b))
            total += row["weight"] * loss / 2
        return total

    leaf = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
    log_p = label_log_probs(leaf, batch)
    reference = torch.tensor(base, dtype=torch.float32)
    losses = OBJECTIVES[objective].loss(log_p, reference, batch["target_p"], 0.3)
    loss = (batch["weight"] * losses).mean()
    loss.backward()
    assert loss.item() == pytest.approx(slow(logits), rel=1e-5)
    assert leaf.grad is not None
    for at in np.ndindex(*logits.shape):
        step = np.zeros_like(logits)
        step[at] = 1e-5
        wanted = (slow(logits + step) - slow(logits - step)) / 2e-5
        assert leaf.grad[at].item() == pytest.approx(wanted, abs=1e-5)


def test_the_rest_is_held_and_the_preference_is_free() -> None:
    batch = collate([SINGLE])
    p = torch.tensor([[[0.1, 0.5, 0.2, 0.15, 0.05]]])
    swapped = torch.tensor([[[0.1, 0.2, 0.5, 0.15, 0.05]]])
    leaking = torch.tensor([[[0.3, 0.3, 0.2, 0.15, 0.05]]])
    assert rest_kl(p.log(), swapped.log(), batch).item() == pytest.approx(0, abs=1e-6)
    expected = 0.1 * np.log(0.1 / 0.3) + 0.7 * np.log(0.7 / 0.5)
    assert rest_kl(p.log(), leaking.log(), batch).item() == pytest.approx(expected, rel=1e-4)


def test_labels_that_begin_alike_hold_their_mass_once() -> None:
    """A tokenizer with a token for the space before the letter: "_" "A" against "_" "B"."""
    batch = collate([AnswerRow(input_ids=[3], label_ids=[[2, 0], [2, 1]], target_p=0.5, weight=1)])
    p, q = torch.tensor([0.1, 0.1, 0.6, 0.2]), torch.tensor([0.2, 0.1, 0.5, 0.2])
    shown = [each.log().expand(2, 2, 4) for each in (p, q)]
    assert rest_kl(shown[0], shown[1], batch).item() == pytest.approx(
        float((p * (p / q).log()).sum()), rel=1e-4
    )


def test_holding_the_rest_keeps_the_answer_mass(
    checkpoint: Maker, make_trainer: Callable[..., object]
) -> None:
    """Training with the term moves the model less, at the answer, than training without it."""
    drift = []
    for weight in (1e-6, 5.0):
        settings = AlignmentSettings(
            rest_weight=weight, replay_weight=0, epochs=8, batch=15, learning_rate=3e-3
        )
        trainer = make_trainer(checkpoint("qwen2"), settings)  # type: ignore[operator]
        trainer.replay = None
        trainer.train()
        batch = collate([trainer.train_dataset[k] for k in range(12)])
        with torch.no_grad():
            after = trainer._logits(trainer.model, batch)
            with trainer.model.disable_adapter():
                before = trainer._logits(trainer.model, batch)
        drift.append(rest_kl(before, after, batch).item())
    assert drift[1] < drift[0] / 2
