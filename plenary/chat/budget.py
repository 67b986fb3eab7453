"""Counting what a model is asked, and stopping before more than the budget is spent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from plenary.chat.base import ChatBackend, Choice, Conversation, Reply
from plenary.chat.passing import Answer, PassingBackend, Verb
from plenary.chat.prices import Price
from plenary.errors import BudgetExceeded, ConfigError


@dataclass(slots=True)
class Counts:
    """Calls are conversations answered; a choice may ask several answers of one conversation."""

    calls: int = 0
    answers: int = 0
    invalid: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def invalid_share(self) -> float:
        """Share of answers that were refused, failed or unreadable; 0 before the first answer."""
        return self.invalid / self.answers if self.answers else 0.0

    def merge(self, more: Counts) -> None:
        """Add what was counted elsewhere."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(more, name))

    def add(self, answer: Reply | Choice) -> None:
        """Count one answered conversation."""
        self.calls += 1
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens
        if isinstance(answer, Choice):
            self.answers += answer.asked
            self.invalid += answer.invalid
        else:
            self.answers += 1
            self.invalid += answer.text is None


class CountingBackend(PassingBackend):
    """Passes everything on and keeps count in `counts`."""

    def __init__(self, backend: ChatBackend) -> None:
        super().__init__(backend)
        self.counts = Counts()

    async def _answers(
        self, conversations: Sequence[Conversation], verb: Verb[Answer]
    ) -> list[Answer]:
        answers = await verb.of(self._backend, conversations)
        for answer in answers:
            self.counts.add(answer)
        return answers


class _Limits(NamedTuple):
    calls: int | None
    tokens: int | None
    money: float | None
    seconds: float | None


class BudgetedBackend(PassingBackend):
    """Refuses the batch that would pass a limit, before any of it is asked; None is no limit.

    calls: conversations, exact: a batch that does not fit is refused whole. tokens, money (by
    `price`), seconds: checked before each batch, so the last one may pass them. seconds run from
    the first call. Put the cache around the budget, so that what is remembered costs nothing.
    ConfigError for a budget of money without a price.
    """

    def __init__(
        self,
        backend: ChatBackend,
        *,
        calls: int | None = None,
        tokens: int | None = None,
        money: float | None = None,
        seconds: float | None = None,
        price: Price | None = None,
    ) -> None:
        if money is not None and price is None:
            raise ConfigError(
                f"a budget of {money!r} for {backend.name!r}, whose price is not known; "
                "give it under budget.prices as PROVIDER:MODEL (with @ADDRESS for a base_url)"
            )
        counting = CountingBackend(backend)
        super().__init__(counting)
        self.counts = counting.counts
        self._limits = _Limits(calls, tokens, money, seconds)
        self._price = price
        self._started: float | None = None

    @property
    def cost(self) -> float | None:
        """What the tokens cost so far; None where the price is not known."""
        if self._price is None:
            return None
        return self._price.of(self.counts.prompt_tokens, self.counts.completion_tokens)

    async def _answers(
        self, conversations: Sequence[Conversation], verb: Verb[Answer]
    ) -> list[Answer]:
        self._check(len(conversations))
        return await verb.of(self._backend, conversations)

    def _check(self, more: int) -> None:
        if not more:
            return
        now = time.monotonic()
        self._started = now if self._started is None else self._started
        calls, tokens, money, seconds = self._limits
        if calls is not None and self.counts.calls + more > calls:
            raise _exceeded("calls", calls, f"{self.counts.calls} made and {more} more to make")
        if tokens is not None and self.counts.tokens >= tokens:
            raise _exceeded("tokens", tokens, f"{self.counts.tokens} used")
        cost = self.cost
        if money is not None and cost is not None and cost >= money:
            raise _exceeded("money", money, f"{cost:.4f} spent")
        if seconds is not None and now - self._started >= seconds:
            raise _exceeded("seconds", seconds, f"{now - self._started:.0f} used")


def _exceeded(what: str, limit: float, state: str) -> BudgetExceeded:
    return BudgetExceeded(
        f"the budget of {limit!r} {what} is used up ({state}); raise budget.{what} and resume"
    )
