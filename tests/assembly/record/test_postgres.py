"""The ledger on a real PostgreSQL server holds what the file holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.postgres import PASSWORD, Server, binaries, running
from support.work import by, hold

from assembly.record.ballots import FAILED, VALID, VoteRow, Votes
from assembly.record.ledger import Ledger
from assembly.record.postgres import check_address, within
from plenary.errors import BackendError, ConfigError
from plenary.executors.processes import Processes

pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'plenary[postgres]'")
needs_server = pytest.mark.skipif(
    binaries() is None, reason="no PostgreSQL here: apt-get install postgresql"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def place(server: Server, request, monkeypatch: pytest.MonkeyPatch) -> str:
    """A ledger of the test's own."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return within(server.address, f"ledger_{abs(hash(request.node.name))}")


@pytest.mark.slow
@needs_server
def test_an_assembly_leaves_what_it_leaves_in_a_file(place: str, tmp_path: Path) -> None:
    assert hold(tmp_path, None, place) == hold(tmp_path, None)


@needs_server
@pytest.mark.slow
def test_workers_on_several_machines_may_share_it(place: str, tmp_path: Path) -> None:
    found = hold(tmp_path, by(Processes(2), tmp_path / "log", place), place)
    assert found == hold(tmp_path, None)


CALL = "0" * 32


@needs_server
def test_a_row_counts_once_and_is_there_for_the_next(place: str) -> None:
    row = VoteRow(0, 1, 0, 1, 0.25, VALID, 0.9)
    with Ledger(place) as ledger:
        ledger.claim("one")
        failed = VoteRow(0, 0, 0, 0, math.nan, FAILED, math.nan)
        ledger.add_votes(Votes.of([row, row, failed]), [CALL] * 3)
        ledger.put_many({"k": "1", "%s?": "2"})
    with Ledger(place) as ledger:
        ledger.add_votes(Votes.of([row._replace(share_first=0.75)]), [CALL])
        assert ledger.ballot_calls(1)[0].keys == (CALL, CALL)
        assert ledger.votes().share_first[1] == 0.25
        assert ledger.votes_held([0, 5], [0, 1]) == 2
        assert ledger.get_many(["k", "none", "%s?"]) == {"k": "1", "%s?": "2"}
        with pytest.raises(ConfigError, match="'one', not 'two'"):
            ledger.claim("two")


@needs_server
def test_ledgers_of_one_database_do_not_mix(server: Server, place: str) -> None:
    with Ledger(place) as one, Ledger(within(server.address, "another")) as two:
        one.put_many({"k": "1"})
        assert two.get_many(["k"]) == {}


@needs_server
def test_a_server_that_is_not_there_or_refuses_says_so(place: str, monkeypatch) -> None:
    with pytest.raises(BackendError, match="check the server"):
        Ledger(within("postgresql://citizen@127.0.0.1:1/postgres", "none"))
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(BackendError, match="authentication failed") as refused:
        Ledger(place)
    assert "wrong" not in str(refused.value)


@pytest.mark.slow
@needs_server
def test_a_lost_server_is_an_error_of_ours(monkeypatch) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with running() as server, Ledger(within(server.address, "lost")) as ledger:
        ledger.put_many({"k": "1"})
        server.stop_now()
        with pytest.raises(BackendError, match="what was recorded is kept"):
            ledger.get_many(["k"])


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("mysql://host/db", "write postgresql://"),
        ("postgresql://host", "postgresql://host"),
        ("postgresql://me:secret@host/db", "'host' .* set PGPASSWORD"),
        ("postgresql://host/db?password=secret", "PGPASSWORD"),
    ],
)
def test_an_address_that_cannot_be_is_refused(address: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        check_address(address)
    assert "secret" not in str(refused.value)
