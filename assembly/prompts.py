"""Every prompt of the assembly, versioned and hashed; the embedded model is trained on them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from evaluation.frames import FRAMES, LABELS, question
from plenary.chat.base import Conversation, Message

PROMPT_VERSION = "assembly-1"
MAX_STATEMENTS = 6

DIGEST = "At your table people said:"
DIGEST_LINE = "For {letter}: {text}"
DECLARE = (
    "You will speak at your table. For which of these two outcomes will you speak? "
    "Answer with A or B only.\nOption A: {a}\nOption B: {b}"
)
SPEAK = (
    "You speak at your table about two possible outcomes.\nOption A: {a}\nOption B: {b}\n"
    "You speak for option {letter}. Give one short reason. "
    "Do not name the letters; say this option or the other option."
)
BALLOT = FRAMES["plain"]

_SAMPLE = question(BALLOT, "{a}", "{b}", system="{persona}", preface="{digest}")
PROMPT_HASH = hashlib.blake2b(
    "\x1f".join(
        [PROMPT_VERSION, DIGEST, DIGEST_LINE, DECLARE, SPEAK, *(m.content for m in _SAMPLE)]
    ).encode(),
    digest_size=8,
).hexdigest()


class Statement(NamedTuple):
    """What was said for one side of a pair: 0 its first outcome, 1 its second."""

    side: int
    text: str


class Shown(NamedTuple):
    """A pair as one conversation shows it: `order` 1 puts the pair's second outcome under A."""

    first: str
    second: str
    order: int

    @property
    def options(self) -> tuple[str, str]:
        """Texts under A and B."""
        return (self.second, self.first) if self.order else (self.first, self.second)

    def letter(self, side: int) -> str:
        """Label that the pair's outcome `side` carries here."""
        return LABELS[side ^ self.order]


def digest(
    statements: Sequence[Statement],
    shown: Shown,
    heading: str = DIGEST,
    limit: int = MAX_STATEMENTS,
) -> str | None:
    """A heading and one line a statement, the latest `limit`; None when nobody spoke."""
    if not statements:
        return None
    heard = statements[-limit:]
    lines = [DIGEST_LINE.format(letter=shown.letter(s.side), text=s.text) for s in heard]
    return "\n".join([heading, *lines])


def ballot(system: str, shown: Shown, preface: str | None) -> Conversation:
    """The private ballot: persona, what the table said, the two outcomes; no one's vote."""
    return question(BALLOT, *shown.options, system=system, preface=preface)


def declare(system: str, shown: Shown, preface: str | None) -> Conversation:
    """The public question which side a speaker takes."""
    a, b = shown.options
    return _turn(system, DECLARE.format(a=a, b=b), preface)


def speak(system: str, shown: Shown, side: int, preface: str | None) -> Conversation:
    """The request for one statement for the declared side."""
    a, b = shown.options
    return _turn(system, SPEAK.format(a=a, b=b, letter=shown.letter(side)), preface)


def _turn(system: str, text: str, preface: str | None) -> Conversation:
    content = f"{preface}\n\n{text}" if preface else text
    return (Message("system", system), Message("user", content))
