"""Stage `dataset`: diagnostics and the consensus dataset with its card, ready for a hub."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

import plenary
from assembly.dataset.card import CardFacts, dataset_card
from assembly.dataset.consensus_dataset import SPLITS, ConsensusDataset, DatasetProvenance
from assembly.dataset.croissant import croissant
from assembly.dataset.labels import HeldAssembly, build_dataset
from assembly.dataset.rows import DpoRow, SftRow, to_dpo, to_sft
from assembly.deliberation.prompts import PHASE_HASH
from assembly.record.ledger import Ledger
from plenary.hashing import content_hash
from plenary.runs import filenames
from plenary.runs.config import flat_settings
from plenary.runs.files import staged, write_text
from plenary.runs.models import citizens_models
from plenary.runs.records.assembly import AssemblyRecord, ConsensusRecord
from plenary.runs.records.base import read_record, write_record
from plenary.runs.records.panel import FidelityRecord, PopulationRecord
from plenary.runs.workspace import Workspace
from plenary.stages.diagnostics import Diagnosis, diagnose
from plenary.training_rows import SoftRow

FILE = "consensus.parquet"
CARD = "README.md"
METADATA = "croissant.json"
RowFormat = Literal["soft", "sft", "dpo"]
Rows = Sequence[SoftRow] | Sequence[SftRow] | Sequence[DpoRow]
FORMATS: dict[RowFormat, Callable[[ConsensusDataset], Rows]] = {
    "soft": ConsensusDataset.to_soft,
    "sft": to_sft,
    "dpo": to_dpo,
}


def make_dataset(space: Workspace) -> None:
    """Write diagnostics.json and the folder of the dataset with its card and metadata."""
    found = diagnose(space)
    write_record(found.record, space.file(filenames.DIAGNOSTICS))
    made = build_dataset(held(space, found), space.config.comparison.level, space.consensus)
    folder = space.file(filenames.DATASET)
    folder.mkdir(exist_ok=True)
    sides = {f"{side}.parquet": np.array(made.split) == side for side in SPLITS}
    for name, rows in {FILE: np.ones(len(made), dtype=bool), **sides}.items():
        with staged(folder / name) as path:
            made.select(rows).write(path)
    facts = card_facts(space, found.record.not_measured)
    write_text(folder / CARD, dataset_card(made, facts, found.budget, found.curve))
    write_text(folder / METADATA, croissant(made, facts, folder / FILE, found.budget))


def held(space: Workspace, found: Diagnosis) -> HeldAssembly:
    """The run's assembly in the form that the dataset needs."""
    with Ledger(space.ledger) as ledger:
        calls = ledger.ballot_calls(len(space.plan.pairs))
    return HeldAssembly(
        votes=space.votes,
        outcomes=space.plan.outcomes,
        pairs=space.plan.pairs,
        held_out=space.held_out_mask,
        weights=space.panel.weight,
        clusters=space.seating.group_of(),
        attributes=space.categories(space.config.dataset.strata),
        provenance=_provenance(space),
        statements=space.transcript,
        merit=found.merit,
        unread=space.reading.unread,
        samples=space.config.assembly.samples,
        calls=calls,
    )


def _provenance(space: Workspace) -> DatasetProvenance:
    assembly = read_record(AssemblyRecord, space.file(filenames.ASSEMBLY))
    fidelity = read_record(FidelityRecord, space.file(filenames.FIDELITY))
    decided = read_record(ConsensusRecord, space.file(filenames.DECISION))
    several = tuple(citizens_models(space.config))
    files = (filenames.PLAN, filenames.PANEL, filenames.VOTES, filenames.STATEMENTS)
    return DatasetProvenance(
        persona_ids=tuple(persona.id for persona in space.panel),
        persona_weights=tuple(space.panel.weight.tolist()),
        models=several if len(several) > 1 else (assembly.backend,),
        templates={
            "persona": f"{fidelity.prompt_version} {fidelity.prompt_hash}",
            "assembly": f"{assembly.prompt_version} {assembly.prompt_hash}",
            "optional phases": PHASE_HASH,
        },
        settings={
            name: json.dumps(value)
            for name, value in flat_settings(space.config).items()
            if name.startswith(("assembly.", "panel.", "profile.", "dataset.rule"))
        }
        | {"dataset.rule": json.dumps(decided.rule)},
        inputs={
            "population": read_record(PopulationRecord, space.file(filenames.POPULATION)).sha256,
            **{name: content_hash(space.file(name)) for name in files},
        },
        seed=space.seed,
        version=plenary.__version__,
    )


def card_facts(space: Workspace, not_measured: dict[str, str]) -> CardFacts:
    """Facts about the dataset from the user, and about the population from the run."""
    given, run = space.config.dataset, space.run.manifest
    population = read_record(PopulationRecord, space.file(filenames.POPULATION))
    fidelity = read_record(FidelityRecord, space.file(filenames.FIDELITY))
    return CardFacts(
        name=run.name,
        population=f"{population.source} ({population.rows:,} records)",
        geography=population.universe,
        variables=tuple(margin.name for margin in fidelity.margins),
        licence=given.licence,
        census_citation=f"{population.source}, sha256 {population.sha256}",
        creator=given.creator,
        contact=given.contact,
        removal=given.removal,
        url=given.url,
        published=given.published or f"{run.created:%Y-%m-%d}",
        version=given.version,
        validation=given.validation,
        not_measured=not_measured,
        unread=space.reading.unread,
    )


def write_rows(space: Workspace, form: RowFormat, path: Path) -> int:
    """Write the training split as JSON lines, in both orders; returns the number of rows."""
    rows = FORMATS[form](ConsensusDataset.read(space.file(filenames.DATASET) / FILE))
    write_text(path, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
    return len(rows)
