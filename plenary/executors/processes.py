"""Worker processes on one machine, which take tasks by leases in a SQLite file.

A worker claims a task for a few seconds and renews the lease while it works. If it dies or stops,
the lease is released or expires, and another worker takes over the task. So a task may be run
twice, and whatever it records must have a key, as in the ledger.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from plenary.errors import BackendError
from plenary.executors.base import Result, Task, TaskOutcome, attempt

LEASE, BEAT, PAUSE = 10.0, 1.0, 0.05
_SCHEMA = """
CREATE TABLE tasks (number INTEGER PRIMARY KEY, task BLOB NOT NULL, owner INTEGER,
    until REAL NOT NULL DEFAULT 0, outcome BLOB, taken INTEGER NOT NULL DEFAULT 0);
"""


class TaskLease(NamedTuple):
    """A task that belongs to one worker until the lease expires."""

    number: int
    task: bytes


class LeaseQueue:
    """An open queue; every process and thread opens its own.

    Times are from the machine's monotonic clock, which cannot be set.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=30.0, isolation_level=None)

    @classmethod
    def fill(cls, path: Path, tasks: Sequence[bytes]) -> LeaseQueue:
        """A new queue that holds `tasks`."""
        queue = cls(path)
        queue._db.executescript(f"PRAGMA journal_mode=WAL;{_SCHEMA}")
        queue._db.executemany("INSERT INTO tasks (number, task) VALUES (?, ?)", enumerate(tasks))
        return queue

    def claim(self, owner: int, lease: float) -> TaskLease | None:
        """The first open task without a lease; None if there is none."""
        now = time.monotonic()
        rows = self._db.execute(
            "UPDATE tasks SET owner = ?, until = ? WHERE number = (SELECT number FROM tasks "
            "WHERE outcome IS NULL AND until < ? ORDER BY number LIMIT 1) RETURNING number, task",
            (owner, now + lease, now),
        ).fetchall()
        return TaskLease(*rows[0]) if rows else None

    def renew(self, number: int, owner: int, lease: float) -> None:
        """Extend a lease, unless another worker has taken over the task."""
        self._db.execute(
            "UPDATE tasks SET until = ? WHERE number = ? AND owner = ?",
            (time.monotonic() + lease, number, owner),
        )

    def finish(self, number: int, outcome: bytes) -> None:
        """Store the outcome of a task; only the first one counts."""
        self._db.execute(
            "UPDATE tasks SET outcome = ? WHERE number = ? AND outcome IS NULL", (outcome, number)
        )

    def release(self, owner: int) -> None:
        """Release the leases of a dead worker."""
        self._db.execute("UPDATE tasks SET until = 0 WHERE owner = ?", (owner,))

    def stop(self) -> None:
        """Remove open tasks that no worker is running."""
        now = time.monotonic()
        self._db.execute("DELETE FROM tasks WHERE outcome IS NULL AND until < ?", (now,))

    def open(self) -> int:
        """Number of tasks not finished."""
        query = "SELECT count(*) FROM tasks WHERE outcome IS NULL"
        return self._db.execute(query).fetchall()[0][0]

    def take(self) -> list[tuple[int, bytes]]:
        """Outcomes finished since the last call, in the order of the tasks."""
        rows = self._db.execute(
            "UPDATE tasks SET taken = 1 WHERE outcome IS NOT NULL AND taken = 0 "
            "RETURNING number, outcome"
        ).fetchall()
        return sorted(rows)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def work_off(path: Path, work: bytes, parent: int, lease: float) -> None:
    """The loop of a worker process: claim tasks and run them until none is open."""
    # Ctrl-C reaches the whole process group; only the parent decides what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    function: Callable[[object], object] = pickle.loads(work)
    queue, me = LeaseQueue(path), os.getpid()
    while os.getppid() == parent and queue.open():
        claim = queue.claim(me, lease)
        if claim is None:
            time.sleep(PAUSE)
            continue
        with _renewing(path, claim.number, parent, lease):
            outcome = attempt(function, pickle.loads(claim.task))
        queue.finish(claim.number, pickle.dumps(outcome))
    queue.close()


@contextmanager
def _renewing(path: Path, number: int, parent: int, lease: float) -> Iterator[None]:
    """Renew a lease from a separate thread while the block runs."""
    done = threading.Event()
    owner = os.getpid()

    def beat() -> None:
        queue = LeaseQueue(path)
        while not done.wait(min(BEAT, lease / 4)):
            if os.getppid() != parent:
                os._exit(1)  # nobody is left to report to; the ledger holds what was recorded
            queue.renew(number, owner, lease)
        queue.close()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class Processes:
    """Runs tasks in `workers` processes on this machine."""

    one_machine = True

    def __init__(self, workers: int, lease: float = LEASE) -> None:
        self.workers, self._lease = workers, lease

    async def each(
        self, work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> AsyncGenerator[tuple[int, Result], None]:
        """Results with the positions of their tasks, as they come."""
        with tempfile.TemporaryDirectory(prefix="plenary-") as folder:
            path = Path(folder) / "queue.sqlite"
            queue = LeaseQueue.fill(path, [pickle.dumps(task) for task in tasks])
            crew = self._crew(path, pickle.dumps(work), len(tasks))
            try:
                async for number, outcome in _outcomes(queue, crew):
                    yield number, outcome
            finally:
                for worker in crew:
                    worker.kill()
                    worker.join()
                queue.close()

    def _crew(self, path: Path, work: bytes, tasks: int) -> Sequence[BaseProcess]:
        # Forking a process that runs threads (torch, the model's batching) may deadlock.
        context = multiprocessing.get_context("spawn")
        arguments = (path, work, os.getpid(), self._lease)
        crew = [
            context.Process(target=work_off, args=arguments, daemon=True)
            for _ in range(min(self.workers, tasks))
        ]
        with _threads(self.workers):
            for worker in crew:
                worker.start()
        return crew


async def _outcomes(
    queue: LeaseQueue, crew: Sequence[BaseProcess]
) -> AsyncGenerator[tuple[int, Any], None]:
    """Results as they finish; after a failure, running tasks end and the error is raised."""
    failed: TaskOutcome | None = None
    going = True
    while going:
        going = queue.open() > 0 and _alive(queue, crew)
        for number, raw in queue.take():
            outcome: TaskOutcome = pickle.loads(raw)
            if outcome.error is None:
                yield number, outcome.result
            else:
                failed = failed or outcome
                queue.stop()
        if going:
            await asyncio.sleep(PAUSE)
    if failed is not None and failed.error is not None:
        raise failed.error
    if left := queue.open():
        raise BackendError(
            f"all {len(crew)} workers ended with {left} tasks left; what was recorded is kept, "
            "continue with --exists resume"
        )


def _alive(queue: LeaseQueue, crew: Sequence[BaseProcess]) -> bool:
    """Whether any worker is alive; releases leases of dead ones. Raises a bug in a worker."""
    for worker in crew:
        if not worker.is_alive() and worker.pid is not None:
            queue.release(worker.pid)
            if (worker.exitcode or 0) > 0:
                raise BackendError(
                    f"a worker ended with exit code {worker.exitcode!r}; its traceback is "
                    "above; report it as a bug"
                )
    return any(worker.is_alive() for worker in crew)


@contextmanager
def _threads(workers: int) -> Iterator[None]:
    """Workers started in the block share the cores instead of each using all of them."""
    name = "OMP_NUM_THREADS"
    kept = os.environ.get(name)
    os.environ.setdefault(name, str(max(1, (os.cpu_count() or 1) // workers)))
    try:
        yield
    finally:
        if kept is None:
            del os.environ[name]
