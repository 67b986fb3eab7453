"""Stages `census` and `recruit`: loading the population and drawing the panel."""

from __future__ import annotations

import numpy as np

from census_data.fidelity import panel_fidelity
from personas.panel_file import data_sheet, write_panel
from personas.prompt import TEMPLATE_HASH, TEMPLATE_VERSION
from personas.representativeness import representativeness
from personas.sampling.recruit import recruit
from plenary.runs import filenames
from plenary.runs.files import staged, write_text
from plenary.runs.records.base import write_record
from plenary.runs.records.panel import (
    CategoryRecord,
    FidelityRecord,
    MarginRecord,
    PopulationRecord,
    SharesRecord,
)
from plenary.runs.workspace import Workspace


def census(space: Workspace) -> None:
    """Load the population, check its hash, and record what it is."""
    population = space.population
    source = population.source
    record = PopulationRecord(
        source=source.source,
        year=source.year,
        universe=source.universe,
        sha256=source.sha256,
        rows=len(population),
        weight_sum=float(population.weight.sum()),
        imputed_share=population.imputed_share,
        imputed_columns=source.imputed_columns,
        notes=source.notes,
    )
    write_record(record, space.file(filenames.POPULATION))
    space.run.record_inputs({"population": source.sha256})


def recruit_panel(space: Workspace) -> None:
    """Draw the panel and measure how far its margins are from the population's."""
    panel = recruit(space.population, space.config.panel, space.seed)
    with staged(space.file(filenames.PANEL)) as path:
        write_panel(panel, path)
    write_text(space.file(filenames.PANEL_SHEET), data_sheet(panel))
    rows = np.array([persona.row_id for persona in panel])
    told = panel_fidelity(space.population, rows, panel.weight)
    # One cell: all are the same, usually because the survey has no such column.
    margins = [margin for margin in told if margin.cells > 1] or told
    record = FidelityRecord(
        citizens=len(panel),
        effective_size=panel.effective_size,
        imputed_share=panel.imputed_share,
        margins=tuple(MarginRecord(**margin._asdict()) for margin in margins),
        prompt_version=TEMPLATE_VERSION,
        prompt_hash=TEMPLATE_HASH,
    )
    write_record(record, space.file(filenames.FIDELITY))
    known = {margin.name for margin in margins}
    shares = (s for s in representativeness(space.population, panel) if s.attribute in known)
    categories = tuple(CategoryRecord(**share._asdict()) for share in shares)
    write_record(SharesRecord(categories=categories), space.file(filenames.SHARES))
