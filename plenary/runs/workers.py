"""Sharing work among executors: shards of an assembly and blocks of questions.

Each worker opens its own models once. Rate limits and budgets are divided equally, so that all
workers together keep within them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from assembly.deliberation.seating import Shard
from assembly.deliberation.shards import Agenda, RemoteRunner, ShardResult, hold_shard
from assembly.record.ledger import Ledger
from plenary.errors import BudgetExceeded, ConfigError
from plenary.executors.base import Executor, Here, in_order
from plenary.executors.processes import Processes
from plenary.executors.ray import OnRay
from plenary.models.base import ChatBackend, Conversation
from plenary.models.wrappers.base import Answer, BackendWrapper, ModelRequest
from plenary.models.wrappers.budget import BudgetedBackend, Counts
from plenary.runs.config import BudgetSettings, PipelineConfig
from plenary.runs.models import budgeted, open_model, open_plain, seat_models

Block = tuple[Sequence[Conversation], ModelRequest[Answer]]
EXECUTORS: dict[str, Callable[[int], Executor]] = {
    "local": lambda workers: Here(),
    "processes": Processes,
    "ray": OnRay,
}
LEAST_SPREAD = 1024
BLOCK = range(64, 2001)
BLOCKS_A_WORKER = 4


def make_executor(name: str, workers: int | None, config: PipelineConfig) -> Executor:
    """The named executor with `workers` workers, by default one per core of this machine."""
    if name not in EXECUTORS:
        raise ConfigError(f"unknown --executor {name!r}; use one of {', '.join(EXECUTORS)}")
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers is {workers!r}; give 1 or more")
    executor = EXECUTORS[name](workers or len(os.sched_getaffinity(0)))
    limits = config.budget.model_dump(exclude={"prices"}, exclude_none=True)
    if limits and not executor.one_machine:
        raise ConfigError(
            f"budget.{next(iter(limits))} cannot be enforced over several machines; use --executor "
            "processes or remove the budget"
        )
    return executor


def config_of_worker(config: PipelineConfig, workers: int) -> str:
    """The settings as text, with calls per second divided among workers."""
    endpoint = config.chat.endpoint
    if endpoint.calls_per_second is not None:
        share = endpoint.calls_per_second / workers
        endpoint = endpoint.model_copy(update={"calls_per_second": share})
    chat = config.chat.model_copy(update={"endpoint": endpoint})
    return config.model_copy(update={"chat": chat}).model_dump_json()


def share_of_budget(
    budget: BudgetSettings, spent: Counts, cost: float | None, workers: int
) -> BudgetSettings | None:
    """What each worker may spend: an equal part of what is left, None if nothing is left.

    The limit in seconds is the same for all.
    """
    left = {
        "calls": budget.calls and (budget.calls - spent.calls) // workers,
        "tokens": budget.tokens and (budget.tokens - spent.tokens) // workers,
        "money": budget.money and (budget.money - (cost or 0.0)) / workers,
    }
    if any(value is not None and value <= 0 for value in left.values()):
        return None
    return budget.model_copy(update=left)


@lru_cache(maxsize=1)
def models_of_worker(
    config: str, budgets: tuple[tuple[str, str], ...]
) -> tuple[PipelineConfig, dict[str, BudgetedBackend]]:
    """The models of a worker process, open as long as it lives."""
    settings = PipelineConfig.model_validate_json(config)
    models = {
        spec: open_model(spec, settings, BudgetSettings.model_validate_json(budget))
        for spec, budget in budgets
    }
    return settings, models


class WorkerResult(NamedTuple):
    """A shard that a worker held, or None if its budget did not suffice; calls counted by model.

    notes: what each model's endpoint refuses.
    """

    held: ShardResult | None
    spent: dict[str, Counts]
    notes: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class HoldShard:
    """Holds shards in a worker, in the shared ledger or, if there is none, in its own."""

    agenda: Agenda
    config: str
    budgets: tuple[tuple[str, str], ...]
    persona_texts: tuple[str, ...]
    ledger: Path | str | None

    def __call__(self, shard: Shard) -> WorkerResult:
        """Hold one shard."""
        config, models = models_of_worker(self.config, self.budgets)
        before = {spec: replace(model.counts) for spec, model in models.items()}
        backend = seat_models(config, models, [self.persona_texts])
        held = None
        with (
            Ledger(self.ledger or Path(":memory:"), check=False) as ledger,
            suppress(BudgetExceeded),
        ):
            held = hold_shard(self.agenda, backend, ledger, shard)
            if self.ledger is None:
                held = held._replace(content=ledger.content())
        return WorkerResult(
            held,
            {spec: model.counts.since(before[spec]) for spec, model in models.items()},
            {spec: model.notes for spec, model in models.items()},
        )


def remote_runner(
    executor: Executor,
    config: PipelineConfig,
    models: Mapping[str, BudgetedBackend],
    persona_texts: tuple[str, ...],
    ledger: Path | str,
) -> RemoteRunner | None:
    """How workers hold shards; None if this process does it.

    The workers' calls are counted in `models`; shards beyond their budget are left to the caller. A
    ledger in a file is shared only on one machine.
    """
    if isinstance(executor, Here):
        return None

    async def hold(agenda: Agenda, shards: Sequence[Shard]) -> AsyncGenerator[ShardResult, None]:
        workers = min(executor.workers, len(shards)) or 1
        shares = {spec: _share(config.budget, model, workers) for spec, model in models.items()}
        if None in shares.values():
            return
        budgets = tuple((spec, share.model_dump_json()) for spec, share in shares.items() if share)
        shared = executor.one_machine or isinstance(ledger, str)
        text = config_of_worker(config, workers)
        place = ledger if shared else None
        work = HoldShard(agenda, text, budgets, persona_texts, place)
        async with aclosing(executor.each(work, shards)) as every:
            async for _, (held, spent, notes) in every:
                for spec, counts in spent.items():
                    models[spec].counts.merge(counts)
                    models[spec].learn(notes[spec])
                if held is not None:
                    yield held

    return hold


def _share(budget: BudgetSettings, model: BudgetedBackend, workers: int) -> BudgetSettings | None:
    """What each worker may ask of a model, while its time limit keeps running."""
    model.meter.start()
    if budget.seconds is not None:
        left = max(budget.seconds - model.meter.elapsed, 1e-9)
        budget = budget.model_copy(update={"seconds": left})
    return share_of_budget(budget, model.counts, model.cost, workers)


@lru_cache(maxsize=2)
def _plain(spec: str, config: str, adapter: Path | None) -> ChatBackend:
    return open_plain(spec, PipelineConfig.model_validate_json(config), adapter)


@dataclass(frozen=True, slots=True)
class AskBlock:
    """Puts blocks of questions to a model in a worker."""

    spec: str
    config: str
    adapter: Path | None

    def __call__(self, block: Block[Answer]) -> list[Answer]:
        """Ask one block."""
        conversations, call = block
        return asyncio.run(call.of(_plain(self.spec, self.config, self.adapter), conversations))


class DistributedBackend(BackendWrapper):
    """A model whose batches of at least `least` questions are answered by workers, in blocks."""

    def __init__(
        self, backend: ChatBackend, executor: Executor, work: AskBlock, least: int = LEAST_SPREAD
    ) -> None:
        super().__init__(backend)
        self._executor, self._work, self._least = executor, work, least

    async def _answers(
        self, conversations: Sequence[Conversation], call: ModelRequest[Answer]
    ) -> list[Answer]:
        count = len(conversations)
        if count < self._least:
            return await call.of(self._backend, conversations)
        size = -(-count // (BLOCKS_A_WORKER * self._executor.workers))
        size = min(max(size, BLOCK.start), BLOCK.stop - 1)
        blocks = [(conversations[start : start + size], call) for start in range(0, count, size)]
        parts = await in_order(self._executor, self._work, blocks)
        return [answer for part in parts for answer in part]


def open_distributed(
    spec: str, config: PipelineConfig, adapter: Path | None, executor: Executor
) -> BudgetedBackend:
    """An open model under the budget; workers answer its large batches unless this process does.

    A local model batches questions differently there, so the last bits of a probability may depend
    on the block size. An endpoint is asked only from this process: a higher
    `chat.endpoint.concurrency` has the same effect as more processes, within one budget.
    """
    backend = open_plain(spec, config, adapter)
    if not isinstance(executor, Here) and not getattr(backend, "metered", False):
        text = config_of_worker(config, executor.workers)
        backend = DistributedBackend(backend, executor, AskBlock(spec, text, adapter))
    return budgeted(backend, spec, config, config.budget)
