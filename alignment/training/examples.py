"""Training examples from vote shares: every pair in both orders and each template, tokenised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import numpy as np

from plenary.errors import ConfigError, DataError
from plenary.models.base import Conversation
from plenary.models.local.chat_template import ChatRenderer
from plenary.preferences import BoolArray, Targets
from plenary.prompt_templates import LABELS, PROMPT_TEMPLATES, PromptTemplate, question


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt and the distribution its answer should have.

    messages: the forced choice as asked.
    p_first: target probability that the outcome shown first (label A) is chosen.
    weight: relative weight; the mean over all examples is 1.
    labels: those for the first outcome, for the second, and for neither if that is offered, whose
    target is 0.
    """

    messages: Conversation
    p_first: float
    weight: float
    labels: tuple[str, ...] = LABELS


def training_templates(names: Sequence[str]) -> list[PromptTemplate]:
    """The templates with the given ids; ConfigError for one that cannot be trained on.

    That is one held out for evaluation, or one that asks for reasons first, since targets have
    none.
    """
    trainable = [
        f.id for f in PROMPT_TEMPLATES.values() if f.trainable and f.after_reasoning is None
    ]
    for name in names:
        if name not in trainable:
            raise ConfigError(f"template {name!r} cannot be trained on; use {', '.join(trainable)}")
    return [PROMPT_TEMPLATES[name] for name in names]


def examples(
    texts: Sequence[str], targets: Targets, templates: Sequence[PromptTemplate]
) -> list[Example]:
    """Examples [P * F * 2]: for each pair and template, first as given and then swapped.

    Pairs of weight 0 are left out. Weights are proportional to the effective votes behind a pair.
    """
    used = np.flatnonzero(_usable(targets, len(texts)))
    scale = targets.weight[used].mean()
    built: list[Example] = []
    for k in used:
        a, b = texts[int(targets.pairs[k, 0])], texts[int(targets.pairs[k, 1])]
        p, weight = float(targets.p[k]), float(targets.weight[k] / scale)
        for template in templates:
            built.append(Example(question(template, a, b), p, weight, template.labels))
            built.append(Example(question(template, b, a), 1.0 - p, weight, template.labels))
    return built


def _usable(targets: Targets, outcomes: int) -> BoolArray:
    """Mask [P] of the pairs that can be trained on; DataError for meaningless values."""
    pairs, p, weight = targets.pairs, targets.p, targets.weight
    if len({len(pairs), len(p), len(weight)}) > 1:
        raise DataError(
            f"targets of {len(pairs)} pairs, {len(p)} shares and {len(weight)} weights; match them"
        )
    if np.any(~np.isfinite(weight)) or np.any(weight < 0):
        odd = float(weight[~(weight >= 0) | ~np.isfinite(weight)][0])
        raise DataError(f"target weight {odd!r}; give a finite number of votes, at least 0")
    used = weight > 0
    if not used.any():
        raise DataError(f"none of {len(p)!r} target pairs has weight; let an assembly vote on them")
    inside = (p >= 0) & (p <= 1)
    if np.any(used & ~inside):
        odd = float(p[used & ~inside][0])
        raise DataError(f"target share {odd!r}; give a probability, or give the pair weight 0")
    if pairs[used].min() < 0 or pairs[used].max() >= outcomes:
        low, high = int(pairs[used].min()), int(pairs[used].max())
        raise DataError(
            f"target pairs name outcomes {low!r} to {high!r} of {outcomes}; give their catalogue"
        )
    return used


class AnswerRow(TypedDict):
    """One forced choice up to its answer: label_ids are the tokens of each label there."""

    input_ids: list[int]
    label_ids: list[list[int]]
    target_p: float
    weight: float


class ReplayRow(NamedTuple):
    """One replay text: predictions at the last `scored` positions of input_ids are preserved."""

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
    """Replay rows, preserving the next token after a user message, else the whole last message."""
    return [_replay_row(renderer, conversation, longest) for conversation in conversations]


def _replay_row(renderer: ChatRenderer, conversation: Conversation, longest: int) -> ReplayRow:
    if not conversation:
        raise DataError("replay conversation () has no message; give at least a user message")
    last = conversation[-1]
    if last.role != "assistant":
        ids = renderer.answer_prompts([conversation], LABELS).rows[0].tolist()
        return ReplayRow(_fitting(ids, longest, "replay texts"), 1)
    reply = renderer.clean(last.content)
    # The renderer finds where a reply starts by comparison with another reply.
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
