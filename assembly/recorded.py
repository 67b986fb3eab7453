"""A cached backend that tells under which key each ballot's call is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from plenary.chat.base import Choice, Conversation
from plenary.chat.cache import CachedBackend
from plenary.chat.passing import Choose


class Recorded(NamedTuple):
    """Choices, and the content address of each one's call; a failed call has no answer there."""

    choices: list[Choice]
    keys: list[str]


class RecordedBackend(CachedBackend):
    """Keys are made once a call: making them again would cost as much as the ledger."""

    async def choose_recorded(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> Recorded:
        """As `choose`, with the keys that `choose` records its answers under."""
        verb = Choose(labels, samples, seed)
        keys = verb.keys(self, conversations)
        return Recorded(await self._remembered(keys, conversations, verb), keys)
