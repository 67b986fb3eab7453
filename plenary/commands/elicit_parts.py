"""Large elicitations outside a run: asked in parts, kept as files, resumed, and merged at the end.

A finished part is not asked again; a part that was under way when the command was killed is asked
from its start. Workers hold one part each in memory, and the merged table is written part by part,
so memory does not grow with the number of pairs.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evaluation.elicitation.answer_table import AnswerTable, answer_table
from evaluation.elicitation.elicit import Elicitation, elicit
from plenary.errors import BackendError, BudgetExceeded, ConfigError
from plenary.executors.base import Executor
from plenary.models.base import ChatBackend
from plenary.models.registry import open_backend
from plenary.models.wrappers.budget import Counts
from plenary.models.wrappers.cache import CachedBackend, SqliteStore
from plenary.outcomes import Outcome
from plenary.preferences import BoolArray, FloatArray, IntArray
from plenary.prompt_templates import prompt_template
from plenary.runs.config import PipelineConfig
from plenary.runs.directory import locked
from plenary.runs.files import staged
from plenary.runs.fingerprint import module_hash
from plenary.runs.models import spec_hash
from plenary.runs.workers import config_of_worker, models_of_worker, share_of_budget

PART = 2048
MERGED = "answers.parquet"


class PartAnswers(NamedTuple):
    """What a worker returns: answers, the model's name, and the counts of its calls."""

    answers: Elicitation
    source: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class AskPart:
    """Elicits one part in a worker. Whether a template is usable is decided later, over all parts.

    start: the first pair of all; its part stops after a few questions if the answers are unusable.
    """

    spec: str
    config: str
    budget: str
    texts: tuple[str, ...]
    store: Path | None
    start: tuple[int, int]

    def __call__(self, pairs: IntArray) -> PartAnswers:
        """Ask the pairs [P, 2] of a part."""
        config, models = models_of_worker(self.config, ((self.spec, self.budget),))
        model = models[self.spec]
        before = replace(model.counts)
        settings = config.elicitation.model_copy(update={"max_unusable": 1.0})
        first = tuple(pairs[0].tolist()) == self.start
        early = config.elicitation.max_unusable if first else None
        with ExitStack() as stack:
            backend: ChatBackend = model
            # An endpoint may be stopped within a part, and its answers so far were paid for.
            if model.metered and self.store is not None:
                store = stack.enter_context(SqliteStore(self.store))
                backend = CachedBackend(model, store)
            answers = asyncio.run(
                elicit(backend, self.texts, pairs, settings, seed=config.seed, early=early)
            )
        return PartAnswers(answers, model.name, model.counts.since(before))


