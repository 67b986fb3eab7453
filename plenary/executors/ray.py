"""The Ray executor: tasks on every machine of a cluster.

The cluster is the one at RAY_ADDRESS, otherwise one on this machine. Ray repeats a task if its
worker or machine is lost.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from types import ModuleType

from plenary.errors import BackendError, ConfigError
from plenary.executors.base import Result, Task, TaskOutcome, attempt

RETRIES = 5
PAUSE = 0.02


class OnRay:
    """Runs tasks on a Ray cluster, `workers` at a time, with one core each."""

    one_machine = False

    def __init__(self, workers: int) -> None:
        self.workers = workers

    async def each(
        self, work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> AsyncGenerator[tuple[int, Result], None]:
        """Results with the positions of their tasks, as they come."""
        ray = _connected(self.workers)
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(attempt)
        shared, waiting = ray.put(work), deque(enumerate(tasks))
        running: dict[object, int] = {}
        failed: TaskOutcome | None = None
        try:
            while running or (waiting and failed is None):
                while waiting and failed is None and len(running) < self.workers:
                    number, task = waiting.popleft()
                    running[remote.remote(shared, task)] = number
                ready, _ = ray.wait(list(running), timeout=0)
                for reference in ready:
                    number, outcome = running.pop(reference), _result(ray, reference)
                    if outcome.error is None:
                        yield number, outcome.result
                    else:
                        failed = failed or outcome
                if not ready:
                    await asyncio.sleep(PAUSE)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)
        if failed is not None and failed.error is not None:
            raise failed.error


def _result(ray: ModuleType, reference: object) -> TaskOutcome:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        raise BackendError(
            f"a task failed on Ray: {str(error).strip().splitlines()[-1]!r}; what was recorded is "
            "kept; check the cluster and continue with --exists resume"
        ) from error


def _connected(workers: int) -> ModuleType:
    # Imported only if Ray is used, because it is slow.
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise ConfigError(
            "executor 'ray' needs Ray; pip install 'plenary[ray]' or use --executor processes"
        ) from error
    if not ray.is_initialized():
        own = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": workers}
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="warning", **own)
    return ray
