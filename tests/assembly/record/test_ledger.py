import json
import math
import sqlite3
from dataclasses import asdict

import pytest
from support.effort import calls_made

from assembly.record.ballots import FAILED, VALID, VoteRow, Votes
from assembly.record.ledger import BallotCalls, Declaration, Ledger, Spoken
from plenary.commands.show import describe
from plenary.errors import ConfigError, DataError
from plenary.models.base import Choice, no_choice

CALL = "0f" * 16


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


def test_a_recorded_reply_stays_as_it_was(path) -> None:
    with Ledger(path) as ledger:
        ledger.put_many({"k1": '{"a": 1}', "k2": '"x"'})
        ledger.put_many({"k1": "changed", "k3": "3"})
    with Ledger(path) as ledger:
        assert ledger.get_many(["k1", "k3", "none"]) == {"k1": '{"a": 1}', "k3": "3"}
        assert ledger.get_many([]) == {}


def test_more_keys_than_sqlite_takes_variables(path) -> None:
    with Ledger(path) as ledger:
        ledger.put_many({f"k{n}": str(n) for n in range(40_000)})
        assert len(ledger.get_many([f"k{n}" for n in range(40_000)])) == 40_000


def test_a_vote_counts_once(path) -> None:
    row = VoteRow(0, 1, 0, 1, 0.25, VALID, 0.9)
    with Ledger(path) as ledger:
        ledger.add_votes(Votes.of([row, row]), [CALL, CALL])
        ledger.add_votes(
            Votes.of(
                [row._replace(share_first=0.75), VoteRow(0, 0, 0, 0, math.nan, FAILED, math.nan)]
            ),
            ["aa" * 16, "bb" * 16],
        )
        votes = ledger.votes()
        assert votes.citizen.tolist() == [0, 1]
        assert math.isnan(votes.share_first[0])
        assert votes.share_first[1] == 0.25
        assert ledger.vote_count() == len(votes)
        assert ledger.votes_held([0], [0, 1]) == 2
        assert ledger.votes_held([0, 5], [1]) == 1
        behind, none = ledger.ballot_calls(2)
        assert behind.keys == (CALL, "bb" * 16)
        assert none.keys == ()
        assert behind.digest != BallotCalls((CALL,)).digest


def test_the_share_of_ballot_answers_that_were_cut_short(path) -> None:
    told = 'unreadable: "cut": 5'
    some, none = Choice((1.0, 0.0), None, 10, 8, "x", cut=2), Choice((), None, 10, 0, told)
    calls = {"aa" * 16: some, "bb" * 16: none, "cc" * 16: no_choice(10, "cut short: more room")}
    rows = [VoteRow(0, citizen, 0, 0, math.nan, FAILED, math.nan) for citizen in range(4)]
    with Ledger(path) as ledger:
        assert ledger.cut_share() == 0
        ledger.add_votes(Votes.of(rows), ["aa" * 16, "bb" * 16, "bb" * 16, CALL])
        ledger.put_many({key: json.dumps(asdict(choice)) for key, choice in calls.items()})
        assert ledger.cut_share() == pytest.approx(0.2 / 4)
    told = dict(describe(path).rows)
    assert told["calls with answers cut short"] == "2"


def test_the_fingerprint_binds(path) -> None:
    with Ledger(path) as ledger:
        ledger.claim("one")
        ledger.claim("one")
    with Ledger(path) as ledger, pytest.raises(ConfigError, match=r"'one', not 'two'; restore"):
        ledger.claim("two")


def test_what_was_spoken_is_read_by_table_block_and_round(path) -> None:
    with Ledger(path) as ledger:
        ledger.add_statements(
            [
                Spoken(0, 0, 1, 0, 4, 1, VALID, "Later."),
                Spoken(0, 0, 0, 2, 4, 0, VALID, "Earlier."),
                Spoken(0, 0, 0, 3, 5, 0, FAILED, ""),
                Spoken(0, 1, 0, 3, 6, 0, VALID, "Elsewhere."),
            ]
        )
        heard = ledger.spoken(range(1), range(2), 2)
        assert [s.text for s in heard if s.state == VALID] == ["Earlier.", "Later."]
        assert [s.text for s in ledger.spoken(range(1), range(1), 1)] == ["Earlier.", ""]
        assert ledger.spoken(range(1), range(1), 0) == []
        assert ledger.spoken(range(1), range(1, 2), 2) == []
        assert ledger.spoken(range(2), range(1), 1)[-1].text == "Elsewhere."
        assert len(ledger.transcript()) == 4


@pytest.mark.parametrize(
    ("order", "share", "state", "side"),
    [(0, 0.8, VALID, 0), (1, 0.8, VALID, 1), (1, 0.2, VALID, 0), (0, None, FAILED, None)],
)
def test_a_declared_side_is_an_outcome(path, order, share, state, side) -> None:
    with Ledger(path) as ledger:
        ledger.add_declarations([Declaration(0, 0, 0, 0, 1, order, share, state)])
        (declared,) = ledger.declarations(range(1), 0, range(1))
    assert declared.side == side


def test_another_file_is_refused(path) -> None:
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(DataError, match="cannot open ledger"):
        Ledger(path)


def test_another_version_is_refused(path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(DataError, match="version 99"):
        Ledger(path)


def test_rows_are_written_in_bulk(path) -> None:
    rows = [VoteRow(n, c, 0, 0, 0.5, VALID, 1.0) for n in range(200) for c in range(100)]
    votes = Votes.of(rows)
    with Ledger(path) as ledger:
        calls = calls_made(lambda: ledger.add_votes(votes, [CALL] * len(votes)))
    assert calls / len(votes) < 5
