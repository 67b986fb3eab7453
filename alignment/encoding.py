"""Examples and replay conversations as token rows, cut where the chat renderer sees the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypedDict

from alignment.examples import Example
from evaluation.frames import LABELS
from plenary.chat.base import Conversation
from plenary.chat.rendering import ChatRenderer
from plenary.errors import DataError


class AnswerRow(TypedDict):
    """One forced choice up to its answer: label_ids are the tokens that say each label there."""

    input_ids: list[int]
    label_ids: list[list[int]]
    target_p: float
    weight: float


class ReplayRow(NamedTuple):
    """One text to keep: the predictions at the last `scored` positions of input_ids matter."""

    input_ids: list[int]
    scored: int


def encode_answers(
    renderer: ChatRenderer, rows: Sequence[Example], longest: int
) -> list[AnswerRow]:
    """Token rows cut where the answer starts; DataError when one exceeds `longest` tokens."""
    return [_answer_row(renderer, row, longest) for row in rows]


def _answer_row(renderer: ChatRenderer, row: Example, longest: int) -> AnswerRow:
    (ids,), (answer,) = renderer.answer_prompts([row.messages], row.labels)
    labels = [list(tokens) for tokens in answer.labels[:2]]
    _fitting([*ids.tolist(), *max(labels, key=len)], longest)
    return AnswerRow(
        input_ids=ids.tolist(), label_ids=labels, target_p=row.p_first, weight=row.weight
    )


def encode_replay(
    renderer: ChatRenderer, conversations: Sequence[Conversation], longest: int
) -> list[ReplayRow]:
    """Rows whose reply is kept: the next token after a user message, else the last message."""
    return [_replay_row(renderer, conversation, longest) for conversation in conversations]


def _replay_row(renderer: ChatRenderer, conversation: Conversation, longest: int) -> ReplayRow:
    if not conversation:
        raise DataError("replay conversation () has no message; give at least a user message")
    last = conversation[-1]
    if last.role != "assistant":
        ids = renderer.answer_prompts([conversation], LABELS).rows[0].tolist()
        return ReplayRow(_fitting(ids, longest, "replay texts"), 1)
    reply = renderer.clean(last.content)
    # The renderer finds where a reply starts by what differs from another one.
    other = "B" if reply.startswith("A") else "A"
    prompts = renderer.answer_prompts([conversation[:-1]], (reply, other))
    kept = prompts.answers[0].labels[0]
    ids = [*prompts.rows[0].tolist(), *kept]
    return ReplayRow(_fitting(ids, longest, "replay texts"), len(kept) + 1)


def _fitting(ids: list[int], longest: int, what: str = "outcomes") -> list[int]:
    if len(ids) > longest:
        raise DataError(
            f"prompt of {len(ids)!r} tokens and the model holds {longest!r}; shorten the {what}"
        )
    return ids
