"""`plenary control`: training toward each control target with several seeds, doses and strata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from alignment.experiments.control_table import (
    REFERENCE,
    ControlTable,
    Similarity,
    control_table,
    similarity,
)
from alignment.experiments.controls import CONTROL_TARGETS, ControlTarget, condition, own_target
from alignment.experiments.dose import DOSES, dose_summaries, parse_dose, rebound
from alignment.experiments.experiment import (
    Answered,
    ControlResult,
    ExperimentContext,
    adapter_folder,
    answered,
    finetuned,
    run_condition,
)
from alignment.experiments.strata_agreement import Composition, composition
from alignment.training.adapter import base_fingerprint, read_manifest
from alignment.training.settings import AlignmentSettings
from assembly.aggregation.consensus import consensus
from assembly.record.ballots import AFTER
from census_data.cells import cells_of
from plenary.errors import ConfigError, NotMeasured
from plenary.models.local.huggingface import LocalBackend
from plenary.preferences import BoolArray, FloatArray, Targets
from plenary.runs import filenames
from plenary.runs.directory import locked
from plenary.runs.filenames import FOLDER
from plenary.runs.files import staged, write_text
from plenary.runs.fingerprint import module_hash
from plenary.runs.records.assembly import ConsensusRecord
from plenary.runs.records.base import read_record, write_record
from plenary.runs.records.experiments import TABLE, ControlRecord, origin
from plenary.runs.workspace import Workspace
from plenary.seeding import derived_seed, generator
from plenary.stages.experiment_context import context, evidence
from plenary.stages.neutral_text import neutral_text

CELLS = "control_table.parquet"

COMPOSITION = "strata_agreement.json"

FEWEST_CITIZENS = 5

Tell = Callable[[str], None]


class ControlRequest(NamedTuple):
    """What to run: arms, doses as axis=value, steps of neutral text after the assembly arm.

    by: attribute whose strata are compared; panels: also train toward each stratum's consensus,
    and toward the panel's with equal weights. retention: a set's name or file, None for the model's
    own.
    """

    arms: tuple[str, ...] = tuple(CONTROL_TARGETS)
    seeds: int = 3
    doses: tuple[str, ...] = ()
    rebound: int = 0
    by: str | None = None
    panels: bool = False
    retention: str | None = None


class _Job(NamedTuple):
    """One cell to run: its arm, seed, target and settings."""

    arm: str
    seed: int
    made: ControlTarget
    settings: AlignmentSettings


def check_request(request: ControlRequest) -> None:
    """ConfigError for an unknown arm or dose, or for impossible counts."""
    for arm in request.arms:
        if arm not in CONTROL_TARGETS:
            raise ConfigError(f"unknown arm {arm!r}; use one of {', '.join(CONTROL_TARGETS)}")
    for dose in request.doses:
        parse_dose(dose)
    if request.seeds < 1 or request.rebound < 0:
        raise ConfigError(
            f"seeds is {request.seeds!r} and rebound {request.rebound!r}; give at least 1 and 0"
        )
    if request.rebound and REFERENCE not in request.arms:
        raise ConfigError(f"rebound needs the arm {REFERENCE!r}; add it to --arms")
    if request.panels and request.by is None:
        raise ConfigError(f"panels={request.panels!r} needs an attribute; add --by")


def control_experiment(space: Workspace, request: ControlRequest, tell: Tell) -> ControlTable:
    """Run the missing cells, and write the table of all cells asked for."""
    check_request(request)
    with locked(space.run.path):
        return _control(space, request, tell)


def _control(space: Workspace, request: ControlRequest, tell: Tell) -> ControlTable:
    decided = read_record(ConsensusRecord, space.file(filenames.DECISION))
    if (ceiling := decided.ceiling) is None:
        raise NotMeasured(f"arms cannot be compared with a ceiling: {decided.not_measured!r}")
    lab = context(space, request.retention)
    strata = strata_of(space, request.by) if request.by else {}
    base = answered(LocalBackend(lab.model_path, day=lab.day), lab, None, space.seed)
    jobs = list(_jobs(space, lab, request, strata))
    results = [_cell(space, lab, base, job, tell) for job in jobs]
    if request.rebound:
        results += _rebounds(space, lab, base, results, request, tell)
    own = _own_targets(jobs, lab.evidence.assembly)
    held = _held_targets(space, lab, jobs)
    table = control_table(
        results, lab.held_out, ceiling, space.config.comparison, space.seed, own, held
    )
    found = compositions(space, lab, results, strata) if strata else {}
    table = table.model_copy(update={"doses": dose_summaries(results), "strata": found})
    made_from = origin(space.run.path, space.config)
    write_record(ControlRecord(origin=made_from, table=table), space.file(FOLDER) / TABLE)
    _write_cells(results, space.file(FOLDER) / CELLS)
    if strata:
        text = json.dumps({arm: made.model_dump() for arm, made in found.items()}, indent=2)
        write_text(space.file(FOLDER) / COMPOSITION, text + "\n")
    return table


def strata_of(space: Workspace, by: str) -> dict[str, BoolArray]:
    """Citizens [C] of each stratum of an attribute, for strata with enough citizens."""
    column = cells_of(space.population, by)
    rows = {int(row): k for k, row in enumerate(space.population.row_id)}
    codes = column.codes[[rows[persona.row_id] for persona in space.panel]]
    found = {
        f"{by}={label}": codes == k
        for k, label in enumerate(column.labels)
        if (codes == k).sum() >= FEWEST_CITIZENS
    }
    if not found:
        raise ConfigError(
            f"no stratum of {by!r} has {FEWEST_CITIZENS} citizens; choose another attribute or "
            "recruit more"
        )
    return found


def stratum_targets(space: Workspace, weights: FloatArray, side: str) -> Targets:
    """What the same ballots decide with other weights [C]; 0 leaves a citizen out."""
    return space.targets(side, consensus(space.votes, space.plan.pairs, weights, AFTER))


def _jobs(
    space: Workspace,
    lab: ExperimentContext,
    request: ControlRequest,
    strata: Mapping[str, BoolArray],
) -> Iterator[_Job]:
    seeds = [derived_seed(space.seed, "sweep", k) for k in range(request.seeds)]
    panels = _panels(space, strata) if request.panels else {}
    # Seed by seed, so that an interrupted control experiment has all arms, with fewer seeds.
    for seed in seeds:
        for arm in request.arms:
            made = condition(arm, lab.evidence, generator(seed, "arm", arm))
            yield _Job(arm, seed, made, lab.settings)
        for text in request.doses:
            axis, value = parse_dose(text)
            rng = generator(seed, "dose", axis)
            dosed = DOSES[axis](value, lab.evidence.assembly, lab.settings, rng)
            yield _Job(f"{axis}={value:g}", seed, ControlTarget(dosed.targets), dosed.settings)
        for name, targets in panels.items():
            yield _Job(name, seed, ControlTarget(targets), lab.settings)


def _own_targets(jobs: Sequence[_Job], assembly: Targets) -> dict[str, Similarity]:
    """For each arm that trains: how similar its targets are to the assembly's."""
    made: dict[str, list[Targets]] = {}
    for job in jobs:
        if job.made.targets is not None:
            made.setdefault(job.arm, []).append(job.made.targets)
    return {arm: similarity(targets, assembly) for arm, targets in made.items()}


