"""Choosers of which everything is known: by a utility of the text, or by nothing at all."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from plenary.models.base import ChatBackend, Choice, Conversation, Reply, Sampling, call_key
from plenary.seeding import generator

OPTION = re.compile(r"^Option (?:A|1): (.*)\nOption (?:B|2): (.*)$", re.MULTILINE)


class Chooser(ChatBackend):
    """P(first) = Phi((u(first) - u(second) + bias) / (sigma sqrt 2)), exactly."""

    name = "chooser"
    supports_seed = True
    exact_choice = True

    def __init__(
        self, utility: Callable[[str], float], sigma: float = 0.5, bias: float = 0.0
    ) -> None:
        self._utility, self._sigma, self._bias = utility, sigma, bias

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        return [Reply("Both have their merits") for _ in conversations]

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        return [self._choice(conversation) for conversation in conversations]

    def lead(self, conversation: Conversation) -> float:
        found = OPTION.search(conversation[-1].content)
        assert found, conversation
        first, second = found.groups()
        return self._utility(first) - self._utility(second) + self._bias

    def _choice(self, conversation: Conversation) -> Choice:
        p = 0.5 * math.erfc(-self.lead(conversation) / (2 * self._sigma))
        return Choice((p, 1 - p), 1.0, 1, 1)


class NullChooser(Chooser):
    """Each question gets a preference out of the air: strong, but about nothing."""

    name = "null"

    def __init__(self, seed: int) -> None:
        super().__init__(lambda text: 0.0)
        self._seed = seed

    def lead(self, conversation: Conversation) -> float:
        return float(
            generator(self._seed, "null", call_key("null", "choose", conversation)).normal()
        )
