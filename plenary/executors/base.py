"""The executor interface, and the executor that runs every task in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple, Protocol, TypeVar

from plenary.errors import PlenaryError

Task = TypeVar("Task")
Result = TypeVar("Result")


class Executor(Protocol):
    """Runs tasks with a number of workers.

    one_machine: all workers see this machine's files. If a worker dies, another repeats its task,
    so whatever a task records must have a key. Functions, tasks and results are pickled.
    """

    one_machine: bool
    workers: int

    def each(
        self, work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> AsyncGenerator[tuple[int, Result], None]:
        """Results with the positions of their tasks, as they come; raises a failed task's error."""
        ...


class TaskOutcome(NamedTuple):
    """The outcome of a task: a result, or one of plenary's errors."""

    result: Any
    error: PlenaryError | None


def attempt(work: Callable[[Task], Result], task: Task) -> TaskOutcome:
    """Run a task; only plenary's errors are passed on, any other is a bug and ends the worker."""
    try:
        return TaskOutcome(work(task), None)
    except PlenaryError as error:
        return TaskOutcome(None, error)


class Here:
    """Runs tasks one after another in this process."""

    one_machine = True
    workers = 1

    async def each(
        self, work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> AsyncGenerator[tuple[int, Result], None]:
        """Results in order."""
        for number, task in enumerate(tasks):
            yield number, await asyncio.to_thread(work, task)


HERE = Here()


async def in_order(
    executor: Executor, work: Callable[[Task], Result], tasks: Sequence[Task]
) -> list[Result]:
    """All results, in the order of the tasks."""
    found: dict[int, Result] = {}
    async with aclosing(executor.each(work, tasks)) as every:
        async for number, result in every:
            found[number] = result
    return [found[number] for number in range(len(tasks))]


def mapped(
    executor: Executor, work: Callable[[Task], Result], tasks: Sequence[Task]
) -> list[Result]:
    """`map` over an executor, for functions that take one."""
    return asyncio.run(in_order(executor, work, tasks))
