"""`plenary census fetch`, `import` and `rake`: making and raking populations."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from census_data.margins import (
    MarginTarget,
    fit_margins,
    population_margin,
    read_targets,
    write_targets,
)
from census_data.population import Population, PopulationSettings, load_population
from census_data.raking import RakingReport, RakingSettings, rake
from census_data.sources.acs_margins import TABLES, table_margin
from census_data.sources.api import AcsTable, CensusClient, TableSettings, geography
from census_data.sources.download import download
from census_data.sources.mapping import import_table, read_mapping, unstated
from census_data.sources.pums import ENDPOINT_VARIABLES, bulk_address, import_pums, import_records
from census_data.sources.session import HOST, Patience
from census_data.store import write_population
from plenary.errors import ConfigError, DataError
from plenary.table_files import write_csv
from plenary.untrusted import first_fault

ADDRESS_VARIABLE = "CENSUS_BASE_URL"
EVERYBODY = PopulationSettings(group_quarters="include", citizens="all")


class Fetched(NamedTuple):
    """Files written, and the margins among them."""

    files: tuple[str, ...]
    margins: tuple[str, ...]
    places: int
    requests: int


class Imported(NamedTuple):
    """A population in a folder."""

    folder: str
    rows: int
    weight_sum: float
    columns: tuple[str, ...]
    missing_columns: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class RakedFolder(NamedTuple):
    """A folder with a reweighted population, and the report of the raking."""

    folder: str
    report: RakingReport


def fetch_tables(
    year: int, survey: str, places: str, tables: Sequence[str], out: Path, cache: Path
) -> Fetched:
    """Write each table as CSV, and margins.yaml for tables that count adults."""
    client = _client(year, survey, cache)
    found = [client.table(name, geography(places)) for name in tables]
    out.mkdir(parents=True, exist_ok=True)
    files = [_write_table(table, out) for table in found]
    margins = [table_margin(table) for table in found if table.table in TABLES]
    if margins:
        write_targets(margins, out / "margins.yaml")
        files.append(str(out / "margins.yaml"))
    return Fetched(
        files=tuple(files),
        margins=tuple(target.name for target in margins),
        places=len(found[0].places) if found else 0,
        requests=client.session.requests_sent,
    )


def fetch_zips(year: int, states: Sequence[str], out: Path) -> Fetched:
    """Download the person and housing zips of some states."""
    address = os.environ.get(ADDRESS_VARIABLE)
    base = {"base_url": address} if address else {}
    links = [
        bulk_address(state, year, housing=housing, **base)
        for state in states
        for housing in (False, True)
    ]
    paths = [download(link, out / link.rpartition("/")[2], Patience()) for link in links]
    return Fetched(tuple(map(str, paths)), (), len(states), len(links))


def fetch_records(
    year: int, survey: str, states: Sequence[str], out: Path, cache: Path
) -> Imported:
    """A population from the microdata API, state by state (FIPS codes)."""
    client = _client(year, survey, cache)
    rows = [row for state in states for row in client.microdata(state, ENDPOINT_VARIABLES)]
    return _kept(import_records(rows, year), out)


def import_files(
    files: Sequence[Path], mapping: Path | None, housing: Sequence[Path], year: int, out: Path
) -> Imported:
    """Make a population from a table with a mapping, or from the survey's person files."""
    if mapping is None:
        try:
            return _kept(import_pums(files, housing, year), out)
        except DataError as error:
            raise DataError(f"{error}; a table of your own needs --mapping FILE") from error
    if len(files) != 1 or housing:
        raise ConfigError(
            f"a mapping reads one table, not {[str(path) for path in (*files, *housing)]!r}; "
            "join the files first"
        )
    read = read_mapping(mapping)
    return _kept(import_table(files[0], read), out)._replace(warnings=unstated(read))


def rake_population(
    population: PopulationSettings,
    margins: Sequence[Path],
    reference: Path | None,
    columns: Sequence[str],
    settings: RakingSettings,
    shares: bool,
    out: Path,
) -> RakedFolder:
    """Rake a population to margins from files or from another population, and keep it."""
    people = load_population(population)
    targets: list[MarginTarget] = [target for path in margins for target in read_targets(path)]
    if columns:
        model = load_population(EVERYBODY.model_copy(update={"folder": reference}))
        targets += [population_margin(model, name.split("*")) for name in columns]
    raked = rake(people.weight, fit_margins(people, targets, shares=shares), settings)
    note = f"Weights were raked to {', '.join(target.name for target in targets)}."
    source = people.source.model_copy(update={"notes": (*people.source.notes, note)})
    write_population(replace(people, weight=raked.weight, source=source), out)
    return RakedFolder(str(out), raked.report)


def chosen(folder: Path | None, everybody: bool) -> PopulationSettings:
    """Settings of the population in a folder, filtered as in runs unless `everybody` is true."""
    return (EVERYBODY if everybody else PopulationSettings()).model_copy(update={"folder": folder})


def bounds(lowest: float, highest: float | None) -> RakingSettings:
    """Raking settings; ConfigError for impossible bounds."""
    try:
        return RakingSettings(lowest=lowest, highest=highest)
    except ValidationError as error:
        raise ConfigError(
            f"the raking {first_fault(error)}; bounds are multiples of the mean weight, one on "
            "each side of 1"
        ) from error


def rows_of(result: Fetched | Imported | RakedFolder) -> dict[str, object]:
    """A result as plain values, for a table or JSON."""
    plain: dict[str, object] = dict(result._asdict())
    if isinstance(result, RakedFolder):
        report: Mapping[str, object] = result.report._asdict()
        plain = {"folder": result.folder, **report}
        plain["margins"] = [margin._asdict() for margin in result.report.margins]
    return plain


def _client(year: int, survey: str, cache: Path) -> CensusClient:
    if survey not in ("acs1", "acs5"):
        raise ConfigError(f"unknown survey {survey!r}; use acs1 or acs5")
    patience = Patience(base_url=os.environ.get(ADDRESS_VARIABLE, HOST))
    return CensusClient(TableSettings(year=year, survey=survey), patience, cache)


def _write_table(table: AcsTable, out: Path) -> str:
    path = out / f"{table.table}.csv"
    rows = [
        (place, code, name, label, "" if value != value else value)
        for place, code, row in zip(table.places, table.place_codes, table.estimates, strict=True)
        for name, label, value in zip(table.variables, table.labels, row, strict=True)
    ]
    write_csv(path, ("place", "code", "variable", "label", "estimate"), rows)
    return str(path)


def _kept(population: Population, out: Path) -> Imported:
    write_population(population, out)
    missing = tuple(n for n, values in population.columns.items() if bool((values == -2).all()))
    return Imported(
        folder=str(out),
        rows=len(population),
        weight_sum=float(population.weight.sum()),
        columns=tuple(name for name in population.columns if name not in missing),
        missing_columns=missing,
    )
