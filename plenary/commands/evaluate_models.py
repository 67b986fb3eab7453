"""`plenary evaluate-models`: similarity of several models, figures against size, probe transfer."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from alignment.training.record import TrainingRecord
from evaluation.across_models import convergence, scaling
from evaluation.across_models.steerability import Training, steerability
from evaluation.batteries.base import BatteryMaterial, BatteryResult, Suite
from evaluation.batteries.probes import utility_probe
from plenary.commands.evaluate import Place, request_of
from plenary.commands.loose_outputs import asked_under, claim
from plenary.errors import ConfigError
from plenary.models.base import ChatBackend
from plenary.models.wrappers.cache import CachedBackend
from plenary.outcomes import Catalogue
from plenary.runs import filenames
from plenary.runs.config import PipelineConfig, load_config
from plenary.runs.filenames import CONFIG
from plenary.runs.models import EMBEDDED, LOCAL, call_store, open_model, resolve, spec_hash
from plenary.runs.records.base import read_record, write_results
from plenary.runs.records.measures import RetentionRecord, SteeringRecord


class Several(NamedTuple):
    """Models, and if given, the parameters and family of each; adapter: of the first model."""

    models: tuple[str, ...]
    parameters: tuple[float, ...] = ()
    families: tuple[str, ...] = ()
    adapter: Path | None = None


def _check(several: Several) -> None:
    for what, given in (("parameters", several.parameters), ("family", several.families)):
        if given and len(given) != len(several.models):
            raise ConfigError(
                f"{len(given)} times --{what} for {len(several.models)} models; give one per model"
            )


def ask_several(
    several: Several, config: PipelineConfig, suite: Suite, out: Path
) -> list[BatteryResult]:
    """Ask all models about the same pairs and write the results; recorded calls are reused."""
    _check(several)
    reader = EMBEDDED if EMBEDDED in several.models else several.models[0]
    config = config.model_copy(update={"model": reader})
    material, seed = request_of(config, suite, (), Place(out, None, None)).material, config.seed
    made = asked_under(config, "outcomes", "elicitation", "battery", adapter=several.adapter)
    files = tuple(map(spec_hash, several.models))
    claim([out], made | several._asdict() | {"suite": suite, "files": files}, "--out")
    with call_store(out.with_suffix(".calls.sqlite")) as store:

        def opened(spec: str, adapter: Path | None = None) -> ChatBackend:
            return CachedBackend(open_model(spec, config, config.budget, adapter), store)

        models = [opened(spec) for spec in several.models]
        tuned = opened(several.models[0], several.adapter) if several.adapter else None
        every = [*models, tuned] if tuned else models
        results = [asyncio.run(convergence.measure_several(every, material, seed))]
        if several.parameters:
            sized = _sized(models, several)
            results.append(asyncio.run(scaling.measure_several(sized, material, seed)))
        if tuned and resolve(several.models[0]).startswith(LOCAL):
            results.append(
                asyncio.run(utility_probe.measure_change(models[0], tuned, material, seed))
            )
    write_results(results, out)
    return results


def _sized(models: Sequence[ChatBackend], several: Several) -> list[scaling.Sized]:
    families = _families(several.families, len(models))
    rows = zip(models, families, several.parameters, strict=True)
    return [scaling.Sized(*row) for row in rows]


def compare_runs(
    runs: Sequence[Path], families: Sequence[str], config: PipelineConfig, out: Path
) -> list[BatteryResult]:
    """How far training moved models of several sizes; runs of the same model are repetitions."""
    if families and len(families) != len(runs):
        raise ConfigError(f"{len(families)} times --family for {len(runs)} runs; give one per run")
    trained = [read_record(TrainingRecord, run / filenames.TRAINING) for run in runs]
    adapters = {record.adapter_sha256 for record in trained}
    if len(adapters) < len(runs):
        raise ConfigError(
            f"{len(runs)} runs hold {len(adapters)} different adapters; name each training once"
        )
    rows = zip(runs, trained, _families(families, len(runs)), strict=True)
    trainings = [_training(*row) for row in rows]
    material = BatteryMaterial(Catalogue(()), settings=config.battery)
    results = [steerability(trainings, material, config.seed)]
    made = {"adapters": sorted(adapters), "families": families, "seed": config.seed}
    claim([out], made | {"battery": config.battery}, "--out")
    write_results(results, out)
    return results


def _families(given: Sequence[str], count: int) -> Sequence[str]:
    return given or ("one family",) * count


def _training(run: Path, trained: TrainingRecord, family: str) -> Training:
    kept = read_record(RetentionRecord, run / filenames.RETENTION).kept
    return Training(
        model=f"{load_config(run / CONFIG).model} {trained.base_sha256[:8]}",
        family=family,
        parameters=trained.parameters / trained.trained_share,
        rank=trained.rank,
        share=trained.trained_share,
        gain=read_record(SteeringRecord, run / filenames.STEERING).gain,
        kl=math.nan if kept is None else kept.finding("kl_neutral").loss,
    )
