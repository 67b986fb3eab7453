"""The budget: counting calls, tokens, money and seconds, and stopping before a limit is passed."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import NamedTuple

from plenary.errors import BudgetExceeded, ConfigError
from plenary.models.base import ChatBackend, Choice, Conversation, Reply
from plenary.models.prices import Price
from plenary.models.wrappers.base import Answer, BackendWrapper, ModelRequest

# Until a model has answered, prompts are assumed to have this many tokens per byte, with 16 bytes
# added per message; English has about half as many. Then the densest prompt so far counts.
_DENSITY, _HEAD, _MARGIN = 0.5, 16, 1.1


_ADDED = ("calls", "answers", "invalid", "prompt_tokens", "completion_tokens")


@dataclass(slots=True)
class Counts:
    """Counts of calls; a call is a request to the model, including each sampled answer and retry.

    failure: the reason for the first invalid answer.
    """

    calls: int = 0
    answers: int = 0
    invalid: int = 0
    cut: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    failure: str = ""

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def cut_share(self) -> float:
        """Share of answers that were cut off before they were complete."""
        return self.cut / self.answers if self.answers else 0.0

    @property
    def invalid_share(self) -> float:
        """Share of answers that were refused, failed or unreadable; 0 before the first answer."""
        return self.invalid / self.answers if self.answers else 0.0

    def merge(self, more: Counts) -> None:
        """Add what was counted elsewhere."""
        self.failure = self.failure or more.failure
        for name in _ADDED:
            setattr(self, name, getattr(self, name) + getattr(more, name))

    def since(self, before: Counts) -> Counts:
        """What was counted since a copy was taken."""
        more = replace(self)
        for name in _ADDED:
            setattr(more, name, getattr(self, name) - getattr(before, name))
        return more

    def add(self, answer: Reply | Choice) -> None:
        """Count the answers to one conversation, without their calls and tokens."""
        if isinstance(answer, Choice):
            self.answers += answer.asked
            self.invalid += answer.invalid
        else:
            self.answers += 1
            self.invalid += answer.text is None
        self.cut += answer.cut
        self.failure = self.failure or answer.failure or ""


class Need(NamedTuple):
    """The most that a request may take: calls and tokens."""

    calls: int
    prompt_tokens: int
    completion_tokens: int


class Limits(NamedTuple):
    """Limits on calls, tokens, money and seconds; None means no limit."""

    calls: int | None = None
    tokens: int | None = None
    money: float | None = None
    seconds: float | None = None


class Reservation(NamedTuple):
    """A part of the budget that is set aside until it is settled or released, once."""

    meter: Meter
    need: Need

    def settle(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Record that the calls were made and took these tokens."""
        self.meter.settle(self.need, Need(self.need.calls, prompt_tokens, completion_tokens))

    def release(self) -> None:
        """Return the reservation, because nothing was asked."""
        self.meter.settle(self.need, Need(0, 0, 0))


