from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.scripted import ScriptedBackend

from plenary.errors import BackendError, BudgetExceeded, ConfigError
from plenary.models.base import Conversation, Message, Sampling
from plenary.models.prices import Price
from plenary.models.wrappers import budget
from plenary.models.wrappers.budget import BudgetedBackend, CountingBackend
from plenary.models.wrappers.cache import CachedBackend, MemoryStore

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


class Slow(ScriptedBackend):
    """Gives way before it answers, so that callers overlap; counts the answers asked of it."""

    def __init__(self, *, exact: bool) -> None:
        super().__init__(exact=exact)
        self.answers = 0

    async def choose(self, conversations, labels, *, samples=1, seed=0):
        self.answers += len(conversations) * (1 if self.exact_choice else samples)
        await asyncio.sleep(0.01)
        return await super().choose(conversations, labels, samples=samples, seed=seed)

    async def generate(self, conversations, sampling):
        self.answers += len(conversations)
        await asyncio.sleep(0.01)
        return await super().generate(conversations, sampling)


@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize(("exact", "samples"), [(True, 7), (False, 1), (False, 7)])
def test_callers_at_the_same_time_keep_to_one_limit(
    threads: bool, exact: bool, samples: int
) -> None:
    inner = Slow(exact=exact)
    limited = BudgetedBackend(inner, calls=100)

    async def one(size: int) -> int:
        batch = asks(*map(str, range(size)))
        try:
            if size % 2:
                return len(await limited.generate(batch, Sampling()))
            return len(await limited.choose(batch, LABELS, samples=samples))
        except BudgetExceeded:
            return 0

    sizes = [60, 60, 8, 9, 30, 11, 2, 3, 4, 41]
    if threads:
        with ThreadPoolExecutor(len(sizes)) as pool:
            list(pool.map(lambda size: asyncio.run(one(size)), sizes))
    else:

        async def together() -> list[int]:
            return await asyncio.gather(*map(one, sizes))

        asyncio.run(together())
    assert 0 < inner.answers <= 100
    assert limited.counts.calls == inner.answers


def test_two_batches_at_once_and_sampled_answers_are_counted() -> None:
    inner = Slow(exact=True)
    limited = BudgetedBackend(inner, calls=100)

    async def together() -> list[object]:
        batch = asks(*map(str, range(60)))
        two = (limited.choose(batch, LABELS) for _ in range(2))
        return list(await asyncio.gather(*two, return_exceptions=True))

    kinds = [type(outcome) for outcome in asyncio.run(together())]
    assert kinds == [list, BudgetExceeded]
    assert inner.answers == 60
    sampled = Slow(exact=False)
    with pytest.raises(BudgetExceeded, match="100 more to make"):
        asyncio.run(
            BudgetedBackend(sampled, calls=50).choose(
                asks(*map(str, range(10))), LABELS, samples=10
            )
        )
    assert sampled.answers == 0


def test_tokens_and_money_hold_at_the_same_time() -> None:
    price = Price(prompt=1, completion=1)
    for tokens, money in ((60, None), (None, 60e-6)):
        limited = BudgetedBackend(Slow(exact=True), tokens=tokens, money=money, price=price)

        async def together(limited: BudgetedBackend = limited) -> None:
            many = (limited.choose(asks(str(k)), LABELS) for k in range(40))
            await asyncio.gather(*many, return_exceptions=True)

        asyncio.run(together())
        asyncio.run(together())
        assert 0 < limited.counts.tokens <= 60


def test_what_fails_half_way_counts_as_asked() -> None:
    class Broken(ScriptedBackend):
        async def choose(self, conversations, labels, *, samples=1, seed=0):
            raise BackendError("gone")

    limited = BudgetedBackend(Broken(), calls=3)
    with pytest.raises(BackendError, match="gone"):
        asyncio.run(limited.choose(asks("x", "y"), LABELS))
    assert limited.counts.calls == 2
    with pytest.raises(BudgetExceeded):
        asyncio.run(limited.choose(asks("x", "y"), LABELS))


def test_tokens_stop_the_next_batch() -> None:
    limited = BudgetedBackend(ScriptedBackend(), tokens=36)
    asyncio.run(limited.choose(asks("x", "y"), LABELS))
    asyncio.run(limited.choose(asks("z", "z"), LABELS))  # what a prompt holds is known by now
    with pytest.raises(BudgetExceeded, match=r"budget of 36 tokens is used up .16 used and up to"):
        asyncio.run(limited.choose(asks("z", "z"), LABELS))
    assert limited.counts.tokens == 16
    with pytest.raises(BudgetExceeded, match="0 used"):
        asyncio.run(BudgetedBackend(ScriptedBackend(), tokens=5).choose(asks("x"), LABELS))


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
    limited = BudgetedBackend(ScriptedBackend(), money=10.0, price=price)
    asyncio.run(limited.choose(asks("x", "y"), LABELS))
    used = limited.counts
    assert limited.cost == pytest.approx(0.1 * used.prompt_tokens + 0.5 * used.completion_tokens)
    with pytest.raises(BudgetExceeded, match=r"of 10.0 money is used up .*raise budget.money"):
        asyncio.run(limited.choose(asks("z", "z"), LABELS))
    assert BudgetedBackend(ScriptedBackend()).cost is None
    with pytest.raises(ConfigError, match=r"a budget of 2.0 for .*whose price is unknown"):
        BudgetedBackend(ScriptedBackend(), money=2.0)
