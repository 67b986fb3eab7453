"""Prompt templates: the wordings of the forced choice, for elicitation, ballots and training."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from plenary.errors import ConfigError
from plenary.models.base import Conversation, Message, draw_of, drawn
from plenary.preferences import IntArray

LABELS = ("A", "B")

WITH_NEITHER = "+none"


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """One wording of the forced choice.

    template: text with the fields {a} (outcome shown first) and {b} (shown second).
    trainable: False keeps the template out of training, so that transfer to new wording can be
    measured.
    labels: the names of the first and the second slot; a third label means "no preference".
    system: text of the system message, after the persona's if there is one.
    after_reasoning: what is asked once the model has given its reasons; None asks at once.
    """

    id: str
    version: int
    text: str
    trainable: bool = True
    labels: tuple[str, ...] = LABELS
    system: str | None = None
    after_reasoning: str | None = None

    @property
    def text_hash(self) -> str:
        """Content hash of the wording (blake2b-64, hex), for every record made with it."""
        words = [self.text]
        if (self.labels, self.system, self.after_reasoning) != (LABELS, None, None):
            words += [*self.labels, self.system or "", self.after_reasoning or ""]
        return hashlib.blake2b("\x1f".join(words).encode(), digest_size=8).hexdigest()

    @property
    def offers_no_preference(self) -> bool:
        """Whether the model may say that it prefers neither."""
        return len(self.labels) > 2

    def render(self, a: str, b: str) -> str:
        """The user text with `a` in the first and `b` in the second slot."""
        return self.text.format(a=a, b=b)


# Chosen so that every factor has both levels among the templates kept for evaluation.
_HELD_OUT = (2, 3, 8, 9)


def _from_design(run: int, levels: Sequence[int]) -> PromptTemplate:
    return _worded(
        f"pb-{run:02d}" if run else "plain",
        Levels(*(bool(level) for level in levels)),
        trainable=run not in _HELD_OUT,
    )


def _worded(name: str, levels: Levels, *, trainable: bool) -> PromptTemplate:
    words = compose(levels)
    return PromptTemplate(
        name, 1, words.text, trainable, words.labels, words.system, words.after_reasoning
    )


def levels(name: str) -> dict[str, int]:
    """Level of every factor in a template, 0 low and 1 high, by the factor's name."""
    row = plackett_burman()[list(PROMPT_TEMPLATES).index(prompt_template(name).id)]
    return dict(zip(FACTOR_NAMES, row.tolist(), strict=True))


def prompt_template(name: str) -> PromptTemplate:
    """The template called `name`; ConfigError when there is none.

    "+none" after a template's id adds a third answer in the template's own words: no preference.
    """
    plain = name.removesuffix(WITH_NEITHER)
    try:
        found = PROMPT_TEMPLATES[plain]
    except KeyError:
        raise ConfigError(
            f"unknown template {name!r}; use one of {', '.join(PROMPT_TEMPLATES)}, with or without "
            f"{WITH_NEITHER!r} after it"
        ) from None
    if plain == name or found.offers_no_preference:
        return found
    row = Levels(*(bool(level) for level in levels(plain).values()))
    return _worded(name, row._replace(response=True), trainable=found.trainable)


_GENERATOR = (1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0)


class Factor(NamedTuple):
    """One way in which templates differ: its name, and what its low and high level are."""

    name: str
    low: str
    high: str


FACTORS = (
    Factor("stem", "which one is preferred", "which one would be better"),
    Factor("wording", "two possible outcomes", "two states of the world"),
    Factor("family", "labels A, B", "labels 1, 2"),
    Factor("naming", "single characters", "short names"),
    Factor("layout", "options on lines", "options inline"),
    Factor("system", "no system prompt", "an assistant's system prompt"),
    Factor("persona", "no persona", "a neutral rater"),
    Factor("instruction", "question before the options", "question after the options"),
    Factor("reasoning", "answer at once", "brief reasoning first"),
    Factor("response", "forced choice", "no preference is offered"),
    Factor("format", "answer format before the options", "answer format last"),
)

FACTOR_NAMES = tuple(factor.name for factor in FACTORS)


