"""Running stages in order and resuming a run: decides which stages are unchanged."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from assembly.deliberation.briefing import read_briefing
from census_data.cells import columns_of
from census_data.population import load_population
from evaluation.claims.preregistration import check_names, read_plan
from evaluation.hiring.audit import audit_plan
from evaluation.hiring.stimuli import default_stimuli
from plenary.errors import BackendError, BudgetExceeded, ConfigError, DataError, check_all
from plenary.executors.base import Executor, Here
from plenary.hashing import content_hash
from plenary.pipeline.settings_kept import input_hashes, own_settings, refuse_overwriting, with_day
from plenary.pipeline.stage import Stage
from plenary.runs.config import PipelineConfig, config_hash, flat_settings, resolved_yaml
from plenary.runs.directory import Exists, StageRecord, new_manifest, open_run
from plenary.runs.filenames import CONFIG
from plenary.runs.files import disk_faults_named, write_text
from plenary.runs.fingerprint import code_hash
from plenary.runs.models import check_models, deterministic, takes_part
from plenary.runs.progress import PROGRESS, Watcher, noting
from plenary.runs.workspace import Workspace
from plenary.stages.plan import check_joined, chosen_outcomes, make_plan, pairs_left_out

_LOG = logging.getLogger(__name__)


class Marks(NamedTuple):
    """Hashes of what a stage depends on, with and without its code."""

    fingerprint: str
    settings: str


def run_stages(
    config: PipelineConfig,
    root: Path,
    exists: Exists,
    stages: Sequence[Stage],
    watcher: Watcher,
    executor: Executor | None = None,
) -> Workspace:
    """Run `stages` in order in the run directory `root/config.name` and return the workspace.

    Whatever can be checked before a model is asked is checked before the directory is touched; this
    includes that finished stages were made under these settings, unless `exists` is "redo".
    """
    preflight(config, [stage.check for stage in stages if stage.check is not None])
    trains = any(stage.check is not None for stage in stages)
    sure, reason = deterministic(config, alone=isinstance(executor, Here | None), trains=trains)
    manifest = new_manifest(
        config.name, config_hash(config), config.seed, deterministic=sure, reason=reason
    )
    run = open_run(root, manifest, exists)
    try:
        config = with_day(config, run)
        refuse_overwriting(run, config, stages, redo=exists == "redo")
        with noting(watcher, run.file(PROGRESS)) as noted:
            space = Workspace(config, run, noted, executor)
            write_text(run.file(CONFIG), resolved_yaml(config))
            run.record_inputs(input_hashes(config))
            for place, stage in enumerate(stages, 1):
                noted.begin(stage.name, place, len(stages))
                with disk_faults_named(str(run.path)):
                    seconds = _run_stage(space, stage)
                noted.end(stage.name, seconds or 0.0, skipped=seconds is None)
        return space
    finally:
        run.close()


def preflight(
    config: PipelineConfig, checks: Sequence[Callable[[PipelineConfig], None]] = ()
) -> None:
    """Raise one error that names everything of the config that cannot be, with what to set.

    checks: those of the stages to be run. Logs a warning where fewer pairs are asked than wanted.
    """
    everything = (check_models, _outcomes, _groups, _citizens, *checks)
    check_all([*(partial(check, config) for check in everything), *_checks_of_files(config)])


def _outcomes(config: PipelineConfig) -> None:
    reads = takes_part(config)
    catalogue = chosen_outcomes(config.outcomes, config.seed, embedded_reads=reads)
    made = make_plan(catalogue, config.outcomes, config.design, config.seed, embedded_reads=reads)
    if config.fit.disconnected == "error":
        check_joined(made)
    for sentence in pairs_left_out(made, config.design):
        _LOG.warning("%s", sentence)


def _groups(config: PipelineConfig) -> None:
    """ConfigError if there is only one group."""
    citizens, assembly = config.panel.citizens, config.assembly
    seats = assembly.table_size * assembly.tables_per_group
    if citizens <= seats:
        raise ConfigError(
            f"{citizens} citizens in groups of {seats} make only one group, so the spread between "
            f"groups is unknown; lower assembly.table_size ({assembly.table_size}) or "
            f"assembly.tables_per_group ({assembly.tables_per_group}), or set panel.citizens to "
            f"more than {seats}"
        )


def _checks_of_files(config: PipelineConfig) -> list[Callable[[], object]]:
    """Checks of the briefing, the preregistration and the hiring audit, where there are such."""
    checks: list[Callable[[], object]] = []
    if isinstance(config.assembly.briefing, Path):
        checks.append(partial(read_briefing, config.assembly.briefing))
    if (locked := config.analysis_plan) is not None:
        checks.append(lambda: check_names(read_plan(locked), flat_settings(config)))
    if config.measures.hiring:
        checks.append(partial(audit_plan, default_stimuli(), config.hiring, config.seed))
    return checks


def _citizens(config: PipelineConfig) -> None:
    """Error for strata that the population does not have, and for too large a panel."""
    population = load_population(config.population)
    for names in (config.dataset.strata, (config.dataset.rule_strata,)):
        columns_of(population, names)
    if config.panel.citizens > len(population):
        raise ConfigError(
            f"panel.citizens is {config.panel.citizens!r}, but the population has only "
            f"{len(population)} records; ask for fewer"
        )


def _run_stage(space: Workspace, stage: Stage) -> float | None:
    """Seconds the stage took, including interrupted sessions; None if it was already done."""
    run, marks = space.run, _marks(space, stage)
    if not stage.always and run.is_done(stage.name, marks.fingerprint):
        return None
    spent = run.spent(stage.name, marks.fingerprint)
    record = StageRecord(**marks._asdict(), seconds=spent, done=False)
    run.record(stage.name, record)
    started = time.monotonic()
    try:
        with _told_why(space):
            _work(space, stage)
        outputs = {name: content_hash(space.file(name)) for name in stage.outputs}
        record = StageRecord(**marks._asdict(), outputs=outputs)
    finally:
        seconds = spent + time.monotonic() - started
        run.record(stage.name, record.model_copy(update={"seconds": seconds}))
    return seconds


@contextmanager
def _told_why(space: Workspace) -> Iterator[None]:
    """Record what models could not do; errors get the reason for the first invalid answer."""
    try:
        yield
    except (BackendError, DataError) as error:
        space.note_models()
        failures = space.run.manifest.failures
        unsaid = [f"{spec}: {why!r}" for spec, why in failures.items() if why not in str(error)]
        if not unsaid or isinstance(error, BudgetExceeded):
            raise
        raise type(error)(f"{error} (first invalid answer of {'; '.join(unsaid)})") from error
    space.note_models()


def _work(space: Workspace, stage: Stage) -> None:
    """Do the stage's work; in a notebook, which runs an event loop already, in another thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        stage.work(space)
        return
    with ThreadPoolExecutor(1) as beside:
        beside.submit(stage.work, space).result()


def _marks(space: Workspace, stage: Stage) -> Marks:
    own = own_settings(space.config, stage)
    inputs = {
        name: record.outputs
        for name, record in space.run.manifest.stages.items()
        if name in stage.needs
    }
    code = "" if stage.recorded else code_hash(stage.work, Workspace, PipelineConfig)
    return Marks(content_hash(json.dumps([own, inputs, code], sort_keys=True)), own)
