"""A backend that answers from a script, for the wrappers' tests."""

from __future__ import annotations

from collections.abc import Sequence

from plenary.models.base import ChatBackend, Choice, Conversation, Reply, Sampling, no_choice


class ScriptedBackend(ChatBackend):
    """Echoes prompts; those that hold "broken" fail, "silent" ones are refused."""

    name = "scripted"
    supports_seed = True

    def __init__(self, *, exact: bool = True) -> None:
        self.exact_choice = exact
        self.asked: list[str] = []

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        self.asked.extend(c[-1].content for c in conversations)
        return [self._reply(c[-1].content, sampling) for c in conversations]

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        self.asked.extend(c[-1].content for c in conversations)
        return [self._choice(c[-1].content, samples) for c in conversations]

    @staticmethod
    def _reply(text: str, sampling: Sampling) -> Reply:
        if "broken" in text:
            return Reply(None, "failed: timeout", 3)
        if "silent" in text:
            return Reply(None, "refused: no", 3)
        return Reply(f"{text} {sampling.seed}.{sampling.sample}", None, 3, 2)

    @staticmethod
    def _choice(text: str, samples: int) -> Choice:
        if "broken" in text:
            return no_choice(samples, "failed: timeout")
        if "silent" in text:
            return no_choice(samples, "refused: no")
        return Choice((0.25, 0.75), 0.9, samples, samples, None, 3, 1)