class Meter:
    """Reserves budget before each request, so that concurrent callers keep within one limit.

    Callers may be in any thread and event loop.
    """

    def __init__(self, limits: Limits | None = None, price: Price | None = None) -> None:
        self.counts = Counts()
        self._limits = limits or Limits()
        self._price = price
        self._held = Need(0, 0, 0)
        self._density: float | None = None
        self._started: float | None = None
        self._lock = threading.Lock()

    @property
    def elapsed(self) -> float:
        """Seconds since the first call; 0 before."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    def start(self) -> None:
        """Start the clock."""
        self._started = time.monotonic() if self._started is None else self._started

    def price_of(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """The price of these tokens; None if it is unknown."""
        return None if self._price is None else self._price.of(prompt_tokens, completion_tokens)

    def need(self, conversation: Conversation, calls: int, completion_tokens: int) -> Need:
        """The most that `calls` answers of `completion_tokens` to a conversation should need."""
        density = _DENSITY if self._density is None else _MARGIN * self._density
        prompt = math.ceil(_size(conversation) * density)
        return Need(calls, calls * prompt, calls * completion_tokens)

    def learn(self, conversation: Conversation, prompt_tokens: int) -> None:
        """Learn how many tokens a prompt really had."""
        if prompt_tokens:
            self._density = max(self._density or 0.0, prompt_tokens / _size(conversation))

    def hold(self, needs: Sequence[Need]) -> list[Reservation]:
        """Reserve all of `needs`, or none of them and raise BudgetExceeded if they do not fit."""
        with self._lock:
            self.start()
            self._check(_sum(needs))
            self._held = _sum([self._held, *needs])
        return [Reservation(self, need) for need in needs]

    def settle(self, need: Need, spent: Need) -> None:
        """Count what was spent of a reservation."""
        with self._lock:
            self._held = Need(*(a - b for a, b in zip(self._held, need, strict=True)))
            self.counts.calls += spent.calls
            self.counts.prompt_tokens += spent.prompt_tokens
            self.counts.completion_tokens += spent.completion_tokens

    def _check(self, more: Need) -> None:
        counts, held = self.counts, self._held
        done = Need(counts.calls, counts.prompt_tokens, counts.completion_tokens)
        used, whole = _sum([done, held]), _sum([done, held, more])
        calls, tokens, money, seconds = self._limits
        if calls is not None and whole.calls > calls:
            raise _exceeded("calls", calls, f"{used.calls} made and {more.calls} more to make")
        if tokens is not None and sum(whole[1:]) > tokens:
            spent = sum(used[1:])
            raise _exceeded("tokens", tokens, f"{spent} used and up to {sum(more[1:])} more to use")
        cost = self.price_of(*whole[1:])
        if money is not None and cost is not None and cost > money:
            spent = self.price_of(*used[1:]) or 0.0
            state = f"{spent:.4f} spent and up to {cost - spent:.4f} more to spend"
            raise _exceeded("money", money, state)
        if seconds is not None and self.elapsed >= seconds:
            raise _exceeded("seconds", seconds, f"{self.elapsed:.0f} used")


def _size(conversation: Conversation) -> int:
    return sum(len(message.content.encode()) + _HEAD for message in conversation)


def _sum(needs: Sequence[Need]) -> Need:
    return Need(*(sum(part) for part in zip(Need(0, 0, 0), *needs, strict=True)))


def _exceeded(what: str, limit: float, state: str) -> BudgetExceeded:
    return BudgetExceeded(
        f"the budget of {limit!r} {what} is used up ({state}); resume, or raise budget.{what} "
        "first: what was answered is kept, and each start of a command has the whole budget"
    )


_METER: ContextVar[Meter | None] = ContextVar("meter", default=None)


def current_meter() -> Meter:
    """The meter of the running call; one without limits if there is none.

    A backend that sets `metered` reserves and settles every request with it.
    """
    return _METER.get() or Meter()


@contextmanager
def _under(meter: Meter) -> Iterator[None]:
    token = _METER.set(meter)
    try:
        yield
    finally:
        _METER.reset(token)


class CountingBackend(BackendWrapper):
    """Passes everything on and counts one call per answer in `counts`."""

    def __init__(self, backend: ChatBackend) -> None:
        super().__init__(backend)
        self.counts = Counts()

    async def _answers(
        self, conversations: Sequence[Conversation], call: ModelRequest[Answer]
    ) -> list[Answer]:
        answers = await call.of(self._backend, conversations)
        self.counts.calls += call.calls(self._backend) * len(answers)
        for answer in answers:
            self.counts.add(answer)
            self.counts.prompt_tokens += answer.prompt_tokens
            self.counts.completion_tokens += answer.completion_tokens
        return answers


class BudgetedBackend(BackendWrapper):
    """Reserves the budget of a batch before it is asked, and refuses a batch that does not fit.

    calls: requests, including an endpoint's retries; tokens, money (by `price`): first the most
    that a batch may take, then what it took; None means no limit. A batch that does not fit is
    refused as a whole; an endpoint is asked conversation by conversation, as far as the budget
    allows. seconds run from the first call, and no call begins after them. What fails half-way
    counts as asked. Put the cache around the budget, so that cached answers cost nothing.
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
                f"a budget of {money!r} for {backend.name!r}, whose price is unknown; "
                "give it under budget.prices as PROVIDER:MODEL (with @ADDRESS for a base_url)"
            )
        super().__init__(backend)
        self.meter = Meter(Limits(calls, tokens, money, seconds), price)
        self._learnt: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the endpoint refuses, here or in a worker, and what this means for its answers."""
        return tuple(dict.fromkeys((*super().notes, *self._learnt)))

    def learn(self, notes: Sequence[str]) -> None:
        """Add what a worker found out about the endpoint."""
        self._learnt = (*self._learnt, *notes)

    @property
    def counts(self) -> Counts:
        """Counts of what was asked."""
        return self.meter.counts

    @property
    def cost(self) -> float | None:
        """The price of the tokens so far; None if it is unknown."""
        return self.meter.price_of(self.counts.prompt_tokens, self.counts.completion_tokens)

    async def _answers(
        self, conversations: Sequence[Conversation], call: ModelRequest[Answer]
    ) -> list[Answer]:
        if not conversations:
            return await call.of(self._backend, conversations)
        if self.metered:
            with _under(self.meter):
                answers = await call.of(self._backend, conversations)
        else:
            answers = await self._at_once(conversations, call)
        for answer in answers:
            self.counts.add(answer)
        return answers

    async def _at_once(
        self, conversations: Sequence[Conversation], call: ModelRequest[Answer]
    ) -> list[Answer]:
        calls = call.calls(self._backend)
        need = _sum([self.meter.need(c, calls, call.longest) for c in conversations])
        (held,) = self.meter.hold([need])
        spent = need[1:]
        try:
            answers = await call.of(self._backend, conversations)
            spent = (
                sum(a.prompt_tokens for a in answers),
                sum(a.completion_tokens for a in answers),
            )
            for conversation, answer in zip(conversations, answers, strict=False):
                self.meter.learn(conversation, answer.prompt_tokens // calls)
        finally:
            held.settle(*spent)
        return answers
