import asyncio
from collections import Counter

import numpy as np
import pytest
from scipy.special import ndtr
from support.effort import calls_made

from assembly.aggregation.consensus import consensus
from assembly.deliberation.seating import seat
from assembly.deliberation.session import convene
from assembly.record.ballots import AFTER, BEFORE, VALID, citizen_shares
from assembly.record.ledger import Ledger
from assembly.record.settings import AssemblySettings
from plenary.errors import BudgetExceeded, ConfigError, DataError, UnusableAnswers
from plenary.models.base import Choice, Reply
from plenary.models.planted import PlantedBackend, PlantedWorld
from plenary.models.wrappers.budget import BudgetedBackend, CountingBackend
from plenary.models.wrappers.cache import MemoryStore


def test_planted_weighted_majority_is_recovered(world_of, tmp_path) -> None:
    world = world_of(citizens=30, outcomes=12, pairs=40)
    votes = world.hold(world.backend(), tmp_path, AssemblySettings(table_size=7))
    first, second = world.utilities[:, world.pairs[:, 0]], world.utilities[:, world.pairs[:, 1]]
    shares = 1 / (1 + np.exp(second - first))
    for phase in (BEFORE, AFTER):
        found = consensus(votes, world.pairs, world.weights, phase)
        np.testing.assert_allclose(found.p, world.weights @ shares / world.weights.sum())
        np.testing.assert_array_equal(found.counts[:, 0], (first > second).sum(axis=0))
        np.testing.assert_allclose(found.weighted[:, 1], world.weights @ (first < second))


def test_planted_backend_of_the_chat_port_moves_as_planted(world, tmp_path, small) -> None:
    table = {
        system: dict(zip(world.texts, row, strict=True))
        for system, row in zip(world.systems, world.utilities.tolist(), strict=True)
    }
    planted = PlantedWorld(utilities=table[world.systems[0]], personas=table, sigma=1, swing=0.5)
    backend = PlantedBackend(planted)
    votes = world.hold(backend, tmp_path, small)
    lead = world.utilities[:, world.pairs[:, 0]] - world.utilities[:, world.pairs[:, 1]]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        spoken = ledger.transcript()
    seating = seat(11, 9, small, seed=3)
    for said in spoken:
        lead[list(seating.tables[said.table]), said.pair] += 0.5 * (1 - 2 * said.side)
    np.testing.assert_allclose(citizen_shares(votes, AFTER, 11, 9), ndtr(lead / np.sqrt(2)))


def test_same_seed_same_votes_whatever_the_concurrency_and_block(world, tmp_path, small) -> None:
    runs = []
    for number, change in enumerate(({}, {"concurrency": 1}, {"block": 3})):
        folder = tmp_path / str(number)
        folder.mkdir()
        runs.append(world.hold(world.backend(swing=0.4), folder, small.model_copy(update=change)))
    assert (
        runs[0].share_first.tolist() == runs[1].share_first.tolist() == runs[2].share_first.tolist()
    )


def test_a_finished_assembly_asks_nothing(world, tmp_path, small) -> None:
    votes = world.hold(world.backend(), tmp_path, small)
    backend = world.backend()
    events = []
    again = world.hold(backend, tmp_path, small, events.append)
    assert backend.seen == []
    assert again.share_first.tolist() == votes.share_first.tolist()
    assert [(e.kind, e.count, e.done, e.shards) for e in events] == [("resumed", len(votes), 9, 9)]


def test_events_add_up(world, tmp_path, small) -> None:
    events = []
    broken = world.systems[2]
    votes = world.hold(
        world.backend(spoil=lambda c: "refused" if c[0].content == broken else None),
        tmp_path,
        small,
        events.append,
    )
    total = Counter()
    for event in events:
        total[event.kind] += event.count
    assert total == {
        "resumed": 0,
        "votes": len(votes),
        "declarations": 54,
        "statements": 54,
        "shard": 9,
    }
    assert sum(e.invalid for e in events if e.kind == "votes") == np.isnan(votes.share_first).sum()
    assert (events[-1].kind, events[-1].done, events[-1].shards) == ("shard", 9, 9)


