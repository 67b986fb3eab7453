"""`plenary personas`: drawing, checking, streaming, validating and comparing personas."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError

from census_data.population import load_population
from personas.diversity import DiversitySettings, diversity, open_encoder
from personas.panel_file import PanelRecord, data_sheet, read_panel, write_panel
from personas.persona import Panel, Persona
from personas.prompt import ProfileSettings, describe
from personas.representativeness import representativeness
from personas.sampling.build_personas import stream_personas
from personas.sampling.quotas import read_quotas
from personas.sampling.recruit import PanelSettings, recruit
from personas.survey.survey import load_survey
from personas.survey.validation import Validation, ValidationSettings, planted, validate
from plenary.errors import ConfigError, DataError
from plenary.figures.panel import write_figure
from plenary.models.registry import open_backend
from plenary.results.panel import PERSONA_FIELDS, own_panel
from plenary.runs.models import resolve
from plenary.safe_text import unescape_formula
from plenary.table_files import TABLES, finite, read_rows
from plenary.untrusted import Unreadable, ending, first_fault

SURVEY = "survey:"
# Columns that only a panel file written by plenary has.
PANEL_FACTS = frozenset(PanelRecord.model_fields) - frozenset(Persona.model_fields)
FIGURES = (
    "distance",
    "mean_group_distance",
    "worst_distance",
    "within_ratio",
    "between_ratio",
    "signs",
    "accuracy",
    "reachable",
    "normalised",
)
REFERENCE = 400


def draw(
    path: Path,
    citizens: int,
    method: str | None,
    by: str | None,
    quota: Path | None,
    seed: int,
    figure: Path | None,
) -> dict[str, str]:
    """Draw a panel, write it with its data sheet, and summarise how close it is."""
    values: dict[str, object] = {"citizens": citizens}
    if method is not None:
        values["method"] = method
    if by is not None:
        values["by"] = tuple(name.strip() for name in by.split(",") if name.strip())
    if quota is not None:
        values["quotas"] = read_quotas(quota)
    try:
        settings = PanelSettings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"the panel {first_fault(error)}; change the option") from error
    population = load_population()
    panel = recruit(population, settings, seed)
    write_panel(panel, path)
    path.with_suffix(".md").write_text(data_sheet(panel), encoding="utf-8")
    table = representativeness(population, panel)
    if figure is not None:
        write_figure(table, figure)
    outside = [f"{row.attribute}={row.category}" for row in table if not row.inside]
    return _summary(panel) | {"categories outside the sampling band": ", ".join(outside) or "none"}


def quotas_as_json(path: Path) -> str:
    """The quotas of a file, as a change of settings."""
    return json.dumps([quota.model_dump() for quota in read_quotas(path)])


def check(path: Path) -> dict[str, str]:
    """Read and summarise a panel file, or a table of people of one's own, with or without ids."""
    if ending(path) not in TABLES or path.suffix == ".pq":
        return _summary(read_panel(path))
    rows = read_rows(path, "personas", DataError)
    if not rows or any(name in rows[0] for name in PANEL_FACTS):
        return _summary(read_panel(path))
    people = own_panel(_typed(rows) if ending(path) in (".csv", ".tsv") else rows)
    known = [name for name in people.seats.attributes if name in PERSONA_FIELDS]
    other = [name for name in people.seats.attributes if name not in PERSONA_FIELDS]
    return {
        "citizens": f"{len(people)}",
        "ids": f"{people.seats.ids[0]} to {people.seats.ids[-1]}"
        + ("" if "id" in rows[0] else ", numbered here, as the table has no column id"),
        "attributes that plenary knows": ", ".join(known) or "none",
        "other attributes, told as lines of their own": ", ".join(other) or "none",
        "effective citizens": f"{people.effective_size:.1f}",
        "the first is told": people.describe(0),
    }


