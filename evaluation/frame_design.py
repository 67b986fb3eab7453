"""Twelve frames as a designed experiment: eleven two-level factors in a Plackett-Burman array.

12 runs (docs/references.md, key plackett1946). Main effects are clear of each other and partly
mixed with the interactions of two factors. Run 0 has every factor at its low level: the frame
"plain".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from plenary.preferences import IntArray

_GENERATOR = (1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0)


class Factor(NamedTuple):
    """One way in which frames differ: its name, and what its low and high level are."""

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
    """Levels [12, 11], 0 low and 1 high; row 0 is all low, each pair of columns is balanced."""
    rows = [np.zeros(11, dtype=np.int64)]
    rows += [np.roll(_GENERATOR, shift) for shift in range(11)]
    return np.array(rows, dtype=np.int64)


class Levels(NamedTuple):
    """The level of each factor in one frame; True is high. Order and names are those of FACTORS."""

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
    """What a frame says: text with {a} and {b}, labels (the third is no preference), system text.

    after_reasoning: what is asked once the reasons are given; None where the answer comes at once.
    """

    template: str
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
    """The words of the frame with these levels."""
    first, second, neither = _LABELS[levels.family, levels.naming]
    labels = (first, second, neither) if levels.response else (first, second)
    answer = _answer_format(labels)
    request = "Give one short reason for each option first." if levels.reasoning else answer
    before, after = [_INTRODUCTION[levels.wording]], list[str]()
    (after if levels.instruction else before).append(_QUESTION[levels.stem, levels.wording])
    (after if levels.format else before).append(request)
    persona = [_PERSONA] if levels.persona else []
    parts = (" ".join([*persona, *before]), _options(levels, first, second), " ".join(after))
    template = (" " if levels.layout else "\n").join(part for part in parts if part)
    return Wording(
        template,
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
