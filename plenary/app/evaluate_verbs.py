"""Asking a model the batteries, keeping the results, and showing them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from evaluation.batteries import BATTERIES, batteries_of, check_names, evaluate_model
from evaluation.battery import BatteryResult, Measure
from evaluation.battery_asking import Material, Suite
from plenary.app.config import PipelineConfig
from plenary.app.executor import HERE, Executor
from plenary.app.models import EMBEDDED
from plenary.app.plan import chosen_outcomes
from plenary.app.tasks import open_shared
from plenary.chat.base import ChatBackend, Choice, Conversation, Reply, Sampling
from plenary.chat.cache import CachedBackend, SqliteStore
from plenary.errors import DataError

Record = dict[str, object]
RESULTS = TypeAdapter(list[BatteryResult])


class Request(NamedTuple):
    """Which batteries are asked of which model, and where the results go."""

    config: PipelineConfig
    material: Material
    batteries: tuple[str, ...]
    adapter: Path | None
    out: Path


def request_of(
    config: PipelineConfig, suite: Suite, batteries: Sequence[str], adapter: Path | None, out: Path
) -> Request:
    """The request; all outcomes of the catalogue that the model reads are at hand."""
    check_names(batteries)
    every = config.outcomes.model_copy(update={"count": None})
    catalogue = chosen_outcomes(every, config.seed, embedded_reads=config.model == EMBEDDED)
    material = Material(catalogue, suite, config.elicitation, config.battery)
    return Request(config, material, tuple(batteries) or batteries_of(suite), adapter, out)


def ask(request: Request, executor: Executor = HERE, *, quiet: bool) -> list[BatteryResult]:
    """Ask, and write the results after each battery; recorded calls are not made again."""
    config = request.config
    request.out.parent.mkdir(parents=True, exist_ok=True)
    model = open_shared(config.model, config, request.adapter, executor)
    done: list[BatteryResult] = []

    def keep(found: BatteryResult) -> None:
        done.append(found)
        request.out.write_bytes(RESULTS.dump_json(done, indent=2))
        if not quiet:
            print(f"{found.title}: {found.asked:,} answers", file=sys.stderr)

    with SqliteStore(request.out.with_suffix(".calls.sqlite")) as store:
        backend = CachedBackend(model, store)
        return asyncio.run(
            evaluate_model(backend, request.batteries, request.material, config.seed, keep)
        )


def read_results(path: Path) -> list[BatteryResult]:
    """The results in a file; DataError when it is missing or altered."""
    try:
        return RESULTS.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            f"cannot read results {str(path)!r}: {error}; run plenary evaluate again"
        ) from error


class _Counter(ChatBackend):
    """Answers evenly and counts: what a dry run asks."""

    name = "even"
    supports_seed = True
    exact_choice = True
    asked = 0

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        self.asked += len(conversations)
        return [Reply("") for _ in conversations]

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        self.asked += len(conversations)
        even = tuple(1 / len(labels) for _ in labels)
        return [Choice(even, 1.0, 1, 1) for _ in conversations]


def calls_planned(request: Request) -> Record:
    """Prompts a battery, counted on a chooser that is always even; no model is opened."""
    counts: Record = {}
    for name in request.batteries:
        counter = _Counter()
        asyncio.run(evaluate_model(counter, [name], request.material, request.config.seed))
        counts[BATTERIES[name].title] = counter.asked
    sampled = request.material.elicitation.samples
    note = f"prompts; a backend that only samples answers each {sampled} times"
    return counts | {"model": request.config.model, "note": note}


def tables(results: Sequence[BatteryResult]) -> Iterator[tuple[str, Record]]:
    """Title and rows of each result."""
    for found in results:
        rows: Record = {"answers": f"{found.asked:,}, of which invalid {found.invalid:,}"}
        rows |= {measure.name: told(measure) for measure in found.measures}
        rows |= {f"finding {k}": finding.sentence for k, finding in enumerate(found.findings, 1)}
        yield found.title, rows


def told(measure: Measure) -> str:
    """A measure as text: value, interval, null value, note."""
    if measure.value is None:
        return f"not determined{f' ({measure.note})' if measure.note else ''}"
    text = f"{measure.value:.3g}{f' {measure.unit}' if measure.unit else ''}"
    if measure.low is not None and measure.high is not None:
        text += f" ({measure.low:.3g} to {measure.high:.3g})"
    text += f", n {measure.n:,}"
    if measure.floor is not None:
        text += f"; a null chooser has {measure.floor:.3g}"
    return f"{text}; {measure.note}" if measure.note else text