def _typed(rows: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """Rows of a CSV: empty cells are None, and columns of numbers only are numbers."""
    cells = [{n: unescape_formula(str(c)).strip() or None for n, c in row.items()} for row in rows]
    typed: list[dict[str, object]] = [dict(row) for row in cells]
    for name in cells[0]:
        if name == "id":
            continue
        try:
            numbers = [None if row[name] is None else finite(row[name]) for row in cells]
        except Unreadable:
            continue
        for row, number in zip(typed, numbers, strict=True):
            row[name] = int(number) if number is not None and number == int(number) else number
    return typed


def stream(path: Path, count: int, seed: int) -> dict[str, str]:
    """Write personas with their descriptions as JSON lines, chunk by chunk."""
    population = load_population()
    started = time.monotonic()
    with path.open("w", encoding="utf-8") as handle:
        for chunk in stream_personas(population, count, seed):
            handle.writelines(
                f"{person.model_dump_json()[:-1]},{json.dumps('text')}:"
                f"{json.dumps(describe(person))}}}\n"
                for person in chunk
            )
    rate = count / (time.monotonic() - started)
    return {"personas": f"{count}", "a second": f"{rate:,.0f}"}


def validate_model(
    model: str,
    citizens: int,
    survey: Path | None,
    items: str | None,
    rendering: str,
    stability: bool,
    seed: int,
    base_url: str | None,
) -> Validation:
    """Ask a model, playing a newly drawn panel, the items of a survey."""
    try:
        profile = ProfileSettings.model_validate({"rendering": rendering})
    except ValidationError as error:
        raise ConfigError(
            f"rendering {rendering!r}; use second, first, facts or interview"
        ) from error
    try:
        wanted = PanelSettings(citizens=citizens)
    except ValidationError as error:
        raise ConfigError(f"--citizens {first_fault(error)}; change it") from error
    asked = load_survey(survey)
    panel = recruit(load_population(), wanted, seed)
    if model.startswith(SURVEY):
        backend = planted(asked, panel, model.removeprefix(SURVEY))
        profile = ProfileSettings()
    else:
        backend = open_backend(resolve(model), base_url=base_url)
    settings = ValidationSettings(
        items=tuple(name for name in (items or "").split(",") if name), stability=stability
    )
    return asyncio.run(validate(backend, panel, asked, settings, profile, seed))


def validation_rows(found: Validation) -> dict[str, str]:
    """Median of each figure over items, for the model and three baselines, and the verdict."""
    rows = {"figure (median over items)": "  ".join(f"{way:>11}" for way in found.scores)}
    for figure in FIGURES:
        values = [found.median(way, figure) for way in found.scores]
        rows[figure.replace("_", " ")] = "  ".join(f"{value:11.3f}" for value in values)
    rows["stability under wording"] = f"{found.wording:.3f}"
    rows["stability under names"] = f"{found.naming:.3f}"
    rows["without a valid answer"] = f"{found.invalid:.1%}"
    rows["verdict"] = "; ".join(found.verdict()) or "neither flattened nor exaggerated"
    rows["survey"] = found.source
    return rows


def validation_json(found: Validation) -> str:
    """Everything as one JSON object; figures that do not apply are null."""
    content = asdict(found)
    content["scores"] = {
        way: [{k: None if v != v else v for k, v in s._asdict().items()} for s in scores]
        for way, scores in found.scores.items()
    }
    content["verdict"] = found.verdict()
    clean = {k: None if isinstance(v, float) and v != v else v for k, v in content.items()}
    return json.dumps(clean, allow_nan=False)


def panel_diversity(path: Path, encoder: str | None, seed: int) -> dict[str, str]:
    """Near-duplicate descriptions in a panel, and its coverage of a sample of the population."""
    panel = read_panel(path)
    settings = DiversitySettings() if encoder is None else DiversitySettings(encoder=encoder)
    sample = next(stream_personas(load_population(), REFERENCE, seed))
    texts = [describe(persona) for persona in panel]
    reference = [describe(persona) for persona in sample]
    found = diversity(texts, reference, open_encoder(settings.encoder), settings)
    pairs = [
        f"{panel.personas[t.first].id} and {panel.personas[t.second].id} ({t.cosine:.3f})"
        for t in found.duplicates[:5]
    ]
    return {
        "near duplicates": f"{len(found.duplicates)}",
        "nearest": ", ".join(pairs) or "none",
        "mean cosine of two citizens": f"{found.mean_cosine:.3f}",
        "population represented": f"{found.coverage:.1%}",
        "mean cosine to the nearest citizen": f"{found.mean_nearest:.3f}",
    }


def _summary(panel: Panel) -> dict[str, str]:
    return {
        "citizens": f"{len(panel)}",
        "method": panel.method,
        "inclusion": ", ".join(sorted({persona.inclusion_kind for persona in panel})),
        "weights meet the margins of": ", ".join(panel.raked) or "nothing: design weights",
        "design effect": f"{panel.design_effect:.3f}",
        "imputed, by weight": f"{panel.imputed_share:.1%}",
    }