class Parts:
    """A folder of answers to pairs [P, 2], `size` pairs per part.

    key: hash of everything that an answer depends on; parts with another key are refused.
    """

    def __init__(self, folder: Path, pairs: IntArray, key: str, size: int) -> None:
        self._folder, self._pairs, self._key, self._size = folder, pairs, key, size
        self._source: str | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def store(self) -> Path:
        """The cache of answers for parts under way."""
        return self._folder / "calls.sqlite"

    def __len__(self) -> int:
        return -(-len(self._pairs) // self._size)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.parquet"

    def missing(self) -> list[int]:
        """Numbers of the parts still to be asked; ConfigError if the folder holds other answers."""
        for path in sorted(self._folder.glob("*.parquet")):
            self._check(path, AnswerTable.read(path))
        return [number for number in range(len(self)) if not self._path(number).exists()]

    def _check(self, path: Path, table: AnswerTable) -> None:
        origin = table.origin
        self._source = self._source or origin.source
        if (origin.settings, origin.source) != ({"part_of": self._key}, self._source):
            raise ConfigError(
                f"{str(path)!r} holds answers of {origin.source!r} to other questions (model, "
                "outcomes, pairs, settings, seed or plenary's code differ); give another --answers "
                "or remove them"
            )

    def pairs(self, number: int) -> IntArray:
        """The pairs of a part."""
        return self._pairs[number * self._size : (number + 1) * self._size]

    def keep(self, number: int, asked: PartAnswers, seed: int) -> None:
        """Write a part, whole or not at all; BackendError if none of its answers is valid."""
        table = answer_table(asked.answers, (), asked.source, {"part_of": self._key}, seed)
        path = self._path(number)
        self._check(path, table)
        if not table.usable.any():
            raise BackendError(
                f"{asked.source!r} gave no usable answer to any of the {len(table.cells)} "
                f"questions of part {number}; check that it answers; the part will be asked again"
            )
        with staged(path) as temporary:
            table.write(temporary)

    def read(self) -> Iterator[AnswerTable]:
        """All parts in order, one at a time."""
        return (AnswerTable.read(self._path(number)) for number in range(len(self)))

    def of_template(self, template: int, *, excluded: bool) -> Iterator[AnswerTable]:
        """The cells of one template in order, one part at a time; all marked excluded, if so."""
        for table in self.read():
            part = table.select(table.template == template)
            yield replace(part, excluded=part.excluded | excluded)


class Totals(NamedTuple):
    """Sums over all parts: cells and unusable cells per template [F], and totals over all cells."""

    cells: FloatArray
    unusable: FloatArray
    trials: float
    undecided: float
    invalid: float
    mass: float
    massed: float

    @classmethod
    def of(cls, tables: Iterator[AnswerTable], templates: int) -> Totals:
        """Add up tables."""
        rows = np.array([_figures(table, templates) for table in tables]).sum(axis=0)
        cells, unusable, rest = np.split(rows, [templates, 2 * templates])
        return cls(cells, unusable, *map(float, rest))


def _figures(table: AnswerTable, templates: int) -> list[float]:
    """What one table adds to the totals, in the order of the fields."""
    mass = table.cells.mass[~np.isnan(table.cells.mass)]
    return [
        *np.bincount(table.template, minlength=templates),
        *np.bincount(table.template[~table.usable], minlength=templates),
        table.cells.trials.sum(),
        table.cells.undecided.sum(),
        table.cells.invalid.sum(),
        mass.sum(),
        len(mass),
    ]


class Gathered(NamedTuple):
    """The merged answers of a complete folder of parts, and the calls made for them."""

    table: Path
    source: str
    totals: Totals
    parts: int
    asked_now: int
    calls: int
    excluded_templates: tuple[str, ...]
    cut_share: float


def gather(
    folder: Path,
    pairs: IntArray,
    outcomes: tuple[Outcome, ...],
    config: PipelineConfig,
    settings: dict[str, str],
    executor: Executor,
    size: int = PART,
) -> Gathered:
    """Ask the pairs [P, 2] without an answer so far, then write all answers as one table.

    ConfigError for orders "balanced", whose pilot needs all pairs at once.
    """
    if config.elicitation.orders != "both":
        raise ConfigError(
            f"elicitation.orders is {config.elicitation.orders!r}, but parts are asked "
            "separately; use "
            "elicitation.orders=both, or answers in one file"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        key = _key(pairs, outcomes, config, settings, size)
        parts = Parts(folder / "parts", pairs, key, size)
        open_ = parts.missing()
        counts = asyncio.run(_ask(parts, open_, outcomes, config, executor)) if open_ else Counts()
        first = next(parts.read())
        totals = Totals.of(parts.read(), len(config.elicitation.templates))
        lost = _lost(totals, first.origin.source, config)
        origin = first.origin.model_copy(update={"outcomes": outcomes, "settings": settings})
        with staged(folder / MERGED) as temporary:
            ordered = (parts.of_template(k, excluded=bool(gone)) for k, gone in enumerate(lost))
            AnswerTable.write_parts(chain.from_iterable(ordered), origin, temporary)
    names = tuple(name for name, gone in zip(origin.templates, lost, strict=True) if gone)
    return Gathered(
        folder / MERGED,
        origin.source,
        totals,
        len(parts),
        len(open_),
        counts.calls,
        names,
        counts.cut_share,
    )


def _key(
    pairs: IntArray,
    outcomes: tuple[Outcome, ...],
    config: PipelineConfig,
    settings: dict[str, str],
    size: int,
) -> str:
    """Hash of the questions, without what is decided over all parts."""
    kept = {name: text for name, text in settings.items() if name != "max_unusable"}
    asked = [
        [config.model, spec_hash(config.model), config.base_url, config.seed, size, kept],
        module_hash(elicit.__module__, open_backend.__module__),
        [outcome.text for outcome in outcomes],
        [prompt_template(name).text_hash for name in config.elicitation.templates],
    ]
    digest = hashlib.blake2b(json.dumps(asked, sort_keys=True).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pairs, dtype=np.int64).tobytes())
    return digest.hexdigest()


async def _ask(
    parts: Parts,
    open_: list[int],
    outcomes: tuple[Outcome, ...],
    config: PipelineConfig,
    executor: Executor,
) -> Counts:
    """Have workers ask the missing parts, and keep each as it arrives; returns the calls."""
    workers, counts = min(executor.workers, len(open_)), Counts()
    share = share_of_budget(config.budget, counts, None, workers)
    if share is None:
        raise BudgetExceeded(
            f"the budget {config.budget.model_dump(exclude_none=True)!r} leaves nothing for each "
            f"of {workers} workers; raise it or use fewer --workers"
        )
    texts = tuple(outcome.text for outcome in outcomes)
    text = config_of_worker(config, workers)
    store = parts.store if executor.one_machine else None
    a, b = parts.pairs(0)[0].tolist()
    work = AskPart(config.model, text, share.model_dump_json(), texts, store, (a, b))
    tasks = [parts.pairs(number) for number in open_]
    async with aclosing(executor.each(work, tasks)) as every:
        done = len(parts) - len(open_)
        async for place, asked in every:
            parts.keep(open_[place], asked, config.seed)
            counts.merge(asked.counts)
            done += 1
            print(f"part {done} of {len(parts)}", file=sys.stderr)
    return counts


def _lost(totals: Totals, source: str, config: PipelineConfig) -> BoolArray:
    """Which templates [F] are excluded entirely; BackendError if none is left."""
    shares = totals.unusable / totals.cells
    lost = shares > config.elicitation.max_unusable
    if lost.all():
        raise BackendError(
            f"{source!r} gave no usable answer to {shares.min():.0%} of the questions; check the "
            "model, or raise elicitation.max_unusable (the answers are kept)"
        )
    return lost