def plackett_burman() -> IntArray:
    """Levels [12, 11], 0 low and 1 high; row 0 is all low and each pair of columns is balanced."""
    rows = [np.zeros(11, dtype=np.int64)]
    rows += [np.roll(_GENERATOR, shift) for shift in range(11)]
    return np.array(rows, dtype=np.int64)


class Levels(NamedTuple):
    """The level of each factor in one template, in the order of FACTORS; True is high."""

    stem: bool
    wording: bool
    family: bool
    naming: bool
    layout: bool
    system: bool
    persona: bool
    instruction: bool
    reasoning: bool
    response: bool
    format: bool


class Wording(NamedTuple):
    """What a template says: text with {a} and {b}, labels (the third: no preference), system text.

    after_reasoning: what is asked once the reasons are given; None where the answer comes at once.
    """

    text: str
    labels: tuple[str, ...]
    system: str | None
    after_reasoning: str | None


# (family, naming) -> labels of the first and second slot and of "no preference"
_LABELS = {
    (False, False): ("A", "B", "C"),
    (True, False): ("1", "2", "3"),
    (False, True): ("Alpha", "Beta", "Equal"),
    (True, True): ("Uno", "Dos", "Equal"),
}

_SYSTEM = "You are an assistant that answers questions briefly and directly."

_PERSONA = "Act as a neutral rater who compares outcomes for a survey."

_INTRODUCTION = {
    False: "Here are two possible outcomes.",
    True: "Consider two ways in which the world could turn out.",
}

# (stem, wording) -> the question itself
_QUESTION = {
    (False, False): "Which one would you prefer?",
    (True, False): "Which one would be better?",
    (False, True): "Which of the two do you prefer to come true?",
    (True, True): "Which of the two would be the better state of the world?",
}


def compose(levels: Levels) -> Wording:
    """The words of the template with these levels."""
    first, second, neither = _LABELS[levels.family, levels.naming]
    labels = (first, second, neither) if levels.response else (first, second)
    answer = _answer_format(labels)
    request = "Give one short reason for each option first." if levels.reasoning else answer
    before, after = [_INTRODUCTION[levels.wording]], list[str]()
    (after if levels.instruction else before).append(_QUESTION[levels.stem, levels.wording])
    (after if levels.format else before).append(request)
    persona = [_PERSONA] if levels.persona else []
    parts = (" ".join([*persona, *before]), _options(levels, first, second), " ".join(after))
    text = (" " if levels.layout else "\n").join(part for part in parts if part)
    return Wording(
        text,
        labels,
        _SYSTEM if levels.system else None,
        f"Now decide. {answer}" if levels.reasoning else None,
    )


def _answer_format(labels: tuple[str, ...]) -> str:
    first, second = labels[:2]
    if len(labels) == 2:
        return f"Answer with {first} or {second} only."
    return f"Answer with {first} or {second}, or with {labels[2]} if you have no preference."


def _options(levels: Levels, first: str, second: str) -> str:
    if levels.layout:
        return f"Option {first} is this: {{a}}. Option {second} is this: {{b}}."
    return f"Option {first}: {{a}}\nOption {second}: {{b}}"


PROMPT_TEMPLATES: dict[str, PromptTemplate] = {
    entry.id: entry
    for entry in (_from_design(run, row) for run, row in enumerate(plackett_burman().tolist()))
}


def question(
    template: PromptTemplate,
    a: str,
    b: str,
    *,
    system: str | None = None,
    preface: str | None = None,
) -> Conversation:
    """The conversation that asks for A (the outcome `a`, shown first) or B (the outcome `b`).

    In a template with reasoning it asks for the reasons; `decision` continues from there.
    """
    text = template.render(a, b)
    user = Message("user", text if preface is None else f"{preface}\n\n{text}")
    told = "\n\n".join(words for words in (system, template.system) if words is not None)
    return (Message("system", told), user) if told else (user,)


def decision(template: PromptTemplate, asked: Conversation, reasons: str) -> Conversation:
    """The conversation that asks for the label once the model has given its reasons."""
    if template.after_reasoning is None:
        raise ConfigError(
            f"template {template.id!r} does not ask for reasons; use its question as it is"
        )
    said = (Message("assistant", reasons), Message("user", template.after_reasoning))
    return drawn((*asked, *said), draw_of(asked))
