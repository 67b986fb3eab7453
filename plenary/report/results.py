"""Reading everything that the report shows from a run's files."""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.comparison.compare import Comparison
from evaluation.comparison.utility_shift import UtilityShift
from evaluation.utility.thurstonian import UtilityFit
from personas.representativeness import CategoryShare
from plenary.errors import NotMeasured, measured
from plenary.figures.panel import read_shares
from plenary.report.elements import UTILITIES
from plenary.runs import filenames
from plenary.runs.fits import load_fits
from plenary.runs.records.assembly import (
    AssemblyRecord,
    ConsensusRecord,
    ElicitationRecord,
    RetestRecord,
)
from plenary.runs.records.base import Unmeasured, read_record
from plenary.runs.records.panel import FidelityRecord, PopulationRecord
from plenary.runs.workspace import Workspace
from plenary.safe_text import strip_hidden


@dataclass(frozen=True, slots=True)
class Utilities:
    """Fits on one side of the split, and their outcomes [K]."""

    before: UtilityFit
    after: UtilityFit
    assembly: UtilityFit
    shift: UtilityShift
    texts: tuple[str, ...]
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that the report shows, read from a run; not_measured: why a part is None."""

    space: Workspace
    population: PopulationRecord
    fidelity: FidelityRecord
    shares: tuple[CategoryShare, ...]
    assembly: AssemblyRecord
    decision: ConsensusRecord
    asked: tuple[ElicitationRecord, ElicitationRecord]
    retest: RetestRecord | None
    comparison: Comparison
    held_out: Utilities | None
    not_measured: dict[str, str]


def read_results(space: Workspace) -> Results:
    """Read the results of the stages; DataError when a stage has not run.

    NotMeasured if model and assembly could not be compared at all.
    """
    reasons: dict[str, str] = {}
    before, after = (
        read_record(ElicitationRecord, space.file(f"{w}.json")) for w in filenames.WHEN
    )
    return Results(
        space=space,
        population=read_record(PopulationRecord, space.file(filenames.POPULATION)),
        fidelity=read_record(FidelityRecord, space.file(filenames.FIDELITY)),
        shares=read_shares(space.file(filenames.SHARES)),
        assembly=read_record(AssemblyRecord, space.file(filenames.ASSEMBLY)),
        decision=read_record(ConsensusRecord, space.file(filenames.DECISION)),
        asked=(before, after),
        retest=measured(
            lambda: read_record(RetestRecord, space.file(filenames.RETEST)), "test-retest", reasons
        ),
        comparison=read_record(Comparison, space.file(filenames.COMPARISON)),
        held_out=measured(lambda: _utilities(space, "held_out"), UTILITIES, reasons),
        not_measured=reasons,
    )


def _utilities(space: Workspace, side: str) -> Utilities:
    outcomes = [space.plan.outcomes[k] for k in getattr(space.plan, side)]
    before, after, assembly = load_fits(space, filenames.SOURCES, side)
    noted = space.file(filenames.SHIFTS)
    why = read_record(Unmeasured, noted).not_measured.get(side) if noted.exists() else None
    if why is not None:
        raise NotMeasured(why)
    return Utilities(
        before,
        after,
        assembly,
        UtilityShift.read(space.file(filenames.shift_file(side))),
        tuple(strip_hidden(outcome.text) for outcome in outcomes),
        tuple(strip_hidden(outcome.topic) for outcome in outcomes),
    )
