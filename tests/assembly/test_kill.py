"""Whole processes killed at random points: nothing recorded is lost, nothing is asked again."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from assembly.ledger import Ledger
from assembly.settings import AssemblySettings

ROOT = Path(__file__).parents[2]
CITIZENS, PAIRS = 14, 12
BALLOTS = 3 * 2 * CITIZENS * PAIRS


def start(folder: Path, number: int, durability: str, delay: float) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("killed_run.py")
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), str(number), durability, str(delay)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )


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


def reach(process: subprocess.Popen[bytes], folder: Path, number: int, count: int) -> None:
    """Wait until the run has made so many calls."""
    deadline = time.monotonic() + 100
    while len(calls(folder, number)) < count and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert process.poll() is None, "the run ended before it was stopped"


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
        assert process.wait(timeout=30) == -signal.SIGKILL
        assert known.isdisjoint(calls(tmp_path, number)), f"a call repeated (kill at {count!r})"
        held = recorded(tmp_path)
        assert known <= held
        known = held
    assert start(tmp_path, 99, durability, 0.0).wait(timeout=200) == 0
    check_whole(world_of, tmp_path, known, 99)


@pytest.mark.slow
def test_an_interrupt_ends_within_two_seconds_and_a_call_and_resumes(world_of, tmp_path) -> None:
    delay = 2.0
    process = start(tmp_path, 0, "sync", delay)
    reach(process, tmp_path, 0, 250)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    assert process.wait(timeout=30) != 0
    assert time.monotonic() - begun < 2 + delay
    known = recorded(tmp_path)
    assert known
    assert start(tmp_path, 1, "sync", 0.0).wait(timeout=200) == 0
    check_whole(world_of, tmp_path, known, 1)
