"""A cached backend that tells under which key each ballot's call is recorded."""

from __future__ import annotations

from collections.abc import Sequence

from plenary.chat.base import Choice, Conversation
from plenary.chat.cache import CachedBackend, Remembered
from plenary.chat.passing import Choose


class RecordedBackend(CachedBackend):
    """Keys are made once a call: making them again would cost as much as the ledger."""

    async def choose_recorded(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> Remembered[Choice]:
        """As `choose`, with the keys that `choose` records its answers under."""
        return await self._remembered(conversations, Choose(labels, samples, seed))
