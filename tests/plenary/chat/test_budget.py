from __future__ import annotations

import asyncio

import pytest
from support.scripted import ScriptedBackend

from plenary.chat import budget
from plenary.chat.base import Conversation, Message, Sampling
from plenary.chat.budget import BudgetedBackend, CountingBackend
from plenary.chat.cache import CachedBackend, MemoryStore
from plenary.chat.prices import Price
from plenary.errors import BudgetExceeded, ConfigError

LABELS = ("A", "B")


def asks(*texts: str) -> list[Conversation]:
    return [(Message("user", text),) for text in texts]


def test_counts() -> None:
    counting = CountingBackend(ScriptedBackend())
    asyncio.run(counting.choose(asks("x", "silent"), LABELS, samples=10))
    asyncio.run(counting.generate(asks("x", "broken"), Sampling()))
    counts = counting.counts
    assert (counts.calls, counts.answers, counts.invalid) == (4, 22, 11)
    assert (counts.prompt_tokens, counts.completion_tokens, counts.tokens) == (9, 3, 12)
    assert counts.invalid_share == 0.5
    assert CountingBackend(ScriptedBackend()).counts.invalid_share == 0.0


def test_a_batch_that_does_not_fit_is_not_asked() -> None:
    inner = ScriptedBackend()
    limited = BudgetedBackend(inner, calls=3)
    asyncio.run(limited.choose(asks("x", "y"), LABELS))
    with pytest.raises(BudgetExceeded, match=r"budget of 3 calls is used up .* raise budget.calls"):
        asyncio.run(limited.choose(asks("u", "v"), LABELS))
    asyncio.run(limited.generate(asks("z"), Sampling()))
    assert inner.asked == ["x", "y", "z"]
    assert limited.counts.calls == 3


def test_tokens_stop_the_next_batch() -> None:
    limited = BudgetedBackend(ScriptedBackend(), tokens=5)
    asyncio.run(limited.choose(asks("x", "y"), LABELS))
    with pytest.raises(BudgetExceeded, match=r"budget of 5 tokens is used up .8 used"):
        asyncio.run(limited.choose(asks("z"), LABELS))


def test_seconds_run_from_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(budget.time, "monotonic", lambda: now[0])
    limited = BudgetedBackend(ScriptedBackend(), seconds=10)
    now[0] = 500.0
    asyncio.run(limited.generate(asks("x"), Sampling()))
    now[0] = 509.0
    asyncio.run(limited.generate(asks("y"), Sampling()))
    now[0] = 511.0
    with pytest.raises(BudgetExceeded, match="seconds"):
        asyncio.run(limited.generate(asks("z"), Sampling()))


def test_no_limit_and_nothing_asked() -> None:
    asyncio.run(BudgetedBackend(ScriptedBackend()).choose(asks("x"), LABELS))
    assert asyncio.run(BudgetedBackend(ScriptedBackend(), calls=0).choose([], LABELS)) == []


def test_what_is_remembered_costs_nothing() -> None:
    limited = CachedBackend(BudgetedBackend(ScriptedBackend(), calls=1), MemoryStore())
    for _ in range(3):
        asyncio.run(limited.choose(asks("x"), LABELS))


def test_money_stops_the_next_batch_and_needs_a_price() -> None:
    price = Price(prompt=100_000.0, completion=500_000.0)
    limited = BudgetedBackend(ScriptedBackend(), money=0.9, price=price)
    asyncio.run(limited.choose(asks("x", "y"), LABELS))
    used = limited.counts
    assert limited.cost == pytest.approx(0.1 * used.prompt_tokens + 0.5 * used.completion_tokens)
    with pytest.raises(BudgetExceeded, match=r"of 0.9 money is used up .*raise budget.money"):
        asyncio.run(limited.choose(asks("z"), LABELS))
    assert BudgetedBackend(ScriptedBackend()).cost is None
    with pytest.raises(ConfigError, match=r"a budget of 2.0 for .*whose price is not known"):
        BudgetedBackend(ScriptedBackend(), money=2.0)
