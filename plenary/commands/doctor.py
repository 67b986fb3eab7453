"""`plenary doctor`: checking data, model, versions and folders of this installation."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from census_data.population import load_population
from plenary.errors import PlenaryError
from plenary.outcomes import default_outcomes
from plenary.prompt_templates import LABELS, prompt_template, question
from plenary.runs.config import PipelineConfig
from plenary.runs.directory import package_versions
from plenary.runs.models import EMBEDDED, open_model


class Check(NamedTuple):
    """The result of one check; exit_code is 0 if it passed."""

    name: str
    detail: str
    exit_code: int


def examine(out: Path) -> list[Check]:
    """Run every check; a failure of one does not stop the others."""
    questions: tuple[tuple[str, Callable[[], str]], ...] = (
        ("machine", _machine),
        ("versions", _versions),
        ("population", _population),
        ("outcomes", _outcomes),
        ("embedded model", _embedded),
        ("run directories", lambda: _writable(out)),
    )
    return [_answer(name, ask) for name, ask in questions]


def _answer(name: str, ask: Callable[[], str]) -> Check:
    try:
        return Check(name, ask(), 0)
    except PlenaryError as error:
        return Check(name, str(error), error.exit_code)


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def _versions() -> str:
    return ", ".join(f"{name} {version}" for name, version in package_versions().items())


def _population() -> str:
    population = load_population()
    source = population.source
    year = "" if str(source.year) in source.source else f" {source.year}"
    return f"{len(population):,} records, {source.source}{year}, hash checked"


def _outcomes() -> str:
    catalogue = default_outcomes()
    return f"{len(catalogue)} outcomes in {len(catalogue.topics)} topics"


def _embedded() -> str:
    config = PipelineConfig()
    model = open_model(EMBEDDED, config, config.budget)
    first, second = default_outcomes().texts[:2]
    asked = [question(prompt_template(config.elicitation.template), first, second)]
    choice = asyncio.run(model.choose(asked, LABELS))[0]
    mass = "unknown" if choice.mass is None else f"{choice.mass:.2f}"
    return f"{model.name} answers, label mass {mass}"


def _writable(out: Path) -> str:
    here = next(p for p in (out, *out.absolute().parents) if p.exists())
    writable = os.access(here, os.W_OK)
    return f"{str(out)!r} can be written" if writable else f"{str(here)!r} is read-only; use --out"
