"""Experimental conditions (arms), where one is added: no discussion, reflection, deliberation.

The same citizens vote on the same pairs before and after. The effect of discussion is
`deliberation` minus `reflection` (assembly.analysis.effect); `none` shows the effect of being asked
again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from assembly.deliberation.prompts import (
    DIGEST,
    LEAN,
    THINK,
    THOUGHTS,
    ShownPair,
    declare,
    on_pair,
    speak,
    told,
)
from assembly.record.settings import ConditionName
from plenary.models.base import Conversation


class Condition(NamedTuple):
    """What happens in the rounds of a condition.

    talks: rounds are held, and the briefing is read. alone: every citizen thinks of reasons
    privately and hears nobody, for as many tokens as the speakers of a table have together.
    heading: the line above what was heard. lean, reason: prompts for a side, and for a reason for
    it.
    """

    talks: bool
    alone: bool
    heading: str
    lean: Callable[[str, ShownPair, str | None], Conversation]
    reason: Callable[[str, ShownPair, int, str | None], Conversation]


def lean_alone(system: str, shown: ShownPair, preface: str | None) -> Conversation:
    """The private question for which side a citizen will look for a reason."""
    return told(system, on_pair(LEAN, shown), preface)


def think(system: str, shown: ShownPair, side: int, preface: str | None) -> Conversation:
    """The request to think of reasons for the chosen side."""
    return told(system, on_pair(THINK, shown, letter=shown.letter(side)), preface)


CONDITIONS: dict[ConditionName, Condition] = {
    "none": Condition(False, False, DIGEST, declare, speak),
    "reflection": Condition(True, True, THOUGHTS, lean_alone, think),
    "deliberation": Condition(True, False, DIGEST, declare, speak),
}
