"""Whole processes killed at random points: nothing recorded is lost, nothing is asked again."""

import json
import multiprocessing
import os
import signal
import sqlite3
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from support.killed_run import hold

from assembly.ledger import Ledger
from assembly.settings import AssemblySettings

# Every process is a fork of one that has imported the libraries and done nothing else.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([hold.__module__])
CITIZENS, PAIRS = 14, 12
BALLOTS = 3 * 2 * CITIZENS * PAIRS


def start(folder: Path, number: int, durability: str, delay: float) -> BaseProcess:
    process = FORKS.Process(target=hold, args=(folder, number, durability, delay))
    process.start()
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


def reach(process: BaseProcess, folder: Path, number: int, count: int) -> None:
    """Wait until the run has made so many calls."""
    deadline = time.monotonic() + 100
    while len(calls(folder, number)) < count and process.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert process.is_alive(), "the run ended before it was stopped"


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
        rounds=2, table_size=4, hall=2, block=3, plenary=True, follow_up=True
    )
    straight = world.hold(world.backend(swing=0.7), folder / "straight", settings)
    assert votes.share_first.tolist() == straight.share_first.tolist()


@pytest.mark.slow
@pytest.mark.parametrize(("durability", "kills"), [("sync", 8), ("async", 6), ("exit", 6)])
def test_twenty_kills_lose_no_vote_and_repeat_no_recorded_call(
    world_of, tmp_path, durability, kills
) -> None:
    rng = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    known: set[int] = set()
    for number in range(kills):
        count = int(rng.integers(1, 120))
        process = start(tmp_path, number, durability, 0.01)
        reach(process, tmp_path, number, count)
        process.kill()
        assert ended(process, 30) == -signal.SIGKILL
        assert known.isdisjoint(calls(tmp_path, number)), f"a call repeated (kill at {count!r})"
        held = recorded(tmp_path)
        assert known <= held
        known = held
    assert ended(start(tmp_path, 99, durability, 0.0), 200) == 0
    check_whole(world_of, tmp_path, known, 99)


@pytest.mark.slow
def test_an_interrupt_ends_within_two_seconds_and_a_call_and_resumes(world_of, tmp_path) -> None:
    delay = 2.0
    process = start(tmp_path, 0, "sync", delay)
    reach(process, tmp_path, 0, 250)
    os.kill(process.pid, signal.SIGINT)
    begun = time.monotonic()
    assert ended(process, 30) == 1
    assert time.monotonic() - begun < 2 + delay
    known = recorded(tmp_path)
    assert known
    assert ended(start(tmp_path, 1, "sync", 0.0), 200) == 0
    check_whole(world_of, tmp_path, known, 1)