@pytest.mark.parametrize("change", ["settings", "seed", "texts", "weights", "model"])
def test_another_configuration_is_refused(world, tmp_path, small, change) -> None:
    world.hold(world.backend(), tmp_path, small)
    backend, seed = world.backend(), 3
    if change == "settings":
        small = small.model_copy(update={"rounds": 2})
    elif change == "seed":
        seed = 4
    elif change == "texts":
        world.texts = (*world.texts[:-1], "another outcome comes to pass")
    elif change == "weights":
        world.weights = world.weights * 2
    else:
        backend.name = "another"
    with pytest.raises(ConfigError, match="use a new run directory"):
        world.hold(backend, tmp_path, small, seed=seed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.ones(3)}, "3 weights for 11 citizens"),
        ({"weights": np.r_[np.ones(10), -2.0]}, "design weight -2.0"),
        ({"pairs": np.array([[0, 99]])}, "0..99 of 8"),
        ({"pairs": np.array([[0, 1], [1, 0]])}, "more than once"),
        ({"pairs": np.zeros((0, 2), dtype=int)}, "0 pairs"),
    ],
)
def test_bad_input_is_refused_before_a_call(world, tmp_path, small, change, message) -> None:
    for name, value in change.items():
        setattr(world, name, value)
    backend = world.backend()
    with pytest.raises(ConfigError, match=message):
        world.hold(backend, tmp_path, small)
    assert backend.seen == []


@pytest.mark.parametrize("calls", [0, 40, 150, 400])
def test_a_used_up_budget_stops_and_more_budget_resumes(world, tmp_path, small, calls) -> None:
    first = world.backend(swing=0.4)
    with pytest.raises(BudgetExceeded, match="used up"):
        world.hold(BudgetedBackend(first, calls=calls), tmp_path, small)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        part = ledger.votes()
    with pytest.raises(DataError, match="missing; resume"):
        consensus(part, world.pairs, world.weights, AFTER)
    second = world.backend(swing=0.4)
    whole = world.hold(second, tmp_path, small)
    assert not set(first.seen) & set(second.seen)
    (tmp_path / "straight").mkdir()
    straight = world.hold(world.backend(swing=0.4), tmp_path / "straight", small)
    assert whole.share_first.tolist() == straight.share_first.tolist()


def test_a_budget_leaves_whole_blocks_behind(world, tmp_path, small) -> None:
    with pytest.raises(BudgetExceeded):
        world.hold(BudgetedBackend(world.backend(), calls=450), tmp_path, small)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        votes = ledger.votes()
    whole = np.bincount(votes.pair, minlength=9) == 4 * 11
    assert whole[:4].all()
    assert not whole.all()


def test_cancellation_leaves_a_ledger_that_resumes(world, tmp_path, small) -> None:
    slow = world.backend(delay=0.02, swing=0.4)

    async def cut_short() -> None:
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            task = asyncio.create_task(
                convene(
                    slow,
                    world.systems,
                    world.weights,
                    world.texts,
                    world.pairs,
                    small,
                    ledger,
                    tmp_path / "checkpoints.sqlite",
                    3,
                )
            )
            while len(slow.batches) < 9:
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cut_short())
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        recorded = len(ledger.votes())
    assert 0 < recorded < 4 * 11 * 9
    rest = world.backend(swing=0.4)
    assert len(world.hold(rest, tmp_path, small)) == 4 * 11 * 9
    # Only the calls in flight at the cut, one node a shard at most, may be asked again.
    assert len(set(slow.seen) & set(rest.seen)) <= 2 * 32


def test_a_crash_between_answers_and_votes_repeats_no_call_and_loses_no_vote(
    world, tmp_path, small, monkeypatch
) -> None:
    alone = small.model_copy(update={"concurrency": 1})
    for name in ("straight", "cut"):
        (tmp_path / name).mkdir()
    straight = world.hold(world.backend(), tmp_path / "straight", alone)
    add, written = Ledger.add_votes, []

    def cut(self, rows, calls):
        written.append(1)
        if len(written) == 4:
            raise RuntimeError("killed")
        add(self, rows, calls)

    first, rest = world.backend(), world.backend()
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "add_votes", cut)
        with pytest.raises(RuntimeError, match="killed"):
            world.hold(first, tmp_path / "cut", alone)
    votes = world.hold(rest, tmp_path / "cut", alone)
    assert first.seen
    assert rest.seen
    assert not set(first.seen) & set(rest.seen)
    for column in ("pair", "citizen", "phase", "order", "share_first", "state"):
        assert getattr(votes, column).tolist() == getattr(straight, column).tolist()


def test_votes_are_loaded_once_at_the_end_and_not_to_be_counted(
    world, tmp_path, small, monkeypatch
) -> None:
    load, loaded = Ledger.votes, []
    monkeypatch.setattr(Ledger, "votes", lambda self, *a: loaded.append(1) or load(self, *a))
    world.hold(world.backend(), tmp_path, small)
    assert len(loaded) == 1


def test_an_error_of_the_backend_comes_through_as_it_is(world, tmp_path, small) -> None:
    def broken(conversation):
        raise ZeroDivisionError("planted")

    with pytest.raises(ZeroDivisionError, match="planted"):
        world.hold(world.backend(spoil=broken), tmp_path, small)


