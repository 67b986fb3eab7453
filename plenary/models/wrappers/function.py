"""Backend for a plain Python function: messages in, the text of a reply out."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from plenary.errors import BackendError
from plenary.models.base import ChatBackend, Choice, Conversation, Reply, Sampling
from plenary.models.parse_label import parse_label

AT_ONCE = 16
# Messages as {"role": ..., "content": ...} -> the reply's text, None where there is none.
ReplyFunction = Callable[[list[dict[str, str]]], str | Awaitable[str | None] | None]


class FunctionBackend(ChatBackend):
    """A function that replies to messages. Choices are read from its replies, `samples` of them.

    A reply that names no label, or None, is an invalid answer. What the function raises goes
    through. An async function is called for many messages at once, a plain one in a thread, one
    call after the other.
    """

    supports_seed = False
    exact_choice = False

    def __init__(self, function: ReplyFunction, name: str | None = None) -> None:
        self._function = function
        self._several = inspect.iscoroutinefunction(function)
        self._turn = threading.Lock()
        self.name = f"function:{name or getattr(function, '__qualname__', type(function).__name__)}"

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        """One reply per conversation; how freely and how long is the function's own affair."""
        texts = await self._replies(conversations)
        return [Reply(text or None, None if text else "no reply") for text in texts]

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        """Shares of `samples` replies that name exactly one label."""
        asked = [c for c in conversations for _ in range(samples)]
        texts = await self._replies(asked)
        read = [None if text is None else parse_label(text, labels) for text in texts]
        parts = [slice(k, k + samples) for k in range(0, len(read), samples)]
        return [_counted(texts[part], read[part], labels) for part in parts]

    async def _replies(self, conversations: Sequence[Conversation]) -> list[str | None]:
        free = asyncio.Semaphore(AT_ONCE if self._several else 1)

        async def one(conversation: Conversation) -> str | None:
            messages = [{"role": m.role, "content": m.content} for m in conversation]
            async with free:
                if self._several:
                    reply = self._function(messages)
                else:
                    reply = await asyncio.to_thread(self._in_turn, messages)
                text = await reply if inspect.isawaitable(reply) else reply
            if text is not None and not isinstance(text, str):
                raise BackendError(
                    f"{self.name!r} replied {text!r}; let the function return the text of its "
                    "reply, or None where it has none"
                )
            return text

        return list(await asyncio.gather(*map(one, conversations)))

    def _in_turn(self, messages: list[dict[str, str]]) -> str | Awaitable[str | None] | None:
        with self._turn:
            return self._function(messages)


def _counted(
    texts: Sequence[str | None], read: Sequence[str | None], labels: tuple[str, ...]
) -> Choice:
    counts = Counter(label for label in read if label is not None)
    valid = counts.total()
    if valid:
        return Choice(tuple(counts[name] / valid for name in labels), None, len(read), valid)
    said = next((text for text in texts if text), None)
    return Choice((), None, len(read), 0, f"unreadable: {said!r}" if said else "no reply")
