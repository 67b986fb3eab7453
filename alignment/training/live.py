"""A live model with its adapter: the same weights answer with the adapter switched off and on.

N texts, T reply positions, V vocabulary. A text is a conversation whose last message is the
assistant's: its reply is read; one that ends with the user is read at its next token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from alignment.training.adapter import check_adapter
from alignment.training.batches import ReplayRow, encode_replay, pad_left
from alignment.training.trainer import longest_input, without_library_warnings
from plenary.models.base import Conversation
from plenary.models.local.chat_template import ChatRenderer
from plenary.models.local.checkpoints import load_tokenizer
from plenary.models.local.huggingface import load_model
from plenary.models.settings import LocalSettings
from plenary.preferences import FloatArray, IntArray

ROWS = 16


class AdapterReading(NamedTuple):
    """Base and adapted model on N texts.

    kl [N]: KL(base || adapted), nats, mean over the positions of the reply and the one after it; 0
    is an unchanged model. before, after [N]: log-probability of the whole reply, nats.
    tokens [N]: tokens of the reply; 0 for a text that ends with the user. same_top [N]: share of
    those positions where both have the same likeliest token.
    """

    kl: FloatArray
    before: FloatArray
    after: FloatArray
    tokens: IntArray
    same_top: FloatArray


class LiveModel:
    """A checkpoint with an adapter that `align` saved; DataError unless the two belong together."""

    def __init__(
        self,
        path: Path,
        adapter: Path,
        *,
        device: str = "cpu",
        trainable: bool = False,
        day: date | None = None,
    ) -> None:
        check_adapter(adapter, path)
        with without_library_warnings():
            self.model = PeftModel.from_pretrained(
                load_model(path, settings=LocalSettings(device=device)),
                str(adapter),
                is_trainable=trainable,
            )
        self.model.eval()
        self.tokenizer = load_tokenizer(path)
        self.device = torch.device(device)
        self._renderer = ChatRenderer(self.tokenizer, day)
        self._longest = longest_input(cast("PreTrainedModel", self.model.get_base_model()))

    def encode(self, texts: Sequence[Conversation]) -> list[ReplayRow]:
        """Token rows of texts; DataError for a text longer than the model allows."""
        return encode_replay(self._renderer, texts, self._longest)

    def logits(self, rows: Sequence[ReplayRow]) -> Tensor:
        """Logits [B, T, V] at the last T = max(scored) positions of left-padded rows."""
        padded = pad_left([row.input_ids for row in rows])
        inputs = {name: value.to(self.device) for name, value in padded._asdict().items()}
        keep = max(row.scored for row in rows)
        return self.model(**inputs, logits_to_keep=keep, use_cache=False).logits

    @contextmanager
    def side(self, *, adapted: bool) -> Iterator[PeftModel]:
        """The model with its adapter on or off."""
        with nullcontext() if adapted else self.model.disable_adapter():
            yield self.model

    def read(self, texts: Sequence[Conversation]) -> AdapterReading:
        """Read every text with both sides, in batches of similar length."""
        rows = self.encode(texts)
        columns = np.zeros((4, len(rows)))
        order = sorted(range(len(rows)), key=lambda k: len(rows[k].input_ids))
        for start in range(0, len(order), ROWS):
            members = order[start : start + ROWS]
            columns[:, members] = self._both([rows[k] for k in members])
        kl, before, after, same_top = columns
        tokens = np.array([row.scored - 1 for row in rows])
        return AdapterReading(kl, before, after, tokens, same_top)

    @torch.inference_mode()
    def _both(self, rows: Sequence[ReplayRow]) -> FloatArray:
        """KL, both log-probabilities, and share of equal likeliest tokens [4, B]."""
        with self.side(adapted=False):
            base = self.logits(rows)
        adapted = self.logits(rows)
        return np.array(
            [_compared(row, base[k], adapted[k]) for k, row in enumerate(rows)], dtype=float
        ).T


def _compared(row: ReplayRow, base: Tensor, adapted: Tensor) -> tuple[float, ...]:
    """The four figures of one row from logits [T, V]."""
    q, p = (side[-row.scored :].double().log_softmax(-1) for side in (base, adapted))
    kl = float((q.exp() * (q - p)).sum(-1).mean())
    same = float((q.argmax(-1) == p.argmax(-1)).double().mean())
    if row.scored == 1:
        return kl, 0.0, 0.0, same
    ids = torch.tensor(row.input_ids[1 - row.scored :], device=base.device)[:, None]
    before, after = (float(side[:-1].gather(1, ids).sum()) for side in (q, p))
    return kl, before, after, same
