"""Prompt frames: the exact words in which two outcomes are put to a model, versioned and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.frame_design import FACTOR_NAMES, Levels, compose, plackett_burman
from plenary.chat.base import Conversation, Message, draw_of, drawn
from plenary.errors import ConfigError

LABELS = ("A", "B")
WITH_NEITHER = "+none"


@dataclass(frozen=True, slots=True)
class Frame:
    """One wording of the forced choice.

    template: text with the fields {a} (outcome shown first) and {b} (shown second).
    trainable: False keeps the frame out of training, so that transfer to new wording can be
    measured.
    labels: what the first slot and the second are called; a third one means "no preference".
    system: text of the system message, after the persona's if there is one.
    after_reasoning: what is asked once the model has given its reasons; None asks at once.
    """

    id: str
    version: int
    template: str
    trainable: bool = True
    labels: tuple[str, ...] = LABELS
    system: str | None = None
    after_reasoning: str | None = None

    @property
    def text_hash(self) -> str:
        """Content hash of the wording (blake2b-64, hex), for every record made with it."""
        words = [self.template]
        if (self.labels, self.system, self.after_reasoning) != (LABELS, None, None):
            words += [*self.labels, self.system or "", self.after_reasoning or ""]
        return hashlib.blake2b("\x1f".join(words).encode(), digest_size=8).hexdigest()

    @property
    def offers_no_preference(self) -> bool:
        """Whether the model may say that it prefers neither."""
        return len(self.labels) > 2

    def render(self, a: str, b: str) -> str:
        """The user text with `a` in the first and `b` in the second slot."""
        return self.template.format(a=a, b=b)


# Chosen so that every factor has both levels among the frames kept for evaluation.
_HELD_OUT = (2, 3, 8, 9)


def _from_design(run: int, levels: Sequence[int]) -> Frame:
    return _worded(
        f"pb-{run:02d}" if run else "plain",
        Levels(*(bool(level) for level in levels)),
        trainable=run not in _HELD_OUT,
    )


def _worded(name: str, levels: Levels, *, trainable: bool) -> Frame:
    words = compose(levels)
    return Frame(
        name, 1, words.template, trainable, words.labels, words.system, words.after_reasoning
    )


FRAMES: dict[str, Frame] = {
    entry.id: entry
    for entry in (_from_design(run, row) for run, row in enumerate(plackett_burman().tolist()))
}


def levels(name: str) -> dict[str, int]:
    """Level of every factor in a frame, 0 low and 1 high, by the factor's name."""
    row = plackett_burman()[list(FRAMES).index(frame(name).id)]
    return dict(zip(FACTOR_NAMES, row.tolist(), strict=True))


def frame(name: str) -> Frame:
    """The frame called `name`; ConfigError when there is none.

    "+none" after a frame's id offers a third answer in its words: no preference.
    """
    plain = name.removesuffix(WITH_NEITHER)
    try:
        found = FRAMES[plain]
    except KeyError:
        raise ConfigError(
            f"unknown frame {name!r}; use one of {', '.join(FRAMES)}, with or without "
            f"{WITH_NEITHER!r} after it"
        ) from None
    if plain == name or found.offers_no_preference:
        return found
    row = Levels(*(bool(level) for level in levels(plain).values()))
    return _worded(name, row._replace(response=True), trainable=found.trainable)


def question(
    frame: Frame, a: str, b: str, *, system: str | None = None, preface: str | None = None
) -> Conversation:
    """The conversation that asks for A (the outcome `a`, shown first) or B (the outcome `b`).

    In a frame with reasoning it asks for the reasons; `decision` goes on from there.
    """
    text = frame.render(a, b)
    user = Message("user", text if preface is None else f"{preface}\n\n{text}")
    told = "\n\n".join(words for words in (system, frame.system) if words is not None)
    return (Message("system", told), user) if told else (user,)


def decision(frame: Frame, asked: Conversation, reasons: str) -> Conversation:
    """The conversation in which the model, its reasons given, is asked for the label."""
    if frame.after_reasoning is None:
        raise ConfigError(f"frame {frame.id!r} asks at once; put its question as it is")
    said = (Message("assistant", reasons), Message("user", frame.after_reasoning))
    return drawn((*asked, *said), draw_of(asked))
