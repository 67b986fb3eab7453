"""Every ballot of a held assembly leads to the recorded call behind it."""

import asyncio
import json

import pytest
from support.scripted import ScriptedBackend

from assembly.record.ledger import BallotCalls, Ledger, RecordedBackend
from plenary.models.base import Message
from plenary.models.wrappers.cache import CachedBackend, MemoryStore

ASKED = [(Message("user", text),) for text in ("one", "two", "one", "broken")]


@pytest.mark.parametrize("exact", [True, False])
def test_the_keys_are_those_that_a_cache_looks_under(exact) -> None:
    store, backend = MemoryStore(), ScriptedBackend(exact=exact)
    recorded = RecordedBackend(backend, store)
    choices, keys = asyncio.run(recorded.choose_recorded(ASKED, ("A", "B"), samples=2, seed=5))
    assert (keys[0] == keys[2]) == exact
    found = store.get_many(keys)
    assert set(found) == set(keys[:3])
    assert json.loads(found[keys[0]])["shares"] == list(choices[0].shares)
    again = CachedBackend(backend, store)
    asyncio.run(again.choose(ASKED[:3], ("A", "B"), samples=2, seed=5))
    assert backend.asked == (["one", "two", "broken"] if exact else ["one", "two", "one", "broken"])


def test_every_ballot_leads_to_its_recorded_call(world, small, tmp_path) -> None:
    votes = world.hold(world.backend(), tmp_path, small)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        behind = ledger.ballot_calls(len(world.pairs))
        answers = [ledger.get_many(calls.keys) for calls in behind]
    for pair, (calls, found) in enumerate(zip(behind, answers, strict=True)):
        shares = sorted(json.loads(found[key])["shares"][0] for key in calls.keys)
        assert shares == sorted(votes.share_first[votes.pair == pair].tolist())
    assert len({calls.digest for calls in behind}) == len(behind)


def test_other_answers_heard_are_other_calls(world, small, tmp_path) -> None:
    """The same persons on the same pairs: what was heard is part of a ballot's hash."""
    digests: list[list[BallotCalls]] = []
    for rounds in (1, 1, 2):
        folder = tmp_path / str(len(digests))
        folder.mkdir()
        world.hold(world.backend(), folder, small.model_copy(update={"rounds": rounds}))
        with Ledger(folder / "ledger.sqlite") as ledger:
            digests.append(ledger.ballot_calls(len(world.pairs)))
    assert digests[0] == digests[1]
    assert all(one.digest != two.digest for one, two in zip(digests[0], digests[2], strict=True))
