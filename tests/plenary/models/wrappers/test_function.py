"""A function as a model: what it says is read, what it does not say is invalid."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from plenary.errors import BackendError
from plenary.models.base import Message, Sampling
from plenary.models.wrappers.function import FunctionBackend

ASKED = (Message("system", "You are Ann."), Message("user", "Option A or Option B?"))


def test_replies_are_counted_by_the_label_that_they_name() -> None:
    said = iter(["A", "Option B.", "I choose A", "no idea"])
    model = FunctionBackend(lambda messages: next(said))
    (choice,) = asyncio.run(model.choose([ASKED], ("A", "B"), samples=4))
    assert choice.shares == (2 / 3, 1 / 3)
    assert (choice.asked, choice.valid, choice.mass) == (4, 3, None)


def test_no_reply_is_an_invalid_answer() -> None:
    model = FunctionBackend(lambda messages: None)
    (choice,) = asyncio.run(model.choose([ASKED], ("A", "B"), samples=2))
    assert (choice.shares, choice.valid, choice.invalid) == ((), 0, 2)
    (reply,) = asyncio.run(model.generate([ASKED], Sampling()))
    assert reply.text is None
    assert reply.failure


def test_the_function_is_given_the_messages() -> None:
    seen: list[list[dict[str, str]]] = []

    async def answer(messages: list[dict[str, str]]) -> str:
        seen.append(messages)
        return "A short reason."

    model = FunctionBackend(answer)
    (reply,) = asyncio.run(model.generate([ASKED], Sampling()))
    assert reply.text == "A short reason."
    assert seen == [[{"role": m.role, "content": m.content} for m in ASKED]]
    assert "answer" in model.name


def test_a_plain_function_is_never_called_twice_at_once() -> None:
    here, most = [], []
    lock = threading.Lock()

    def slow(messages: list[dict[str, str]]) -> str:
        with lock:
            here.append(1)
            most.append(len(here))
        time.sleep(0.002)
        with lock:
            here.pop()
        return "A"

    model = FunctionBackend(slow)

    async def both() -> None:
        await asyncio.gather(*(model.choose([ASKED] * 3, ("A", "B")) for _ in range(3)))

    asyncio.run(both())
    assert max(most) == 1


def test_what_is_no_text_is_refused_and_what_it_raises_goes_through() -> None:
    with pytest.raises(BackendError, match="return the text"):
        asyncio.run(FunctionBackend(lambda m: 3).generate([ASKED], Sampling()))  # type: ignore[arg-type]

    def broken(messages: list[dict[str, str]]) -> str:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(FunctionBackend(broken).generate([ASKED], Sampling()))
