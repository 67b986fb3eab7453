"""The commands `plenary census show`, `fetch`, `import` and `rake`: options and help texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plenary.cli.options import AsJson, Debug, add_command, show

if TYPE_CHECKING:
    from plenary.commands.census import Fetched, Imported, RakedFolder

app = typer.Typer(
    name="census", help="Populations: show, fetch, import, rake.", no_args_is_help=True
)
add_command(app, "show", "census", "population.json", "Load the population and say what it is.")


@app.command(epilog="Example: plenary census fetch --geo us --tables B21001")
def fetch(
    year: Annotated[int, typer.Option(help="Year of the survey.")] = 2024,
    survey: Annotated[str, typer.Option(help="acs1 or acs5.")] = "acs5",
    geo: Annotated[str, typer.Option(help="us, state:06, state:*, county:06037, county:06*.")] = (
        "us"
    ),
    tables: Annotated[str, typer.Option(help="Detailed tables, comma-separated.")] = "",
    pums: Annotated[
        str, typer.Option(help="States whose microdata zip files to download: postal codes.")
    ] = "",
    records: Annotated[
        str, typer.Option(help="States whose microdata to request from the API: FIPS codes.")
    ] = "",
    out: Annotated[Path, typer.Option(help="Folder for the fetched files.")] = Path("census"),
    cache: Annotated[Path, typer.Option(help="Folder for cached answers.")] = Path("census/cache"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Fetch survey tables (key in CENSUS_API_KEY) or microdata from the Census Bureau."""
    from plenary.commands import census as commands

    chosen = [part for part in (tables, pums, records) if part]
    if len(chosen) != 1:
        raise typer.BadParameter("name --tables, --pums or --records", param_hint="--tables")
    names = chosen[0].split(",")
    if tables:
        show(
            "plenary census",
            commands.rows_of(commands.fetch_tables(year, survey, geo, names, out, cache)),
            as_json,
        )
    elif pums:
        _show(commands.fetch_zips(year, names, out), as_json)
    else:
        show(
            "plenary census",
            commands.rows_of(commands.fetch_records(year, survey, names, out, cache)),
            as_json,
        )


@app.command("import", epilog="Example: plenary census import people.csv --mapping map.yaml")
def import_(
    files: Annotated[list[Path], typer.Argument(help="A table, or psam_p*.csv files or zips.")],
    mapping: Annotated[Path | None, typer.Option(help="What the table's columns mean.")] = None,
    housing: Annotated[
        list[Path] | None, typer.Option(help="psam_h*.csv or its zip; may be repeated.")
    ] = None,
    year: Annotated[int, typer.Option(help="Year of the microdata files.")] = 2024,
    out: Annotated[Path, typer.Option(help="Folder for the population.")] = Path("population"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make a population from your own table or from the Census Bureau's microdata files."""
    from plenary.commands import census as commands

    show(
        "plenary census",
        commands.rows_of(commands.import_files(files, mapping, housing or [], year, out)),
        as_json,
    )


@app.command("rake", epilog="Example: plenary census rake --margins margins.yaml --highest 5")
def rake_(
    folder: Annotated[
        Path | None, typer.Option(help="Population to rake; default: the packaged one.")
    ] = None,
    margins: Annotated[
        list[Path] | None, typer.Option(help="YAML or CSV file of margins; may be repeated.")
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(help="Margin of the reference, such as sex or sex*age; may be repeated."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="Population in which --to is counted; default: the packaged one."),
    ] = None,
    shares: Annotated[
        bool, typer.Option(help="Scale each margin to the people it covers.")
    ] = False,
    everybody: Annotated[
        bool, typer.Option(help="Keep non-citizens and people in group quarters.")
    ] = False,
    lowest: Annotated[
        float, typer.Option(help="Smallest weight, as a multiple of the mean.")
    ] = 0.0,
    highest: Annotated[
        float | None, typer.Option(help="Largest weight, as a multiple of the mean.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the raked population.")] = Path("raked"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Rake the weights of a population to margins and report how well they are met."""
    from plenary.commands import census as commands

    result = commands.rake_population(
        commands.chosen(folder, everybody), margins or [], reference, to or [],
        commands.bounds(lowest, highest), shares, out,
    )  # fmt: skip
    _show(result, as_json)


def _show(result: Fetched | Imported | RakedFolder, as_json: bool) -> None:
    from plenary.commands.census import rows_of

    show("plenary census", rows_of(result), as_json)
