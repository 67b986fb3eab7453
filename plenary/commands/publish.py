"""`plenary publish`: a run's adapter as a folder with its model card, and uploading it to a hub."""

from __future__ import annotations

from pathlib import Path

from alignment.experiments.control_table import ControlTable
from alignment.publish.hub import hub_folder, push_to_hub
from alignment.publish.model_card import TargetProvenance, model_card
from alignment.training.adapter import check_adapter
from alignment.training.record import TrainingRecord
from evaluation.claims.evidence import Toward
from evaluation.comparison.compare import Comparison
from plenary.commands.loose_outputs import claim
from plenary.hashing import content_hash
from plenary.report.controls import controls
from plenary.report.evidence import read_measures, toward
from plenary.runs import filenames
from plenary.runs.models import checkpoint_path, takes_part
from plenary.runs.records.assembly import AssemblyRecord
from plenary.runs.records.base import read_record
from plenary.runs.records.experiments import read_control
from plenary.runs.records.panel import FidelityRecord, PopulationRecord
from plenary.runs.workspace import Workspace
from plenary.stages.experiment_context import reference_retention


def publish(
    space: Workspace, base: str, licence: str, output: Path, repository: str | None
) -> dict[str, str]:
    """Write the folder; upload it only if a repository is named. Returns what is printed."""
    checkpoint = checkpoint_path(space.config.model)
    adapter = space.file(filenames.ADAPTER)
    comparison, arms = (
        read_record(Comparison, space.file(filenames.COMPARISON)),
        read_control(space.run.path),
    )
    shown_by = _toward(space, comparison, arms)
    card = model_card(
        check_adapter(adapter, checkpoint),
        provenance(space, base, licence, shown_by),
        comparison,
        reference_retention(space),
        arms,
    )
    made = {"adapter": content_hash(adapter), "--base": base, "--licence": licence}
    claim([output], made, "--folder")
    folder = hub_folder(adapter, checkpoint, base, card, output)
    shown = {"folder": str(folder), "base": base, "licence": licence}
    if repository is not None:
        shown["pushed"] = push_to_hub(folder, repository)
    return shown


def _toward(space: Workspace, comparison: Comparison, arms: ControlTable | None) -> Toward:
    """What the run shows of movement; without its measures, no movement is claimed."""
    if space.file(filenames.STEERING).exists():
        return toward(comparison, read_measures(space), controls(arms) if arms else None)
    return Toward(comparison.gain_low, comparison.gain_high, None, None, None, None, 1)


def provenance(space: Workspace, base: str, licence: str, shown_by: Toward) -> TargetProvenance:
    """The origin of the run's training target."""
    population = read_record(PopulationRecord, space.file(filenames.POPULATION))
    return TargetProvenance(
        base=base,
        licence=licence,
        citizens=len(space.panel),
        pairs=len(space.plan.pairs),
        source=f"{population.survey} (sha256 {population.sha256[:12]})",
        citizens_model=read_record(AssemblyRecord, space.file(filenames.ASSEMBLY)).backend,
        votes_sha256=content_hash(space.file(filenames.VOTES)),
        imputed_share=read_record(FidelityRecord, space.file(filenames.FIDELITY)).imputed_share,
        embedded=takes_part(space.config),
        toward=shown_by,
        replay=read_record(TrainingRecord, space.file(filenames.TRAINING)).replay,
    )
