"""Planted persuaders, known effects, and citizens who do not listen."""

import re

import numpy as np
import pytest
from scipy.special import expit
from support.held import spoken, votes_from

from assembly.analysis.influence import influence
from assembly.deliberation.seating import seat
from assembly.record.ballots import FAILED
from assembly.record.ledger import Ledger
from assembly.record.settings import AssemblySettings
from plenary.errors import DataError

CITIZENS, PAIRS = 24, 120
TABLES = np.arange(CITIZENS) // 6
NOTHING = np.zeros(PAIRS)


def discussion(rng, effects, noise=0.3, listens=1.0, common=NOTHING, drift=0.0):
    """Two of six speak on each pair; listeners move by the speakers' effects and some noise."""
    before = common + rng.normal(0, 1, (CITIZENS, PAIRS))
    after = before + rng.normal(0, noise, before.shape) + drift * np.sign(common)
    said = []
    for pair in range(PAIRS):
        for table in range(4):
            for seat_number in rng.choice(6, 2, replace=False):
                who = table * 6 + int(seat_number)
                side = int(before[who, pair] < 0)
                said.append(spoken(pair, who, side, "so I say", seat=int(seat_number)))
                said[-1] = said[-1]._replace(table=table)
                others = np.flatnonzero((table == TABLES) & (np.arange(CITIZENS) != who))
                after[others, pair] += listens * effects[who] * (1 - 2 * side)
    return votes_from(expit(np.stack([before, after]))), said


def test_effects_are_recovered_within_their_errors() -> None:
    rng, z = np.random.default_rng(0), []
    for _ in range(8):
        effects = rng.normal(0.2, 0.2, CITIZENS)
        votes, said = discussion(rng, effects)
        found = influence(votes, PAIRS, TABLES, said)
        z.append((found.effect - effects) / found.error)
        assert np.corrcoef(found.shrunk, effects)[0, 1] > 0.9
    assert 0.88 <= np.mean(np.abs(z) < 1.96) <= 0.99
    assert 0.8 <= np.std(z) <= 1.25


def test_a_planted_persuader_is_ranked_first_and_moves() -> None:
    effects = np.full(CITIZENS, 0.1)
    effects[13] = 0.6
    votes, said = discussion(np.random.default_rng(1), effects)
    found = influence(votes, PAIRS, TABLES, said)
    assert found.ranked[0] == 13
    assert found.moves[13]
    assert found.left_out[13] == np.nanmax(found.left_out)
    of = np.array([s.citizen for s in said])
    assert np.nanmean(found.of_statement[of == 13]) == pytest.approx(0.6, abs=0.15)


def test_citizens_who_do_not_listen_give_no_influence() -> None:
    rng, flagged = np.random.default_rng(2), 0
    for _ in range(10):
        votes, said = discussion(rng, np.full(CITIZENS, 0.5), listens=0.0)
        found = influence(votes, PAIRS, TABLES, said)
        flagged += found.moves.sum()
        assert abs(np.mean(found.effect)) < 0.05
    assert flagged <= 5
    still, said = discussion(rng, np.zeros(CITIZENS), noise=0.0)
    found = influence(still, PAIRS, TABLES, said)
    np.testing.assert_allclose(found.effect, 0, atol=1e-9)
    assert not found.moves.any()


def test_what_happens_without_discussion_is_taken_off() -> None:
    """Listeners drift to the side spoken for, and do so as well when only asked again."""
    rng = np.random.default_rng(3)
    votes, said = discussion(rng, np.full(CITIZENS, 0.4), noise=0.05)
    drift = np.zeros((CITIZENS, PAIRS))
    for s in said:
        drift[s.table == TABLES, s.pair] += 0.4 * (1 - 2 * s.side)
    found = influence(votes, PAIRS, TABLES, said, expected=drift)
    assert np.abs(found.effect).max() < 0.05


