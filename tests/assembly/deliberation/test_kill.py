"""Whole processes killed at random points: nothing recorded is lost, nothing is asked again."""

import json
import multiprocessing
import os
import signal
import sqlite3
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from support.assemblies import Gate
from support.killed_run import hold

from assembly.record.ledger import Ledger
from assembly.record.settings import AssemblySettings

# Every process is a fork of one that has imported the libraries and done nothing else.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([hold.__module__])
CITIZENS, PAIRS = 14, 12
BALLOTS = 3 * 2 * CITIZENS * PAIRS


def start(folder: Path, number: int, durability: str, gate: Gate | None = None) -> BaseProcess:
    process = FORKS.Process(target=hold, args=(folder, number, durability, gate))
    process.start()
    return process


def at_gate(folder: Path, number: int, durability: str, count: int, more: int) -> BaseProcess:
    """A run that has made `count` calls, and makes up to `more` until it is stopped."""
    heard, told = FORKS.Pipe(duplex=False)
    process = start(folder, number, durability, Gate(told, count, more))
    told.close()
    assert heard.recv() >= count  # EOFError if the run ends before
    return process


def ended(process: BaseProcess, seconds: float) -> int | None:
    """How the process ended: 0, an error's code or minus a signal; None while it runs."""
    process.join(seconds)
    return process.exitcode


def calls(folder: Path, number: int) -> list[int]:
    path = folder / f"calls-{number}.txt"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def recorded(folder: Path) -> set[int]:
    """Numbers of the calls whose answers the ledger holds."""
    if not (folder / "ledger.sqlite").exists():
        return set()
    db = sqlite3.connect(folder / "ledger.sqlite")
    found = db.execute("SELECT name FROM sqlite_master WHERE name = 'calls'").fetchall()
    replies = [json.loads(row[0]) for row in db.execute("SELECT reply FROM calls")] if found else []
    db.close()
    return {reply["prompt_tokens"] for reply in replies}


def check_whole(world_of, folder: Path, known: set[int], number: int) -> None:
    """The last run asked nothing twice and ended with the votes of a run that nobody stopped."""
    last = calls(folder, number)
    assert len(set(last)) == len(last)
    assert known.isdisjoint(last)
    assert known | set(last) == recorded(folder)
    with Ledger(folder / "ledger.sqlite") as ledger:
        votes = ledger.votes()
    keys = np.stack([votes.pair, votes.citizen, votes.phase, votes.order])
    assert len(votes) == len(np.unique(keys, axis=1).T) == BALLOTS
    (folder / "straight").mkdir()
    world = world_of(citizens=CITIZENS, pairs=PAIRS)
    settings = AssemblySettings(
        rounds=2, table_size=4, tables_per_group=2, block=3, plenary=True, follow_up=True
    )
    straight = world.hold(world.backend(swing=0.7), folder / "straight", settings)
    assert votes.share_first.tolist() == straight.share_first.tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("durability", "kills"),
    [
        pytest.param("sync", 8, marks=pytest.mark.exhaustive),
        pytest.param("async", 6, marks=pytest.mark.exhaustive),
        ("exit", 6),
    ],
)
def test_twenty_kills_lose_no_vote_and_repeat_no_recorded_call(
    world_of, tmp_path, durability, kills
) -> None:
    rng = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    known: set[int] = set()
    for number in range(kills):
        count = int(rng.integers(1, 100))
        # A kill finds the run anywhere in the work of its next calls.
        process = at_gate(tmp_path, number, durability, count, more=20)
        process.kill()
        assert ended(process, 30) == -signal.SIGKILL
        assert known.isdisjoint(calls(tmp_path, number)), f"a call repeated (kill at {count!r})"
        held = recorded(tmp_path)
        assert known <= held
        known = held
    assert ended(start(tmp_path, 99, durability), 200) == 0
    check_whole(world_of, tmp_path, known, 99)


@pytest.mark.slow
def test_an_interrupt_ends_the_calls_under_way_and_resumes(world_of, tmp_path) -> None:
    process = at_gate(tmp_path, 0, "sync", 250, more=0)
    os.kill(process.pid, signal.SIGINT)
    assert ended(process, 30) == 1
    known = recorded(tmp_path)
    assert known
    assert ended(start(tmp_path, 1, "sync"), 200) == 0
    check_whole(world_of, tmp_path, known, 1)
