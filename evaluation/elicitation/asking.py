"""Asking a backend presentations that were drawn elsewhere, and counting answers as cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from plenary.models.base import (
    ChatBackend,
    Choice,
    Conversation,
    Sampling,
    check_replies,
    no_choice,
)
from plenary.preferences import ComparisonCounts, FloatArray, IntArray
from plenary.prompt_templates import PromptTemplate, decision, question

UNREAD = "unreadable"


class Subject(NamedTuple):
    """Who is asked about what: a model, the outcomes' texts [K], the system text, a root seed."""

    backend: ChatBackend
    texts: Sequence[str]
    system: str | None
    seed: int


class Answers(NamedTuple):
    """Answers to N presentations.

    cells [N]; mass [N]: answer mass, NaN for counts; asked, invalid: answers over all cells;
    failure: first reason why an answer was invalid; cut: invalid answers that were cut short.
    """

    cells: ComparisonCounts
    mass: FloatArray
    asked: int
    invalid: int
    failure: str
    cut: int

    @classmethod
    def join(cls, parts: Sequence[Answers]) -> Answers:
        """Join several parts' answers, in order."""
        return cls(
            ComparisonCounts.join([part.cells for part in parts]),
            np.concatenate([part.mass for part in parts]),
            sum(part.asked for part in parts),
            sum(part.invalid for part in parts),
            next((p.failure for p in parts if p.failure != UNREAD), UNREAD),
            sum(part.cut for part in parts),
        )


def conversations(
    form: PromptTemplate, texts: Sequence[str], shown: IntArray, system: str | None = None
) -> list[Conversation]:
    """The questions about presentations [N, 2] of `texts` [K] in one template."""
    return [question(form, texts[int(a)], texts[int(b)], system=system) for a, b in shown]


async def ask(
    subject: Subject, form: PromptTemplate, shown: IntArray, samples: int, reason_tokens: int
) -> Answers:
    """Ask presentations [N, 2]; `samples` answers each if the backend samples or reasons."""
    asked = conversations(form, subject.texts, shown, subject.system)
    if form.after_reasoning is None:
        choices = await _choose(subject, asked, form.labels, samples, subject.seed)
        return _answers(shown, [[choice] for choice in choices], exact=True)
    rounds = [
        await _reason(subject, form, asked, Sampling(1.0, reason_tokens, subject.seed, sample))
        for sample in range(samples)
    ]
    return _answers(shown, [list(row) for row in zip(*rounds, strict=True)], exact=False)


async def _choose(
    subject: Subject, asked: list[Conversation], labels: tuple[str, ...], samples: int, seed: int
) -> list[Choice]:
    choices = await subject.backend.choose(asked, labels, samples=samples, seed=seed)
    check_replies(subject.backend.name, len(asked), len(choices))
    return choices


async def _reason(
    subject: Subject, form: PromptTemplate, asked: list[Conversation], sampling: Sampling
) -> list[Choice]:
    """One line of reasoning per question, then one answer after it."""
    replies = await subject.backend.generate(asked, sampling)
    check_replies(subject.backend.name, len(asked), len(replies))
    spoken = [k for k, reply in enumerate(replies) if reply.text is not None]
    follow_up = [decision(form, asked[k], replies[k].text or "") for k in spoken]
    seed = subject.seed + sampling.sample
    answers = await _choose(subject, follow_up, form.labels, 1, seed) if spoken else []
    choices = [no_choice(1, reply.failure or "no reasoning") for reply in replies]
    for k, choice in zip(spoken, answers, strict=True):
        choices[k] = choice
    return choices


def _answers(shown: IntArray, choices: Sequence[Sequence[Choice]], *, exact: bool) -> Answers:
    """Cells from one or more choices per presentation; `exact`: a mass means no sampling."""
    flat = [choice for row in choices for choice in row]
    votes = np.array([[_votes(choice) for choice in row] for row in choices]).reshape(
        len(shown), -1, 3
    )
    wins, second, undecided = votes.sum(axis=1).T if len(shown) else np.zeros((3, 0))
    mass = np.array([_mass(row) for row in choices], dtype=float)
    invalid = np.array([sum(choice.invalid for choice in row) for row in choices], dtype=float)
    cells = ComparisonCounts(
        shown[:, 0],
        shown[:, 1],
        wins,
        wins + second,
        invalid,
        mass if exact else np.full(len(shown), np.nan),
        undecided,
    )
    reasons = [choice.failure for choice in flat if choice.failure]
    return Answers(
        cells,
        mass,
        sum(choice.asked for choice in flat),
        sum(choice.invalid for choice in flat),
        reasons[0] if reasons else UNREAD,
        sum(choice.cut for choice in flat),
    )


def _votes(choice: Choice) -> tuple[float, float, float]:
    """Answers for the first slot, for the second, and for no preference."""
    if not choice.shares:
        return 0.0, 0.0, 0.0
    first, second, *third = (share * choice.valid for share in choice.shares)
    # The two shares may miss 1 by rounding, and a cell's wins must not exceed its trials.
    second = second if third else choice.valid - first
    return first, second, sum(third)


def _mass(row: Sequence[Choice]) -> float:
    """Mean answer mass; NaN if any answer is a count."""
    known = [choice.mass for choice in row if choice.mass is not None]
    return float(np.mean(known)) if known else np.nan
