import time
from dataclasses import replace

import pytest

from assembly.record.ledger import Ledger
from assembly.record.progress import Clock, Timing
from plenary.models.base import Choice, Reply


def test_time_is_booked_once_the_model_before_the_ledger(monkeypatch) -> None:
    """The hands of the watch are moved by hand, so that a busy machine adds no time."""
    hands = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: hands[0])
    clock = Clock()
    clock.start()

    def spend(seconds: float) -> None:
        hands[0] += seconds

    with clock.at("model"):
        spend(0.05)
        with clock.at("ledger"), clock.at("model"):
            spend(0.06)
    with clock.at("ledger"):
        spend(0.07)
    spend(0.08)
    timing = clock.timing(10)
    assert timing.model == pytest.approx(0.11)
    assert timing.ledger == pytest.approx(0.07)
    assert timing.framework == pytest.approx(0.08)
    assert timing.per_turn == pytest.approx(26)


def test_the_ledger_adds_up_the_sessions(tmp_path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.timing() == Timing(0, 0.0, 0.0, 0.0)
        ledger.add_session("one", Timing(10, 1.0, 0.5, 0.25))
        ledger.add_session("two", Timing(5, 2.0, 0.5, 0.25))
        assert ledger.timing() == Timing(15, 3.0, 1.0, 0.5)


def test_where_the_time_of_an_assembly_went(world, tmp_path, small) -> None:
    backend = world.backend(delay=0.02)
    world.hold(backend, tmp_path, small.model_copy(update={"concurrency": 1}))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        timing = ledger.timing()
    assert timing.turns == len(backend.seen)
    assert timing.model >= 0.02 * len(backend.batches)
    assert timing.ledger > 0
    assert timing.framework > 0


def test_events_tell_turns_tokens_cost_and_time_left(world, tmp_path, small) -> None:
    class Counted(type(world.backend())):
        def _choice(self, conversation) -> Choice:
            return replace(super()._choice(conversation), prompt_tokens=100, completion_tokens=1)

        def _reply(self, conversation) -> Reply:
            return replace(super()._reply(conversation), prompt_tokens=100, completion_tokens=20)

    backend, events = Counted(world.backend().utilities), []
    world.hold(backend, tmp_path, small, events.append, cost=lambda: 0.25 * len(backend.seen))
    choices = 4 * 11 * 9 + 54
    last = events[-1]
    assert last.turns == choices + 54 == len(backend.seen)
    assert last.tokens == choices * 101 + 54 * 120
    assert last.cost == 0.25 * len(backend.seen)
    assert events[0].cost == 0
    assert events[0].left is None
    assert last.left == 0
    assert any(e.left for e in events)


def test_durability_may_change_on_resuming(world, tmp_path, small) -> None:
    world.hold(world.backend(), tmp_path, small)
    backend, events = world.backend(), []
    changed = small.model_copy(update={"durability": "exit", "max_prompt": 20_000})
    world.hold(backend, tmp_path, changed, events.append)
    assert backend.seen == []
    assert [e.kind for e in events] == ["resumed"]
