"""Stage `fit`: fitting utilities before, after, of the test-retest and of the assembly."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from alignment.training.lora import check_targets
from alignment.training.replay import read_replay
from alignment.training.trainer import without_library_warnings
from assembly.aggregation.population_utilities import population_utilities
from assembly.record.ballots import AFTER
from evaluation.comparison.compare import target_cells
from evaluation.elicitation.comparison_graph import among
from evaluation.utility.davidson import fit_answers
from evaluation.utility.thurstonian import UtilityFit
from plenary.errors import ConvergenceError, measured
from plenary.preferences import ComparisonCounts
from plenary.runs import filenames
from plenary.runs.config import PipelineConfig
from plenary.runs.models import checkpoint_path
from plenary.runs.records.assembly import ConsensusRecord, RetestRecord
from plenary.runs.records.base import Unmeasured, read_record, write_record
from plenary.runs.workspace import Workspace

# Rules whose labels are population shares, which the strata's utilities describe.
STRATA_RULES = ("weighted_share", "multilevel_thurstonian")


def check_training(config: PipelineConfig) -> None:
    """Raise an error for a model without weights or layers to adapt, or unreadable replay text."""
    if config.alignment.replay is not None:
        read_replay(config.alignment.replay)
    with without_library_warnings():
        check_targets(checkpoint_path(config.model), config.alignment)


def fit_utilities(space: Workspace) -> None:
    """Fit utilities before, after, of the test-retest and of the assembly, by side of the split.

    If the answers do not connect the outcomes of a side, there is no fit; the reason is recorded.
    """
    reasons: dict[str, str] = {}
    for side in filenames.SIDES:
        asked = _asked(space, side)
        ties = any(cells.undecided.any() for cells in asked.values())
        for source in (*filenames.SOURCES, *filenames.RETESTS):
            stem = filenames.fit_stem(source, side)
            work = partial(_fit_of, space, source, side, asked, ties=ties)
            fitted = measured(work, stem, reasons)
            if fitted is not None:
                fitted.save(space.file(stem))
    write_record(Unmeasured(not_measured=reasons), space.file(filenames.FITS))


def _asked(space: Workspace, side: str) -> dict[str, ComparisonCounts]:
    """The cells of one side, including those of the test-retest if there is one."""
    there = [
        when
        for when in (*filenames.WHEN, *filenames.RETESTS)
        if space.file(f"{when}.parquet").exists()
    ]
    return {when: space.of_side(space.cells(when), side) for when in there}


def _fit_of(
    space: Workspace, source: str, side: str, asked: dict[str, ComparisonCounts], *, ties: bool
) -> UtilityFit:
    if source == "assembly":
        return _of_assembly(space, side)
    if source in filenames.RETESTS:
        read_record(RetestRecord, space.file(filenames.RETEST))
    return _pooled(space, source, asked[source], side, ties=ties)


def _pooled(
    space: Workspace, source: str, cells: ComparisonCounts, side: str, *, ties: bool = False
) -> UtilityFit:
    outcomes = np.array(getattr(space.plan, side))
    local = among(cells, outcomes)
    fitted = fit_answers(local, len(outcomes), space.config.fit, ties=ties)
    if not fitted.converged:
        raise ConvergenceError(
            f"utilities {source!r} on {side!r} outcomes did not converge in "
            f"{fitted.iterations} iterations; raise fit.max_iterations or design pairs"
        )
    return fitted


def _of_assembly(space: Workspace, side: str) -> UtilityFit:
    """The assembly's utilities on one side; outcomes of different sides are never compared."""
    rule = read_record(ConsensusRecord, space.file(filenames.DECISION)).rule
    apart = space.config.fit.disconnected == "flag"
    if space.config.dataset.utilities == "pooled" or rule not in STRATA_RULES or apart:
        cells = space.of_side(target_cells(space.consensus.targets()), side)
        return _pooled(space, "assembly", cells, side)
    held, outcomes = space.electorate(AFTER), np.array(getattr(space.plan, side))
    at = np.isin(held.pairs, outcomes).all(axis=1)
    own = replace(
        held,
        shares=held.shares[:, at],
        pairs=np.searchsorted(outcomes, held.pairs[at]),
        outcomes=len(outcomes),
    )
    return population_utilities(own, space.config.fit, space.seating.group_of())