def _held_targets(
    space: Workspace, lab: ExperimentContext, jobs: Sequence[_Job]
) -> dict[tuple[str, int], Targets]:
    """For each arm and seed: the arm's own target on held-out pairs, if it has one."""
    elsewhere = evidence(space, lab.texts, held=True)
    said = {
        (job.arm, job.seed): own_target(
            job.arm, lab.evidence, elsewhere, generator(job.seed, "arm", job.arm)
        )
        for job in jobs
    }
    return {key: target for key, target in said.items() if target is not None}


def _panels(space: Workspace, strata: Mapping[str, BoolArray]) -> dict[str, Targets]:
    """Training targets of other panels: each stratum alone, and all citizens with equal weight."""
    weight = space.panel.weight
    chosen = {name: np.where(mask, weight, 0.0) for name, mask in strata.items()}
    chosen["equal weights"] = np.ones_like(weight)
    return {name: stratum_targets(space, w, "train") for name, w in chosen.items()}


def _cell(
    space: Workspace, lab: ExperimentContext, base: Answered, job: _Job, tell: Tell
) -> ControlResult:
    path = _cell_path(lab, job)
    if path.is_file():
        tell(f"{job.arm}, seed {job.seed}: already done")
        return read_record(ControlResult, path)
    result = run_condition(job.arm, job.made, job.settings, lab, base, job.seed)
    write_record(result, path)
    tell(f"{job.arm}, seed {job.seed}: gain {result.gain:+.3f} in {result.seconds:.0f} s")
    return result


