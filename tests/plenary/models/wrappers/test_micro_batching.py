"""Callers at the same time share batches and get their own answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest

from plenary.errors import BackendError
from plenary.models.base import ChatBackend, Choice, Conversation, Message, Reply, Sampling
from plenary.models.wrappers.micro_batching import MicroBatchingBackend


class Echo(ChatBackend):
    """Repeats the last message and keeps the size of each batch."""

    name, supports_seed, exact_choice = "echo", True, True

    def __init__(self) -> None:
        self.batches: list[int] = []

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        self.batches.append(len(conversations))
        if any(c[-1].content == "break" for c in conversations):
            raise BackendError("the model broke; start it again")
        return [Reply(f"{c[-1].content}/{sampling.seed}") for c in conversations]

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        self.batches.append(len(conversations))
        first = [float(c[-1].content) for c in conversations]
        return [Choice((p, 1 - p), 1.0, 1, 1, " ".join(labels)) for p in first]


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def shared(echo: Echo) -> Iterator[MicroBatchingBackend]:
    backend = MicroBatchingBackend(echo, wait=0.1)
    yield backend
    backend.close()


def ask(text: str) -> Conversation:
    return (Message("user", text),)


def test_callers_of_one_loop_share_a_batch(shared: MicroBatchingBackend, echo: Echo) -> None:
    async def callers() -> list[list[Reply]]:
        asked = [[ask(f"{k}"), ask(f"{k}b")] for k in range(20)]
        return await asyncio.gather(*(shared.generate(part, Sampling(seed=3)) for part in asked))

    replies = asyncio.run(callers())
    assert [[r.text for r in part] for part in replies] == [
        [f"{k}/3", f"{k}b/3"] for k in range(20)
    ]
    assert echo.batches == [40]


def test_different_questions_are_different_batches(
    shared: MicroBatchingBackend, echo: Echo
) -> None:
    async def callers() -> tuple[list[Reply], list[Reply], list[Choice], list[Choice]]:
        return await asyncio.gather(
            shared.generate([ask("x")], Sampling(seed=1)),
            shared.generate([ask("x")], Sampling(seed=2)),
            shared.choose([ask("0.25")], ("A", "B")),
            shared.choose([ask("0.5")], ("1", "2")),
        )

    one, two, letters, digits = asyncio.run(callers())
    assert (one[0].text, two[0].text) == ("x/1", "x/2")
    assert (letters[0].shares, letters[0].failure) == ((0.25, 0.75), "A B")
    assert (digits[0].shares, digits[0].failure) == ((0.5, 0.5), "1 2")
    assert echo.batches == [1, 1, 1, 1]


def test_threads_with_loops_of_their_own_share_too(
    shared: MicroBatchingBackend, echo: Echo
) -> None:
    found: dict[int, str | None] = {}

    def caller(k: int) -> None:
        found[k] = asyncio.run(shared.generate([ask(str(k))], Sampling()))[0].text

    threads = [threading.Thread(target=caller, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: f"{k}/0" for k in range(8)}
    assert sum(echo.batches) == 8
    assert len(echo.batches) < 8


def test_a_full_batch_does_not_wait(echo: Echo) -> None:
    shared = MicroBatchingBackend(echo, wait=60.0, most=4)

    async def callers() -> list[list[Reply]]:
        return await asyncio.gather(*(shared.generate([ask(str(k))], Sampling()) for k in range(4)))

    assert len(asyncio.run(callers())) == 4
    assert echo.batches == [4]
    shared.close()


def test_an_error_reaches_its_callers_and_the_next_batch_goes_on(
    shared: MicroBatchingBackend,
) -> None:
    async def callers() -> list[list[Reply] | BaseException]:
        return await asyncio.gather(
            shared.generate([ask("fine")], Sampling()),
            shared.generate([ask("break")], Sampling()),
            return_exceptions=True,
        )

    assert [type(answer) for answer in asyncio.run(callers())] == [BackendError, BackendError]
    assert asyncio.run(shared.generate([ask("on")], Sampling()))[0].text == "on/0"


def test_a_cancelled_caller_is_not_asked_for(shared: MicroBatchingBackend, echo: Echo) -> None:
    async def callers() -> list[Reply]:
        gone = asyncio.ensure_future(shared.generate([ask("gone")], Sampling()))
        await asyncio.sleep(0)
        gone.cancel()
        return await shared.generate([ask("stays")], Sampling())

    assert asyncio.run(callers())[0].text == "stays/0"
    assert echo.batches == [1]
