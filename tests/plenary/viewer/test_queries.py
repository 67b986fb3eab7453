from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("duckdb", reason="the extra 'view' is not installed")

from assembly.aggregation.consensus import Consensus
from assembly.aggregation.electorate import weighted_mean
from assembly.analysis.movement import movement
from assembly.record.ballots import AFTER, BEFORE, VALID, Votes, citizen_shares
from plenary.runs import filenames
from plenary.viewer.queries import (
    CITIZENS,
    OUTCOMES,
    PAIRS,
    Listing,
    ListQuery,
    counted,
    find,
    heard_at,
    journey,
    marks,
    moves_on,
    paged,
    said_by,
    standings,
)
from plenary.viewer.run_view import RunSnapshot, RunView


@pytest.fixture
def room(opened: RunView) -> RunSnapshot:
    found = opened.room()
    assert found is not None
    return found


def column(room: RunSnapshot, listing: Listing, name: str) -> np.ndarray:
    rows = marks(room.store, listing, ListQuery(sort="number")).rows
    place = listing.columns.index(name)
    return np.array([np.nan if row[place] is None else row[place] for row in rows], dtype=float)


def test_shares_in_sql_are_those_of_the_assembly(room: RunSnapshot, opened: RunView) -> None:
    votes = Votes.read(opened.path / filenames.VOTES)
    citizens, pairs, weights = len(room.panel), len(room.plan.pairs), room.panel.weight
    for phase, name in ((BEFORE, "p_before"), (AFTER, "p_after")):
        shares = weighted_mean(citizen_shares(votes, phase, citizens, pairs), weights)
        assert np.allclose(column(room, PAIRS, name), shares, equal_nan=True)
    moved = movement(votes, pairs, weights, room.seating.table_of())
    assert np.allclose(column(room, CITIZENS, "moved"), moved.by_citizen, equal_nan=True)
    invalid = np.bincount(votes.pair, votes.state != VALID) / np.bincount(votes.pair)
    assert invalid.max() > 0
    assert np.allclose(column(room, PAIRS, "invalid"), invalid)


@pytest.mark.parametrize("listing", [PAIRS, CITIZENS, OUTCOMES], ids=["pairs", "people", "all"])
def test_ledger_and_exports_answer_alike(opened: RunView, listing: Listing) -> None:
    """The ledger and the exports of one run give the same rows in every order."""
    done = opened.done
    whole = opened.room()
    assert whole is not None
    rows = {sort: marks(whole.store, listing, ListQuery(sort=sort)).rows for sort in listing.sorts}
    opened.done = lambda stage: stage != "convene" and done(stage)  # type: ignore[method-assign]
    ledger = opened._open()
    assert ledger is not None
    for sort, expected in rows.items():
        found = marks(ledger.store, listing, ListQuery(sort=sort)).rows
        assert [row[0] for row in found] == [row[0] for row in expected]
        numbers = [[x for x in row if isinstance(x, float)] for row in found]
        assert np.allclose(
            np.concatenate(numbers),
            np.concatenate([[x for x in row if isinstance(x, float)] for row in expected]),
        )
    ledger.store.close()


def test_everybody_on_a_pair_stands_as_the_labels_say(room: RunSnapshot, opened: RunView) -> None:
    decided = Consensus.read(opened.path / filenames.CONSENSUS)
    for pair in (0, 20, 37):
        everybody, *strata = standings(room, pair, "sex", 0.95)
        assert everybody.after is not None
        expected = [getattr(decided, name)[pair] for name in ("p", "low", "high")]
        assert np.allclose(everybody.after[:3], expected, equal_nan=True)
        assert everybody.after.counts == tuple(decided.counts[pair])
        assert [s.category for s in strata] == ["man", "woman"]
        assert sum(s.citizens for s in strata) == everybody.citizens == 14
        assert str(sum(everybody.after.counts[:3])) or counted(everybody.after)


def test_bands_come_in_their_order(room: RunSnapshot) -> None:
    bands = [s.category for s in standings(room, 0, "age", 0.95)[1:]]
    assert bands[0] == "under 25"
    assert bands[-1] == "75 and over"


def test_lists_are_searched_narrowed_and_paged(room: RunSnapshot) -> None:
    trees = find(room.store, PAIRS, ListQuery(search="TREES clinics"))
    assert 0 < trees.total < 38
    assert all("trees" in f"{r[1]} {r[2]}" and "clinics" in f"{r[1]} {r[2]}" for r in trees.rows)
    held = find(room.store, PAIRS, ListQuery(chosen={"side": "held_out"}))
    assert held.total == 14
    last = find(room.store, PAIRS, ListQuery(page=99), size=10)
    assert (last.page, last.pages, len(last.rows)) == (4, 4, 8)
    assert find(room.store, PAIRS, ListQuery(search="%'; DROP TABLE votes --")).total == 0
    moved = [row[9] for row in find(room.store, PAIRS, ListQuery(sort="moved")).rows]
    assert moved == sorted(moved, reverse=True)


def test_invalid_and_contested_pairs_can_be_told_apart(room: RunSnapshot) -> None:
    invalid = find(room.store, PAIRS, ListQuery(chosen={"invalid": "yes"}))
    assert all(row[10] > 0 for row in invalid.rows)
    parts = [
        find(room.store, PAIRS, ListQuery(chosen={"contested": c})).total for c in ("yes", "no")
    ]
    assert sum(parts) == 38


def test_a_citizens_journey_is_whole(room: RunSnapshot) -> None:
    moves = journey(room.store, 3)
    found = paged(moves, page=2, size=20)
    assert len(moves) == found.total == 38
    assert found.rows == moves[20:]
    change = [abs(move.change) for move in moves if move.change is not None]
    assert change == sorted(change, reverse=True)
    spoken = sum(len(said_by(room.store, k)) for k in range(14))
    assert spoken == room.store.rows("SELECT count(*) FROM statements")[0][0] > 0


def test_a_table_is_heard_in_order(room: RunSnapshot) -> None:
    members = room.seating.tables[1]
    heard = heard_at(room.store, 5, 1)
    assert heard
    assert [(h.round, h.seat) for h in heard] == sorted((h.round, h.seat) for h in heard)
    assert {h.citizen for h in heard} <= set(members)
    assert {m.citizen for m in moves_on(room.store, 5, members)} == set(members)