def test_what_all_do_on_a_pair_is_no_influence() -> None:
    """Everybody drifts toward the side that most favoured, which is that most speakers are on."""
    rng, flagged = np.random.default_rng(5), 0
    for _ in range(6):
        common = rng.normal(0, 1.5, PAIRS)
        votes, said = discussion(rng, np.zeros(CITIZENS), common=common, drift=0.6)
        flagged += influence(votes, PAIRS, TABLES, said).moves.sum()
    assert flagged <= 5


def test_speakers_alike_move_others_and_none_stands_out() -> None:
    votes, said = discussion(np.random.default_rng(6), np.full(CITIZENS, 0.5))
    found = influence(votes, PAIRS, TABLES, said)
    assert found.moves.all()
    assert found.stands_out.sum() <= 1
    effects = np.full(CITIZENS, 0.5)
    effects[13] = 1.2
    votes, said = discussion(np.random.default_rng(6), effects)
    found = influence(votes, PAIRS, TABLES, said)
    assert found.stands_out[13]
    assert found.ranked[0] == 13


def test_where_all_heard_the_same_nothing_is_told() -> None:
    votes, said = discussion(np.random.default_rng(7), np.full(CITIZENS, 0.5))
    one_table = [s._replace(table=0) for s in said if s.table == 0]
    found = influence(votes, PAIRS, np.where(TABLES == 0, 0, 1), one_table)
    assert np.isfinite(found.effect[:6]).all()
    everybody = influence(votes, PAIRS, np.zeros(CITIZENS, dtype=int), one_table)
    assert everybody.ranked == []
    assert not everybody.moves.any()


def test_seats_that_change_by_round_decide_who_heard() -> None:
    """Citizen 0 speaks in round 1 at table 1, where 2 and 3 sit only then."""
    before = np.zeros((4, 2))
    after = before + np.array([[0, 0], [0, 0], [0.7, 0.7], [0.7, 0.7]])
    tables = np.array([[0, 0, 1, 1], [1, 0, 1, 1]])
    said = [spoken(p, 0, 0, "x")._replace(round=1, table=1) for p in range(2)]
    votes = votes_from(expit(np.stack([before, after])))
    found = influence(votes, 2, tables, said)
    assert found.effect[0] == pytest.approx(0.7)
    np.testing.assert_allclose(found.of_statement, 0.7)
    np.testing.assert_allclose(found.listening[2:], 0.7)
    assert np.isnan(found.effect[1:]).all()


def test_failed_statements_move_nobody() -> None:
    votes, said = discussion(np.random.default_rng(4), np.full(CITIZENS, 0.3))
    lost = [s._replace(state=FAILED, side=None, text="") for s in said]
    with pytest.raises(DataError, match="statements could be used"):
        influence(votes, PAIRS, TABLES, lost)


def test_planted_persuader_in_a_held_assembly(world_of, tmp_path) -> None:
    """Through prompts, digest and ledger: one voice counts five times as much as any other."""
    world = world_of(citizens=18, outcomes=14, pairs=60)
    backend = world.backend()
    loud = 7

    def lead(conversation):
        text = conversation[-1].content
        a, b = re.findall(r"Option [AB]: (.*)", text)[-2:]
        mine = backend.utilities[conversation[0].content]
        heard = re.findall(r"^For ([AB]): .* citizen number (\d+)", text, re.MULTILINE)
        push = sum((1 if x == "A" else -1) * (1.0 if int(n) == loud else 0.2) for x, n in heard)
        return mine[a] - mine[b] + push

    backend._lead = lead
    settings = AssemblySettings(table_size=6, block=20)
    votes = world.hold(backend, tmp_path, settings)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        said = ledger.transcript()
    tables = seat(18, 60, settings, 3).table_of()
    found = influence(votes, 60, tables, said)
    assert found.ranked[0] == loud
    assert found.effect[loud] == pytest.approx(1.0, abs=0.3)
