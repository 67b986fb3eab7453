"""Exact choices from whatever gives log-probabilities of single tokens after a prompt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from plenary.chat.base import Choice, no_choice
from plenary.chat.batching import TokenRow
from plenary.chat.rendering import AnswerPrompts, AnswerTokens
from plenary.preferences import FloatArray

# Log-probability [N, L], over the whole vocabulary, of each of L tokens after each of N rows; NaN
# where the model gave none.
Read = Callable[[Sequence[TokenRow], Sequence[int]], FloatArray]


def too_long(row: TokenRow, longest: int) -> str:
    """Why a prompt was not asked."""
    return f"prompt of {len(row)} tokens does not fit the model's {longest} positions"


def read_choices(prompts: AnswerPrompts, longest: int, read: Read) -> list[Choice]:
    """The choice at each prompt [N]; a label of several tokens is their product.

    longest: positions of the model. A prompt that does not fit, or of which the model gave no
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
