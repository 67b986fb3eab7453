"""A cached backend that tells under which key each ballot's call is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from plenary.chat.base import Choice, Conversation, call_key
from plenary.chat.cache import CachedBackend


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
        drawn = {} if self.exact_choice else {"samples": samples, "seed": seed}
        keys = [call_key(self.name, "choose", c, labels=labels, **drawn) for c in conversations]
        choices = await self._answers(
            keys,
            conversations,
            Choice,
            lambda part: self._backend.choose(part, labels, samples=samples, seed=seed),
        )
        return Recorded(choices, keys)
