"""Tasks under leases: each is worked at, also when its worker is killed or stops."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from support.chores import buggy, noted, refusing, squared

from plenary.errors import BackendError, DataError
from plenary.executors.base import Here, mapped
from plenary.executors.processes import LeaseQueue, Processes


def test_a_task_is_one_workers_until_its_lease_runs_out(tmp_path: Path) -> None:
    queue = LeaseQueue.fill(tmp_path / "queue", [b"a", b"b"])
    assert queue.claim(1, lease=60.0) == (0, b"a")
    assert queue.claim(2, lease=0.0) == (1, b"b")
    time.sleep(0.01)
    assert queue.claim(1, lease=60.0) == (1, b"b")
    queue.renew(1, owner=2, lease=0.0)
    assert queue.claim(2, lease=60.0) is None
    queue.release(1)
    assert queue.claim(2, lease=60.0) == (0, b"a")


def test_the_first_to_finish_is_heard_and_taken_once(tmp_path: Path) -> None:
    queue = LeaseQueue.fill(tmp_path / "queue", [b"a", b"b"])
    queue.claim(1, 60.0)
    queue.finish(0, b"first")
    queue.finish(0, b"second")
    assert (queue.take(), queue.take(), queue.open()) == ([(0, b"first")], [], 1)
    queue.stop()
    assert queue.open() == 0


def test_results_come_in_the_order_of_the_tasks() -> None:
    tasks = list(range(9))
    assert mapped(Processes(2), squared, tasks) == mapped(Here(), squared, tasks)


def test_an_error_of_ours_comes_through_as_it_is() -> None:
    with pytest.raises(DataError, match="task 2 is spoilt; leave it out"):
        mapped(Processes(2), refusing, range(4))


def test_a_bug_ends_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BackendError, match="exit code 1"):
        mapped(Processes(1), buggy, [0])
    assert "ZeroDivisionError" in capfd.readouterr().err


def _begun(folder: Path) -> list[tuple[int, int]]:
    path = folder / "begun.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(a), int(b)) for a, b in map(str.split, lines)]


async def _disturbed(executor: Processes, folder: Path, signals: list[int]) -> list[int]:
    """Results where the first workers to begin get a signal each, in the middle of a task.

    Without signals nobody's task ends.
    """
    tasks = [(str(folder), number) for number in range(6)]

    async def collect() -> list[int]:
        return [result async for _, result in executor.each(noted, tasks)]

    running = asyncio.create_task(collect())
    while len({pid for _, pid in _begun(folder)}) < 2 and not running.done():
        await asyncio.sleep(0.01)
    victims = list(dict.fromkeys(pid for _, pid in _begun(folder)))
    for pid, number in zip(victims, signals, strict=False):
        os.kill(pid, number)
    if signals:
        (folder / "go").touch()
    return await running


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_another_takes_over_what_a_killed_or_stopped_worker_held(tmp_path: Path, number) -> None:
    found = asyncio.run(_disturbed(Processes(2, lease=0.5), tmp_path, [number]))
    assert sorted(found) == list(range(6))
    begun = _begun(tmp_path)
    assert {task for task, _ in begun} == set(range(6))
    # On a busy machine the lease of a worker that is well may run out too.
    lost, victim = begun[0]
    assert {worker for task, worker in begun if task == lost} - {victim}


def test_when_all_workers_are_killed_the_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"all 2 workers ended with \d tasks left"):
        asyncio.run(_disturbed(Processes(2), tmp_path, [signal.SIGKILL] * 2))


def test_a_cancelled_run_leaves_no_process(tmp_path: Path) -> None:
    async def cut_short() -> None:
        work = asyncio.create_task(_disturbed(Processes(2), tmp_path, []))
        while not _begun(tmp_path):
            await asyncio.sleep(0.01)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(cut_short())
    for _, pid in _begun(tmp_path):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
