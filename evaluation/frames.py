"""Prompt frames: the exact words in which two outcomes are put to a model, versioned and hashed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from plenary.chat.base import Conversation, Message
from plenary.errors import ConfigError

LABELS = ("A", "B")


@dataclass(frozen=True, slots=True)
class Frame:
    """One wording of the forced choice.

    template: text with the fields {a} (outcome shown first) and {b} (shown second).
    trainable: False keeps the frame out of training, so that transfer to new wording can be
    measured.
    """

    id: str
    version: int
    template: str
    trainable: bool = True

    @property
    def text_hash(self) -> str:
        """Content hash of the wording (blake2b-64, hex), for every record made with it."""
        return hashlib.blake2b(self.template.encode(), digest_size=8).hexdigest()

    def render(self, a: str, b: str) -> str:
        """The user text with `a` in the first and `b` in the second slot."""
        return self.template.format(a=a, b=b)


FRAMES: dict[str, Frame] = {
    "plain": Frame(
        "plain",
        1,
        "Here are two possible outcomes. Which one would you prefer? Answer with A or B only.\n"
        "Option A: {a}\nOption B: {b}",
    ),
}


def frame(name: str) -> Frame:
    """The frame called `name`; ConfigError when there is none."""
    try:
        return FRAMES[name]
    except KeyError:
        raise ConfigError(f"unknown frame {name!r}; use one of {', '.join(FRAMES)}") from None


def question(
    frame: Frame, a: str, b: str, *, system: str | None = None, preface: str | None = None
) -> Conversation:
    """The conversation that asks for A (the outcome `a`, shown first) or B (the outcome `b`)."""
    text = frame.render(a, b)
    user = Message("user", text if preface is None else f"{preface}\n\n{text}")
    return (user,) if system is None else (Message("system", system), user)
