"""Prompts of the optional phases; those of the default assembly stand in assembly.prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from assembly.prompts import LABELS, Shown
from plenary.chat.base import Conversation, Message

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


def on_pair(template: str, shown: Shown, **fields: str) -> str:
    """A template filled in with the two outcomes as shown."""
    a, b = shown.options
    return template.format(a=a, b=b, **fields)


def listed(texts: Sequence[str]) -> str:
    """Quoted texts, one a line."""
    return "\n".join(f'- "{text}"' for text in texts)
