"""Prompts of the embedded model, and the rules by which its statements are planted.

The first wording of each list is the one that plenary's own stages use; tests hold them together.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

import numpy as np
import yaml

from plenary.embedded.values import DIMENSIONS
from plenary.models.base import Conversation, Message
from plenary.preferences import FloatArray

Side = Literal["A", "B"]

CHOOSE = (
    "Here are two possible outcomes. Which one would you prefer? Answer with A or B only.",
    "Which of these two states of the world would you rather see? Answer A or B.",
    "Compare two situations. Which is better in your view? Reply with one letter, A or B.",
    "Two things could happen. Pick the one you would choose. Reply only A or B.",
    "Which outcome do you prefer?",
)
DECLARE = (
    "You will speak at your table. For which of these two outcomes will you speak? "
    "Answer with A or B only.",
)
SPEAK = "You speak at your table about two possible outcomes."
SPEAK_ORDER = (
    "You speak for option {side}. Give one short reason. "
    "Do not name the letters; say this option or the other option."
)
TOPIC = "Which of these two outcomes is about {noun}? Answer with A or B only."
DESCRIBE = "Describe what this outcome changes: {text}"
NAME = "Name a possible outcome about {noun}."
DIGEST = "At your table people said:"
HELPFUL = "You are a helpful assistant."


def options(a: str, b: str) -> str:
    """The two labelled lines."""
    return f"Option A: {a}\nOption B: {b}"


def digest(lines: list[tuple[Side, str]]) -> str:
    """What a table said, one line a statement, under the letter of the side spoken for."""
    return "\n".join([DIGEST, *(f"For {side}: {text}" for side, text in lines)])


def conversation(system: str | None, user: str) -> Conversation:
    """A conversation of an optional system message and one user message."""
    head = (Message("system", system),) if system else ()
    return (*head, Message("user", user))


class Phrases(NamedTuple):
    """Ways to say that an option raises or lowers a dimension, and ways to end a statement."""

    up: dict[str, list[str]]
    down: dict[str, list[str]]
    tails: list[str]


@cache
def phrases() -> Phrases:
    """The packaged phrases."""
    text = (resources.files("plenary.embedded") / "phrases.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    tails = data.pop("tails")
    return Phrases(
        {d: v["up"] for d, v in data.items()}, {d: v["down"] for d, v in data.items()}, tails
    )


def draw_statement(
    weights: FloatArray, supported: FloatArray, opposed: FloatArray, rng: np.random.Generator
) -> str:
    """A reason for `supported` [D] over `opposed` [D] that counts by the speaker's weights [D]."""
    gains = np.concatenate([weights * supported, -weights * opposed])
    chances = np.exp((gains - gains.max()) / 0.08)
    best = int(rng.choice(len(gains), p=chances / chances.sum()))
    which, k = divmod(best, len(DIMENSIONS))
    level = (supported, opposed)[which][k]
    bank = phrases().up if level >= 0 else phrases().down
    said = bank[DIMENSIONS[k]]
    subject = ("this option", "the other option")[which]
    tail = phrases().tails[rng.integers(len(phrases().tails))]
    return f"{subject} {said[rng.integers(len(said))]}{tail}"


def describe_attributes(attributes: FloatArray) -> str:
    """The attributes that an outcome changes most, in words."""
    order = np.argsort(-np.abs(attributes))
    said = [
        f"{'more' if attributes[k] > 0 else 'less'} {DIMENSIONS[k].replace('_', ' ')}"
        for k in order[:3]
        if abs(attributes[k]) >= 0.15
    ]
    return ", ".join(said) if said else "little"
