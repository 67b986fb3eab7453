"""`plenary evaluate`: running batteries on a model, storing the results, and showing them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from evaluation.batteries.base import BatteryMaterial, BatteryResult, Measure, Suite
from evaluation.batteries.registry import BATTERIES, batteries_of, check_names, evaluate_model
from personas.survey.survey import load_survey
from plenary.commands.loose_outputs import asked_under, claim
from plenary.errors import ConfigError
from plenary.executors.base import HERE, Executor
from plenary.models.base import ChatBackend, Choice, Conversation, Reply, Sampling
from plenary.models.wrappers.budget import CountingBackend
from plenary.models.wrappers.cache import CachedBackend
from plenary.runs import filenames
from plenary.runs.config import PipelineConfig, load_config
from plenary.runs.directory import locked, read_manifest
from plenary.runs.filenames import CONFIG, MANIFEST
from plenary.runs.models import EMBEDDED, call_store
from plenary.runs.records.base import read_results, write_results
from plenary.runs.workers import open_distributed
from plenary.stages.measures import survey_questions
from plenary.stages.plan import chosen_outcomes

Record = dict[str, object]
LOOSE = Path("batteries/results.json")


class EvaluateRequest(NamedTuple):
    """Which batteries are asked of which model, and where results go; run: its run directory."""

    config: PipelineConfig
    material: BatteryMaterial
    batteries: tuple[str, ...]
    adapter: Path | None
    out: Path
    run: Path | None = None


class Place(NamedTuple):
    """Where results go, the adapter of the model asked, and the run to which it belongs."""

    out: Path
    adapter: Path | None
    run: Path | None


def finished_run(config: PipelineConfig, runs: Path) -> Path | None:
    """The run directory of that name, if its report is written and its model is the same."""
    run = runs / config.name
    if not (run / MANIFEST).exists():
        return None
    record = read_manifest(run).stages.get("report")
    done = record is not None and record.done
    return run if done and load_config(run / CONFIG).model == config.model else None


def place_of(run: Path | None, adapter: Path | None, out: Path | None, *, after: bool) -> Place:
    """The run's folder, unless another place or adapter is given; after: the run's own adapter."""
    if after and run is None:
        raise ConfigError(
            "there is no finished run of that config and model with an adapter; "
            "run plenary run first, or give --adapter and --out"
        )
    if after and adapter is not None:
        raise ConfigError(
            f"--after takes the run's adapter, not {str(adapter)!r}; give only one of them"
        )
    if run is None or out is not None or adapter is not None:
        own = run / filenames.ADAPTER if run is not None and after else adapter
        return Place(out or LOOSE, own, None)
    when = filenames.WHEN[after]
    return Place(
        run / filenames.BATTERIES / f"{when}.json", run / filenames.ADAPTER if after else None, run
    )


def request_of(
    config: PipelineConfig, suite: Suite, batteries: Sequence[str], place: Place
) -> EvaluateRequest:
    """The request, with all outcomes of the catalogue that the model can read."""
    check_names(batteries)
    every = config.outcomes.model_copy(update={"count": None})
    catalogue = chosen_outcomes(every, config.seed, embedded_reads=config.model == EMBEDDED)
    names = tuple(batteries) or batteries_of(suite)
    survey = survey_questions(load_survey()) if "human_anchor" in names else ()
    material = BatteryMaterial(catalogue, suite, config.elicitation, config.battery, survey)
    return EvaluateRequest(config, material, names, place.adapter, place.out, place.run)


def ask(request: EvaluateRequest, executor: Executor = HERE, *, quiet: bool) -> list[BatteryResult]:
    """Ask, and write the results after each battery; recorded calls are not repeated.

    Results of the same model for other batteries stay in the file; ConfigError if the file has
    results of another model or other settings.
    """
    config, out = request.config, request.out
    claim([out], made_under(request), "--out")
    model = open_distributed(config.model, config, request.adapter, executor)
    earlier = read_results(out) if out.exists() else []
    kept = [r for r in earlier if r.model == model.name and r.battery not in request.batteries]
    done: list[BatteryResult] = []

    def keep(found: BatteryResult) -> None:
        done.append(found)
        write_results([*kept, *done], out)
        if not quiet:
            print(f"{found.title}: {found.asked:,} answers", file=sys.stderr)

    held = nullcontext() if request.run is None else locked(request.run)
    with held, call_store(out.with_suffix(".calls.sqlite")) as store:
        backend = CachedBackend(model, store)
        return asyncio.run(
            evaluate_model(backend, request.batteries, request.material, config.seed, keep)
        )


def made_under(request: EvaluateRequest) -> dict[str, object]:
    """What results depend on, whichever batteries are asked."""
    groups = ("outcomes", "elicitation", "battery")
    made = asked_under(request.config, *groups, adapter=request.adapter)
    return made | {"--suite": request.material.suite}


class _Even(ChatBackend):
    """Gives even answers without a model, for a dry run."""

    name = "even"
    supports_seed = True
    exact_choice = True

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        return [Reply("") for _ in conversations]

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        even = tuple(1 / len(labels) for _ in labels)
        return [Choice(even, 1.0, 1, 1) for _ in conversations]


def calls_planned(request: EvaluateRequest) -> Record:
    """Prompts per battery, counted with a chooser that is always even; no model is opened."""
    counts: Record = {}
    for name in request.batteries:
        counting = CountingBackend(_Even())
        asyncio.run(evaluate_model(counting, [name], request.material, request.config.seed))
        counts[BATTERIES[name].title] = counting.counts.calls
    sampled = request.material.elicitation.samples
    note = f"prompts; a backend that only samples answers each one {sampled} times"
    return counts | {"model": request.config.model, "note": note}


def tables(results: Sequence[BatteryResult]) -> Iterator[tuple[str, Record]]:
    """Title and rows of each result."""
    for found in results:
        rows: Record = {"answers": f"{found.asked:,}, of which invalid {found.invalid:,}"}
        rows |= {measure.name: told(measure) for measure in found.measures}
        rows |= {f"finding {k}": finding.sentence for k, finding in enumerate(found.findings, 1)}
        yield found.title, rows


def told(measure: Measure) -> str:
    """A measure as text: value, interval, value of a null chooser, note."""
    if measure.value is None:
        return f"not determined{f' ({measure.note})' if measure.note else ''}"
    text = f"{measure.value:.3g}{f' {measure.unit}' if measure.unit else ''}"
    if measure.low is not None and measure.high is not None:
        text += f" ({measure.low:.3g} to {measure.high:.3g})"
    text += f", n {measure.n:,}"
    if measure.floor is not None:
        text += f"; a null chooser has {measure.floor:.3g}"
    return f"{text}; {measure.note}" if measure.note else text
