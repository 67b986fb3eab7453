"""Base of the backends that run a checkpoint here: prompts in, choices and replies out."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date

import numpy as np
from transformers import PreTrainedTokenizerBase

from plenary.models.base import (
    ChatBackend,
    Choice,
    Conversation,
    Reply,
    Sampling,
    draw_of,
    no_choice,
)
from plenary.models.local.chat_template import AnswerPrompts, AnswerTokens, ChatRenderer
from plenary.models.local.checkpoints import load_tokenizer
from plenary.models.local.prefix_batching import TokenRow
from plenary.models.reply_text import CUT_HERE, said_aloud
from plenary.preferences import FloatArray
from plenary.seeding import generator


def prints_date(path: str) -> bool:
    """Whether a checkpoint's chat template prints a date; BackendError if it loses text."""
    return ChatRenderer(load_tokenizer(path)).dated


class CheckpointBackend(ChatBackend):
    """Exact choices, and replies drawn from one seed per prompt, by the subclass's model.

    A subclass sets `_longest`, the positions of its model. Callers may ask concurrently, each in
    its own thread: `_label_log_probs` and `_draw` make sure that only one of them computes.
    """

    supports_seed = True
    exact_choice = True
    _longest: int

    def __init__(self, tokenizer: PreTrainedTokenizerBase, day: date | None = None) -> None:
        self._tokenizer = tokenizer
        self._renderer = ChatRenderer(self._tokenizer, day)
        # A separate lock, so that one caller's prompts are rendered while another's are computed.
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
        """One reply per conversation, which depends only on seed, sample, prompt and draw."""
        return await asyncio.to_thread(self._generate, conversations, sampling)

    @abstractmethod
    def _label_log_probs(self, rows: Sequence[TokenRow], labels: Sequence[int]) -> FloatArray:
        """Log-probability [N, L] of each label token after each row; NaN if there is none."""

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
        """The reply from these tokens, whose text without control tokens is `text`."""
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


# Log-probability [N, L], over the whole vocabulary, of each of L tokens after each of N rows; NaN
# if the model gave none.
Read = Callable[[Sequence[TokenRow], Sequence[int]], FloatArray]


def too_long(row: TokenRow, longest: int) -> str:
    """Why a prompt was not asked."""
    return f"prompt of {len(row)} tokens does not fit the model's {longest} positions"


def read_choices(prompts: AnswerPrompts, longest: int, read: Read) -> list[Choice]:
    """The choice at each prompt [N]; a label of several tokens is their product.

    longest: positions of the model. A prompt that does not fit, or for which the model gave no
    probability, is an invalid answer.
    """
    choices = [no_choice(1, too_long(row, longest)) for row in prompts.rows]
    for answer, members in _by_answer(prompts, longest).items():
        rows = [prompts.rows[k] for k in members]
        for k, log_probs in zip(members, _label_log_probs(rows, answer, read), strict=True):
            choices[k] = _choice(prompts.rows[k], log_probs, answer)
    return choices


def _by_answer(prompts: AnswerPrompts, longest: int) -> dict[AnswerTokens, list[int]]:
    groups: dict[AnswerTokens, list[int]] = defaultdict(list)
    for k, (row, answer) in enumerate(zip(prompts.rows, prompts.answers, strict=True)):
        if len(row) + max(map(len, answer.labels)) <= longest:
            groups[answer].append(k)
    return groups


def _label_log_probs(rows: Sequence[TokenRow], answer: AnswerTokens, read: Read) -> FloatArray:
    """Log-probability [N, labels] of each label's token sequence."""
    starts: dict[tuple[int, ...], list[tuple[int, int]]] = defaultdict(list)
    for label, tokens in enumerate(answer.labels):
        for k, token in enumerate(tokens):
            starts[tokens[:k]].append((label, token))
    result = np.zeros((len(rows), len(answer.labels)))
    for before, follow in starts.items():
        longer = [np.concatenate([row, np.array(before, dtype=np.int32)]) for row in rows]
        logs = read(longer, [token for _, token in follow])
        for column, (label, _) in enumerate(follow):
            result[:, label] += logs[:, column]
    return result


def _choice(row: TokenRow, log_probs: FloatArray, answer: AnswerTokens) -> Choice:
    if np.isnan(log_probs).any():
        return no_choice(1, "failed: the model gave no probability of a label")
    mass = float(np.exp(log_probs).sum())
    shares = np.exp(log_probs - np.logaddexp.reduce(log_probs))
    return Choice(tuple(shares.tolist()), mass, 1, 1, None, len(row), len(answer.labels[0]))
