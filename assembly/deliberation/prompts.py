"""Every prompt of the assembly, the moderator's too: versioned, hashed, known to our model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from plenary.models.base import Conversation, Message
from plenary.prompt_templates import LABELS, PROMPT_TEMPLATES, question

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

BALLOT = PROMPT_TEMPLATES["plain"]

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


class ShownPair(NamedTuple):
    """A pair as one conversation shows it: `order` 1 puts the pair's second outcome under A."""

    first: str
    second: str
    order: int

    @property
    def options(self) -> tuple[str, str]:
        """Texts under A and B."""
        return (self.second, self.first) if self.order else (self.first, self.second)

    def letter(self, side: int) -> str:
        """Label that the pair's outcome `side` has here."""
        return LABELS[side ^ self.order]


def digest(
    statements: Sequence[Statement],
    shown: ShownPair,
    heading: str = DIGEST,
    limit: int = MAX_STATEMENTS,
) -> str | None:
    """A heading and one line per statement, the latest `limit`; None if nobody spoke."""
    if not statements:
        return None
    heard = statements[-limit:]
    lines = [DIGEST_LINE.format(letter=shown.letter(s.side), text=s.text) for s in heard]
    return "\n".join([heading, *lines])


def ballot(system: str, shown: ShownPair, preface: str | None) -> Conversation:
    """The private ballot: persona, what the table said, the two outcomes; nobody's vote."""
    return question(BALLOT, *shown.options, system=system, preface=preface)


def declare(system: str, shown: ShownPair, preface: str | None) -> Conversation:
    """The public question which side a speaker takes."""
    a, b = shown.options
    return _turn(system, DECLARE.format(a=a, b=b), preface)


def speak(system: str, shown: ShownPair, side: int, preface: str | None) -> Conversation:
    """The request for one statement for the declared side."""
    a, b = shown.options
    return _turn(system, SPEAK.format(a=a, b=b, letter=shown.letter(side)), preface)


def _turn(system: str, text: str, preface: str | None) -> Conversation:
    content = f"{preface}\n\n{text}" if preface else text
    return (Message("system", system), Message("user", content))


PHASE_VERSION = "phases-1"

LABELS_ABSTAIN = (*LABELS, "C")

MODERATOR = "You moderate a citizens' assembly. You take no side and add nothing of your own."

NO_PERSONA = "You are taking part in a citizens' assembly."

_OPTIONS = "Option A: {a}\nOption B: {b}"

ABSTAIN_BALLOT = (
    "Here are two possible outcomes. Which one would you prefer? Answer with A, B or C only.\n"
    f"{_OPTIONS}\nOption C: No opinion"
)

LEAN = (
    "You will think for yourself about two outcomes. For which of them will you look for a "
    f"reason? Answer with A or B only.\n{_OPTIONS}"
)

THINK = (
    f"You think for yourself about two possible outcomes.\n{_OPTIONS}\n"
    "Think of reasons for option {letter}. Do not name the letters; say this option or the other "
    "option."
)

THOUGHTS = "You thought:"

GIST = "Earlier, in short:"

SUMMARISE = (
    'At a table people gave these reasons for the outcome "{outcome}":\n{reasons}\n\n'
    "Sum the reasons up in one short sentence."
)

BRIEFING = "Everybody was given these arguments:"

ADVOCATE = (
    f"Two outcomes are possible.\n{_OPTIONS}\n"
    "Give the best argument for option {letter} in one short sentence. Do not name the letters; "
    "say this option or the other option."
)

REVIEWER = "You review arguments for a citizens' assembly. You favour the outcome: {outcome}"

REVIEW = (
    "Two outcomes are possible.\nFirst outcome: {first}\nSecond outcome: {second}\n"
    'This is to be the argument for the {place} outcome: "{text}"\n'
    "Is it true, fair and to the point? Answer with A or B only.\nOption A: yes\nOption B: no"
)

TABLE_STATEMENT = (
    f"A table talked about two possible outcomes.\n{_OPTIONS}\n"
    "Write in one or two sentences what weighed with the table on either side. "
    "Call the outcomes by their words, not by letters."
)

GROUP_STATEMENT = (
    f"Tables talked about two possible outcomes.\n{_OPTIONS}\nThey wrote:\n{{statements}}\n\n"
    "Write one statement of two sentences that all of them could sign. "
    "Call the outcomes by their words, not by letters."
)

CRITIQUE = (
    f"Your assembly talks about two possible outcomes.\n{_OPTIONS}\n"
    'This is the draft of its statement: "{draft}"\n'
    "Say in one short sentence what is wrong or missing in it."
)

REVISION = (
    f"An assembly talks about two possible outcomes.\n{_OPTIONS}\n"
    'This is the draft of its statement: "{draft}"\nCitizens said about it:\n{critiques}\n\n'
    "Write the statement again, in two sentences that all of them could sign. "
    "Call the outcomes by their words, not by letters."
)

STATEMENT = "The statement of your assembly:"

CLAIM = "Of the others at your table, {a} prefer option A and {b} prefer option B."

PHASE_HASH = hashlib.blake2b(
    "\x1f".join(
        [
            *(PHASE_VERSION, MODERATOR, NO_PERSONA, ABSTAIN_BALLOT, LEAN, THINK, THOUGHTS, GIST),
            *(SUMMARISE, BRIEFING, ADVOCATE, REVIEWER, REVIEW, TABLE_STATEMENT, GROUP_STATEMENT),
            *(CRITIQUE, REVISION, STATEMENT, CLAIM),
        ]
    ).encode(),
    digest_size=8,
).hexdigest()


def told(system: str, text: str, preface: str | None = None) -> Conversation:
    """A conversation of a system and a user message."""
    content = f"{preface}\n\n{text}" if preface else text
    return (Message("system", system), Message("user", content))


def on_pair(template: str, shown: ShownPair, **fields: str) -> str:
    """A template filled in with the two outcomes as shown."""
    a, b = shown.options
    return template.format(a=a, b=b, **fields)


def listed(texts: Sequence[str]) -> str:
    """Quoted texts, one per line."""
    return "\n".join(f'- "{text}"' for text in texts)
