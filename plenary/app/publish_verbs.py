"""The adapter of a finished run as a folder with its card, and on a hub when asked for."""

from __future__ import annotations

from pathlib import Path

from alignment.adapter import check_adapter
from alignment.model_card import Provenance, model_card
from alignment.publish import hub_folder, push_to_hub
from alignment.sweep import SweepTable
from alignment.training_record import TrainingRecord
from evaluation.claim_evidence import Toward
from evaluation.comparison import Comparison
from plenary.app import workspace as ws
from plenary.app.evidence import read_measures, toward
from plenary.app.laboratory import reference_retention
from plenary.app.loose_outputs import claim
from plenary.app.models import checkpoint_path, takes_part
from plenary.app.records import AssemblyRecord, FidelityRecord, PopulationRecord, read_record
from plenary.app.run_directory import content_hash
from plenary.app.sweep_report import controls, read_sweep
from plenary.app.workspace import Workspace


def publish(
    space: Workspace, base: str, licence: str, output: Path, repository: str | None
) -> dict[str, str]:
    """Write the folder; push it only when a repository is named. Gives what `show` prints."""
    checkpoint = checkpoint_path(space.config.model)
    adapter = space.file(ws.ADAPTER)
    comparison, arms = (
        read_record(Comparison, space.file(ws.COMPARISON)),
        read_sweep(space.run.path),
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


def _toward(space: Workspace, comparison: Comparison, arms: SweepTable | None) -> Toward:
    """What the run shows of movement; a run without its measures cannot tell it from re-asking."""
    if space.file(ws.STEERING).exists():
        return toward(comparison, read_measures(space), controls(arms) if arms else None)
    return Toward(comparison.gain_low, comparison.gain_high, None, None, None, None, 1)


def provenance(space: Workspace, base: str, licence: str, shown_by: Toward) -> Provenance:
    """Where the run's target comes from."""
    population = read_record(PopulationRecord, space.file(ws.POPULATION))
    return Provenance(
        base=base,
        licence=licence,
        citizens=len(space.panel),
        pairs=len(space.plan.pairs),
        source=f"{population.survey} (sha256 {population.sha256[:12]})",
        citizens_model=read_record(AssemblyRecord, space.file(ws.ASSEMBLY)).backend,
        votes_sha256=content_hash(space.file(ws.VOTES)),
        imputed_share=read_record(FidelityRecord, space.file(ws.FIDELITY)).imputed_share,
        embedded=takes_part(space.config),
        toward=shown_by,
        replay=read_record(TrainingRecord, space.file(ws.TRAINING)).replay,
    )
