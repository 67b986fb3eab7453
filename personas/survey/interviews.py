"""Interviewing: asks a model survey questions as each citizen, and planted citizens for tests.

Shapes: C citizens, I items, A answers of an item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from personas.survey.survey import Survey, SurveyItem
from plenary.errors import BackendError
from plenary.models.base import (
    ChatBackend,
    Choice,
    Conversation,
    Message,
    Reply,
    Sampling,
    check_replies,
    copies,
    drawn,
)
from plenary.preferences import FloatArray

LETTERS = "ABCDEFGHIJKLMNOPQRST"
WORDINGS: Final[Mapping[str, str]] = {
    "plain": "A survey asks about {about}. Which answer is yours? Answer with one letter only.",
    "other": "Please give your own view on {about}. Reply with the letter of one answer.",
}
Answers = Mapping[str, FloatArray]


def question(item: SurveyItem, wording: str, system: str | None, *, reverse: bool) -> Conversation:
    """The conversation that asks one citizen, or nobody in particular, one item."""
    answers = item.answers[::-1] if reverse else item.answers
    lines = [f"{letter}: {text}" for letter, text in zip(LETTERS, answers, strict=False)]
    text = "\n".join([WORDINGS[wording].format(about=item.about), *lines])
    user = Message("user", text)
    return (user,) if system is None else (Message("system", system), user)


async def interview(
    backend: ChatBackend,
    survey: Survey,
    systems: Sequence[str | None],
    *,
    wording: str = "plain",
    samples: int = 10,
    seed: int = 0,
) -> Answers:
    """Item -> share of each answer [C, A], mean of both orders; NaN rows if none was valid."""
    found: dict[str, FloatArray] = {}
    sizes = sorted({len(item.answers) for item in survey.file.items.values()})
    for size in sizes:
        items = {n: i for n, i in survey.file.items.items() if len(i.answers) == size}
        asked = [
            drawn(question(item, wording, system, reverse=reverse), draw)
            for system, draw in zip(systems, copies(systems), strict=True)
            for item in items.values()
            for reverse in (False, True)
        ]
        choices = await backend.choose(asked, tuple(LETTERS[:size]), samples=samples, seed=seed)
        check_replies(backend.name, len(asked), len(choices))
        shares = np.array([c.shares or (np.nan,) * size for c in choices], dtype=np.float64)
        table = shares.reshape(len(systems), len(items), 2, size)
        both = np.stack([table[:, :, 0], table[:, :, 1, ::-1]])
        seen = np.isfinite(both)
        total = np.where(seen, both, 0.0).sum(axis=0)
        mean = np.where(seen.any(axis=0), total / seen.sum(axis=0).clip(min=1), np.nan)
        found |= {name: mean[:, k] for k, name in enumerate(items)}
    return {name: found[name] for name in survey.file.items}


class SurveyBackend(ChatBackend):
    """Planted citizens who answer a survey with given shares, whatever the order and wording."""

    supports_seed = True
    exact_choice = True

    def __init__(
        self, survey: Survey, systems: Mapping[str, int], answers: Answers, name: str
    ) -> None:
        items = survey.file.items
        self._keys = sorted(items, key=lambda key: len(items[key].about), reverse=True)
        self._survey, self._systems, self._answers = survey, systems, answers
        self.name = f"survey:{name}"

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        """Refuse: planted survey citizens only choose."""
        return [Reply(None, "refused: planted survey citizens only choose")] * len(conversations)

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        """The planted shares, in the order in which the answers are shown."""
        return [self._choice(conversation, labels) for conversation in conversations]

    def _choice(self, conversation: Conversation, labels: tuple[str, ...]) -> Choice:
        text = conversation[-1].content
        shown = [line.partition(": ")[2] for line in text.split("\n")[-len(labels) :]]
        for key in self._keys:
            about, answers = (
                self._survey.file.items[key].about,
                self._survey.file.items[key].answers,
            )
            if about in text and sorted(shown) == sorted(answers):
                shares = self._shares(conversation, key)
                order = [answers.index(answer) for answer in shown]
                return Choice(tuple(float(shares[at]) for at in order), 1.0, 1, 1)
        raise BackendError(
            f"planted survey citizens know no item in {text[:80]!r}; ask the survey's own items"
        )

    def _shares(self, conversation: Conversation, key: str) -> FloatArray:
        first = conversation[0]
        at = self._systems.get(first.content) if first.role == "system" else None
        return self._survey.marginal(key) if at is None else self._answers[key][at]
