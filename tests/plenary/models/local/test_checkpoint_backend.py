from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from plenary.models.base import Message, Reply, Sampling
from plenary.models.local.checkpoint_backend import CheckpointBackend
from plenary.models.local.checkpoints import load_tokenizer
from plenary.models.local.prefix_batching import TokenRow
from plenary.preferences import FloatArray


class Scribe(CheckpointBackend):
    """Gives every prompt the same words."""

    def __init__(self, folder: Path, words: str) -> None:
        super().__init__(load_tokenizer(folder))
        self._longest, self.name, self._words = 10_000, "scribe", words

    def _label_log_probs(self, rows: Sequence[TokenRow], labels: Sequence[int]) -> FloatArray:
        raise NotImplementedError

    def _draw(
        self,
        rows: Sequence[TokenRow],
        ends: Sequence[int | None],
        streams: Sequence[np.random.Generator],
        sampling: Sampling,
    ) -> list[Reply]:
        ids = self._tokenizer(self._words, add_special_tokens=False)["input_ids"]
        return [self._reply(row, self._words, ids) for row in rows]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "heard"),
    [
        ("<think> I choose A because", None),
        ("<think> A saves lives </think> it saves lives", "it saves lives"),
        ("A saves lives </think> it keeps people free", "it keeps people free"),
        ("it saves lives", "it saves lives"),
    ],
)
def test_reasoning_is_no_reply(
    words: str, heard: str | None, checkpoint: Callable[..., Path]
) -> None:
    backend = Scribe(checkpoint("qwen2"), words)
    (reply,) = asyncio.run(backend.generate([(Message("user", "Speak."),)], Sampling()))
    assert reply.text == heard
    assert reply.cut == (heard is None)
    assert (reply.failure or "").startswith("" if heard else "cut short while reasoning")
