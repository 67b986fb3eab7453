"""What backends that read a checkpoint in this process share: prompts in, answers out."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from abc import abstractmethod
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np

from plenary.chat.base import ChatBackend, Choice, Conversation, Reply, Sampling, draw_of
from plenary.chat.batching import TokenRow
from plenary.chat.checkpoints import load_tokenizer
from plenary.chat.label_reading import read_choices, too_long
from plenary.chat.rendering import ChatRenderer
from plenary.chat.reply_text import CUT_HERE, said_aloud
from plenary.preferences import FloatArray
from plenary.seeding import generator


def prints_date(path: str) -> bool:
    """Whether a checkpoint's chat template prints a date; BackendError if it loses text."""
    return ChatRenderer(load_tokenizer(path)).dated


class CheckpointBackend(ChatBackend):
    """Exact choices, and replies drawn from a seed a prompt, by whatever model a subclass holds.

    A subclass sets `_longest`, positions of its model. Callers ask at once, each in a thread:
    `_label_log_probs` and `_draw` see to it that one of them computes.
    """

    supports_seed = True
    exact_choice = True
    _longest: int

    def __init__(self, folder: Path, day: date | None = None) -> None:
        self._tokenizer = load_tokenizer(folder)
        self._renderer = ChatRenderer(self._tokenizer, day)
        # A lock of its own: one caller's prompts are rendered while another's are computed.
        self._rendering = threading.Lock()

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        """Exact label probabilities, `mass` over the whole vocabulary; no sampling."""
        return await asyncio.to_thread(self._choose, conversations, labels)

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        """One reply a conversation, drawn by seed, sample, its own prompt and draw alone."""
        return await asyncio.to_thread(self._generate, conversations, sampling)

    @abstractmethod
    def _label_log_probs(self, rows: Sequence[TokenRow], labels: Sequence[int]) -> FloatArray:
        """Log-probability [N, L] of each label token after each row; NaN where there is none."""

    @abstractmethod
    def _draw(
        self,
        rows: Sequence[TokenRow],
        ends: Sequence[int | None],
        streams: Sequence[np.random.Generator],
        sampling: Sampling,
    ) -> list[Reply]:
        """A reply to each row [N] that fits, drawn from its stream.

        ends: the control token after each answer.
        """

    def _choose(
        self, conversations: Sequence[Conversation], labels: tuple[str, ...]
    ) -> list[Choice]:
        with self._rendering:
            prompts = self._renderer.answer_prompts(conversations, labels)
        return read_choices(prompts, self._longest, self._label_log_probs)

    def _generate(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Reply]:
        with self._rendering:
            rows, answers = self._renderer.answer_prompts(conversations)
        room = self._longest - sampling.max_tokens
        fits = [k for k, row in enumerate(rows) if len(row) <= room]
        replies = [Reply(None, too_long(row, self._longest), len(row)) for row in rows]
        drawn = self._draw(
            [rows[k] for k in fits],
            [answers[k].end for k in fits],
            [reply_stream(rows[k], sampling, draw_of(conversations[k])) for k in fits],
            sampling,
        )
        for k, reply in zip(fits, drawn, strict=True):
            replies[k] = reply
        return replies

    def _reply(self, row: TokenRow, text: str, tokens: Sequence[int]) -> Reply:
        """The reply of these tokens, which read `text` without control tokens."""
        whole = str(self._tokenizer.decode(list(tokens), skip_special_tokens=False)).strip()
        aloud = said_aloud(whole)
        if aloud is None:
            return Reply(None, CUT_HERE, len(row), len(tokens))
        cleaned = self._renderer.clean(text if aloud == whole else aloud)
        failure = None if cleaned else "the model gave an empty reply"
        return Reply(cleaned or None, failure, len(row), len(tokens))


def reply_stream(row: TokenRow, sampling: Sampling, draw: str = "") -> np.random.Generator:
    """The random numbers of the reply to one prompt."""
    prompt = hashlib.blake2b(row.tobytes(), digest_size=16).hexdigest()
    return generator(sampling.seed, "reply", sampling.sample, prompt, *([draw] if draw else ()))
