from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.scripted import ScriptedBackend

from plenary.errors import BackendError, DataError
from plenary.models.base import ChatBackend, Conversation, Message, Sampling, copies, draw_of, drawn
from plenary.models.wrappers.cache import CachedBackend, CallStore, MemoryStore, SqliteStore

LABELS = ("A", "B")


def asks(*texts: str) -> list[Conversation]:
    return [(Message("user", text),) for text in texts]


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CallStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    with SqliteStore(tmp_path / "calls.sqlite") as opened:
        yield opened


def test_the_same_call_is_made_once(store: CallStore) -> None:
    inner = ScriptedBackend()
    cached = CachedBackend(inner, store)
    first = asyncio.run(cached.choose(asks("x", "y", "x"), LABELS))
    again = asyncio.run(cached.choose(asks("y", "z"), LABELS))
    assert inner.asked == ["x", "y", "z"]
    assert first[0] == first[2] == again[0]
    assert first[0].shares == (0.25, 0.75)
    replies = asyncio.run(cached.generate(asks("x", "x"), Sampling(seed=4)))
    assert replies == asyncio.run(cached.generate(asks("x", "x"), Sampling(seed=4)))
    assert replies[0].text == "x 4.0"
    assert inner.asked == ["x", "y", "z", "x"]


def test_what_tells_calls_apart(store: CallStore) -> None:
    inner = ScriptedBackend(exact=False)
    cached = CachedBackend(inner, store)
    for samples, seed, labels in (
        (1, 0, LABELS),
        (2, 0, LABELS),
        (1, 1, LABELS),
        (1, 0, ("B", "A")),
    ):
        asyncio.run(cached.choose(asks("x"), labels, samples=samples, seed=seed))
    for sampling in (Sampling(), Sampling(sample=1), Sampling(0.5), Sampling(max_tokens=3)):
        asyncio.run(cached.generate(asks("x"), sampling))
    assert len(inner.asked) == 8


def test_exact_choices_do_not_depend_on_samples(store: CallStore) -> None:
    inner = ScriptedBackend()
    cached = CachedBackend(inner, store)
    asyncio.run(cached.choose(asks("x"), LABELS, samples=1, seed=0))
    asyncio.run(cached.choose(asks("x"), LABELS, samples=9, seed=3))
    assert inner.asked == ["x"]


def test_where_answers_are_drawn_copies_in_a_batch_are_draws_of_their_own(store: CallStore) -> None:
    inner = ScriptedBackend(exact=False)
    cached = CachedBackend(inner, store)
    for _ in range(2):  # the second time from the store
        asyncio.run(cached.choose(asks("x", "y", "x", "x"), LABELS, samples=2))
    assert inner.asked == ["x", "y", "x", "x"]
    for _ in range(2):
        asyncio.run(cached.generate(asks("x", "x"), Sampling(0.7)))
        asyncio.run(cached.generate(asks("x", "x"), Sampling(0.0)))  # nothing is drawn
    assert inner.asked[4:] == ["x", "x", "x"]


def test_a_named_draw_is_found_again_in_any_batch_and_order(store: CallStore) -> None:
    inner = ScriptedBackend(exact=False)
    cached = CachedBackend(inner, store)
    ask = asks("x")[0]
    both = [drawn(ask, draw) for draw in copies(["same", "same"])]
    asyncio.run(cached.choose(both, LABELS))
    asyncio.run(cached.choose([both[1], *asks("y")], LABELS))
    asyncio.run(cached.choose([both[0]], LABELS))
    assert inner.asked == ["x", "x", "y"]
    asyncio.run(cached.generate(both, Sampling()))
    asyncio.run(cached.generate(both[::-1], Sampling()))
    assert inner.asked[3:] == ["x", "x"]


def test_exact_choices_are_shared_by_copies_and_replies_are_not(store: CallStore) -> None:
    inner = ScriptedBackend()
    cached = CachedBackend(inner, store)
    both = [drawn(asks("x")[0], draw) for draw in ("", "1")]
    asyncio.run(cached.choose(both, LABELS))
    assert inner.asked == ["x"]
    asyncio.run(cached.generate(both, Sampling()))
    assert inner.asked == ["x", "x", "x"]


def test_a_draw_travels_with_its_conversation() -> None:
    ask = drawn(asks("x")[0], "3")
    assert draw_of(pickle.loads(pickle.dumps(ask))) == "3"
    assert ask == asks("x")[0]
    assert draw_of(asks("x")[0]) == ""
    assert copies("abab") == ["", "", "1", "1"]


def test_refusals_are_kept_and_failures_asked_again(store: CallStore) -> None:
    inner = ScriptedBackend()
    cached = CachedBackend(inner, store)
    for _ in range(2):
        broken, silent = asyncio.run(cached.choose(asks("broken", "silent"), LABELS))
        assert (broken.failure, silent.failure) == ("failed: timeout", "refused: no")
        asyncio.run(cached.generate(asks("broken", "silent"), Sampling()))
    assert inner.asked == ["broken", "silent"] * 2 + ["broken", "broken"]


def test_answers_outlive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    with SqliteStore(path) as store:
        first = asyncio.run(CachedBackend(ScriptedBackend(), store).choose(asks("x"), LABELS))
    inner = ScriptedBackend()
    with SqliteStore(path) as store:
        assert asyncio.run(CachedBackend(inner, store).choose(asks("x"), LABELS)) == first
    assert inner.asked == []


def test_many_keys_at_once(store: CallStore) -> None:
    answers = {f"key{k}": str(k) for k in range(1500)}
    store.put_many(answers)
    store.put_many({"key0": "another"})
    assert store.get_many([*answers, "none"]) == answers
    assert store.get_many([]) == {}


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    path.write_text("this is a text and no database, and it is long enough to be read as one" * 20)
    with pytest.raises(DataError, match="cannot open the call store"):
        SqliteStore(path)


def test_a_damaged_answer(store: CallStore) -> None:
    inner = ScriptedBackend()
    cached = CachedBackend(inner, store)
    asyncio.run(cached.choose(asks("x"), LABELS))

    class Torn(MemoryStore):
        def get_many(self, keys):
            return dict.fromkeys(keys, '{"shares": ')

    with pytest.raises(DataError, match="remove the store"):
        asyncio.run(CachedBackend(inner, Torn()).choose(asks("x"), LABELS))


def test_a_backend_that_answers_too_little(store: CallStore) -> None:
    class Short(ScriptedBackend):
        async def generate(self, conversations, sampling):
            return []

    with pytest.raises(BackendError, match="0 answers to 1 prompts"):
        asyncio.run(CachedBackend(Short(), store).generate(asks("x"), Sampling()))


def test_it_is_a_backend(store: CallStore) -> None:
    assert isinstance(CachedBackend(ScriptedBackend(), store), ChatBackend)