def _cell_path(lab: ExperimentContext, job: _Job) -> Path:
    """The cell's file; its name changes with targets, settings, questions and code."""
    made = job.made.targets
    arrays: list[np.ndarray] = [lab.held_out.pairs, lab.held_out.p, lab.untouched]
    arrays += [] if made is None else [made.pairs, made.p, made.weight]
    texts: list[str] = [
        job.arm, str(job.seed), job.made.system or "", *lab.texts, _weights(lab.model_path),
        *(wording.text_hash for wording in lab.wordings), module_hash(run_condition.__module__),
    ]  # fmt: skip
    models: list[BaseModel] = [job.settings, lab.comparison, lab.kept, lab.margins]
    digest = hashlib.blake2b(digest_size=8)
    for part in (*texts, *(model.model_dump_json() for model in models)):
        digest.update(part.encode() + b"\x1f")
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes() + b"\x1f")
    return lab.folder / "cells" / f"{_plain(job.arm)}-{job.seed}-{digest.hexdigest()}.json"


@lru_cache
def _weights(path: Path) -> str:
    """Hash of the base model's weights: the same in every checkout, and computed once."""
    return base_fingerprint(path)


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "=._-+" else "_" for c in name)


def _rebounds(
    space: Workspace,
    lab: ExperimentContext,
    base: Answered,
    results: Sequence[ControlResult],
    request: ControlRequest,
    tell: Tell,
) -> list[ControlResult]:
    """The assembly arm after further training on neutral text."""
    texts = neutral_text(space, "rebound").conversations
    name = f"rebound={request.rebound}"
    found = []
    for result in results:
        if result.arm != REFERENCE:
            continue
        job = _Job(name, result.seed, ControlTarget(lab.evidence.assembly), lab.settings)
        path = _cell_path(lab, job)
        if path.is_file():
            found.append(read_record(ControlResult, path))
            continue
        adapter = _adapter_of(result, lab, base)
        later = finetuned(name, adapter, texts, request.rebound, lab, base, result.seed)
        write_record(later, path)
        left = rebound(result, later)
        tell(f"{name}, seed {result.seed}: share of the gain left {left!r}")
        found.append(later)
    return found


def _adapter_of(result: ControlResult, lab: ExperimentContext, base: Answered) -> Path:
    """The adapter of the assembly's cell; trained again if other settings have overwritten it."""
    adapter = adapter_folder(lab, REFERENCE, result.seed)
    if not adapter.is_dir() or read_manifest(adapter).settings != lab.settings.told:
        run_condition(
            REFERENCE, ControlTarget(lab.evidence.assembly), lab.settings, lab, base, result.seed
        )
    return adapter


def compositions(
    space: Workspace,
    lab: ExperimentContext,
    results: Sequence[ControlResult],
    strata: Mapping[str, BoolArray],
) -> dict[str, Composition]:
    """For each arm: agreement by stratum before and after, probabilities averaged over seeds."""
    weight = space.panel.weight
    targets = {
        name: stratum_targets(space, np.where(mask, weight, 0.0), "held_out")
        for name, mask in strata.items()
    }
    found = {}
    for arm in dict.fromkeys(result.arm for result in results):
        group = [result for result in results if result.arm == arm]
        after = np.mean([result.after for result in group], axis=0)
        found[arm] = composition(
            np.array(group[0].before),
            after,
            lab.held_out.pairs,
            targets,
            space.config.comparison,
            space.seed,
        )
    return found


def _write_cells(results: Sequence[ControlResult], path: Path) -> None:
    """One row per cell, for your own figures."""
    rows = [
        {
            "arm": r.arm, "seed": r.seed, "agreement": r.comparison.agreement_after,
            "gain": r.gain, "kl": r.comparison.after.kl, "directional_gain": r.directional_gain,
            "side_effect": r.side_effect, "kl_neutral": r.kl_neutral,
            "kl_task": None if r.retention is None else r.retention.kl_task,
            "incoherence": r.incoherence, "drift_held_out": r.drift_held_out,
            "drift_untouched": r.drift_untouched, "steps": r.steps, "rows": r.rows,
            "parameters": r.parameters, "seconds": r.seconds,
        }
        for r in results
    ]  # fmt: skip
    with staged(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows), temporary)