class Instant:
    """Answers at once, so that only the framework and the ledger take time."""

    name, supports_seed, exact_choice = "instant", True, True

    def __init__(self) -> None:
        self.asked = 0

    async def generate(self, conversations, sampling):
        self.asked += len(conversations)
        return [Reply("This option is right for me.")] * len(conversations)

    async def choose(self, conversations, labels, *, samples=1, seed=0):
        self.asked += len(conversations)
        return [Choice((0.6, 0.4), 0.99, 1, 1)] * len(conversations)


def test_framework_and_ledger_cost_little_per_turn(world_of, tmp_path) -> None:
    """About half a millisecond, counted in calls so that no busy machine fails it."""
    world, settings = world_of(citizens=12, outcomes=12, pairs=40), AssemblySettings()
    backend = Instant()
    calls = calls_made(lambda: world.hold(backend, tmp_path, settings))
    assert calls / backend.asked < 500
    size = (tmp_path / "checkpoints.sqlite").stat().st_size
    assert size / backend.asked < 100


@pytest.mark.parametrize("shared", ["probe", "persona"])
def test_citizens_who_are_told_the_same_answer_for_themselves(
    world, tmp_path, small, shared
) -> None:
    """An endpoint that samples is asked by each of them, and not again when the run goes on."""
    change = {"condition": "none", "samples": 3}
    if shared == "probe":
        change["probe"] = "no-persona"
    else:
        world.systems = ("You are citizen number 0.",) * len(world.systems)
    settings = small.model_copy(update=change)
    worlds = {"utilities": dict.fromkeys(world.texts, 0.0), "exact": False}
    counted = CountingBackend(PlantedBackend(PlantedWorld(**worlds)))
    with pytest.raises(BudgetExceeded):
        world.hold(BudgetedBackend(counted, calls=150), tmp_path, settings)
    votes = world.hold(counted, tmp_path, settings)
    assert counted.counts.answers == 3 * len(votes) == 3 * 2 * 2 * 11 * 9
    by_citizen = citizen_shares(votes, BEFORE, 11, 9)
    assert by_citizen.std(axis=0).min() > 0


def test_who_speaks_for_another_does_not_borrow_their_answers(world, tmp_path, small) -> None:
    """Conditions share one store, and ballots under another's persona are draws of their own."""
    worlds = {"utilities": dict.fromkeys(world.texts, 0.0), "exact": False}
    counted = CountingBackend(PlantedBackend(PlantedWorld(**worlds)))
    store = MemoryStore()
    for name, probe in enumerate(("none", "shuffled-persona", "none")):
        folder = tmp_path / str(name)
        folder.mkdir()
        settings = small.model_copy(update={"condition": "none", "probe": probe})
        world.hold(counted, folder, settings, calls=store)
    assert counted.counts.answers == 2 * settings.samples * 2 * 2 * 11 * 9


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (Choice((0.75, 0.25), 0.4, 1, 1), "answer mass 0.4 .* 0.3 on the first label, 0.1 on"),
        (Choice((), None, 1, 0, "failed: 400 no logprobs"), "failed: 400 no logprobs"),
    ],
)
def test_ballots_that_hardly_count_stop_after_the_first_block_and_lose_nothing(
    world, tmp_path, spoilt, said
) -> None:
    backend = world.backend()
    backend._choice = lambda conversation: spoilt
    settings = AssemblySettings(table_size=4, block=5, concurrency=1)
    with pytest.raises(UnusableAnswers, match=rf"{said}.*all answers are kept") as stopped:
        world.hold(backend, tmp_path, settings)
    assert "100% of 40 ballots" in str(stopped.value)
    assert len(backend.seen) == 4 * 5 * 2
    again = world.backend()
    if spoilt.shares:
        again._choice = backend._choice
        with pytest.raises(UnusableAnswers):
            world.hold(again, tmp_path, settings)
        assert again.seen == []
        settings = settings.model_copy(update={"max_unusable": 1.0})
    votes = world.hold(again, tmp_path, settings)
    assert len(votes) == 11 * 9 * 2 * 2
    assert (votes.state == VALID).all() is np.bool_(not spoilt.shares)
    assert not spoilt.shares or not set(backend.seen) & set(again.seen)


def test_abstentions_and_a_few_lost_ballots_stop_nothing(world, tmp_path) -> None:
    backend = world.backend()
    lost, nobody = Choice((), None, 1, 0, "refused"), Choice((0.1, 0.1, 0.8), 1.0, 1, 1)
    refusing = set(world.systems[:4])
    backend._choice = lambda c: lost if c[0].content in refusing else nobody
    votes = world.hold(backend, tmp_path, AssemblySettings(table_size=4, block=5, abstain=True))
    assert len(votes) == 11 * 9 * 2 * 2
