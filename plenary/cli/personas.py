"""The commands `plenary personas draw`, `check`, `validate` and others: options and help texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plenary.cli.options import AsJson, Debug, show

if TYPE_CHECKING:
    from plenary.runs.workspace import Workspace

app = typer.Typer(
    name="personas",
    help="Draw, export, compare and validate simulated citizens.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Citizens = Annotated[int, typer.Option(help="Number of citizens.")]
Method = Annotated[
    str | None, typer.Option(help="swap, simple, systematic, stratified or lottery.")
]
By = Annotated[str | None, typer.Option(help="Attributes to represent, separated by commas.")]
Quotas = Annotated[Path | None, typer.Option("--quota", help="YAML, JSON or CSV of quotas.")]
Figure = Annotated[
    Path | None, typer.Option(help="Figure comparing panel and population: .svg or .png.")
]
Seed = Annotated[int, typer.Option(help="Seed of the draw.")]


def panel_changes(by: str | None, quota: Path | None, method: str | None) -> list[str]:
    """The options of `recruit` as changes of the config."""
    changes = [] if by is None else [f"panel.by=[{by}]"]
    if quota is not None:
        from plenary.commands import personas as commands

        changes.append(f"panel.quotas={commands.quotas_as_json(quota)}")
    return changes if method is None else [*changes, f"panel.method={method}"]


def run_figure(space: Workspace, path: Path) -> None:
    """Write the figure of a run's panel."""
    from plenary.figures.panel import read_shares, write_figure
    from plenary.runs.filenames import SHARES

    write_figure(read_shares(space.file(SHARES)), path)


@app.command(epilog="Example: plenary personas draw panel.jsonl --citizens 100 --figure panel.svg")
def draw(
    path: Annotated[Path, typer.Argument(help="Panel file to write: .jsonl, .csv or .parquet.")],
    citizens: Citizens = 100,
    method: Method = None,
    by: By = None,
    quota: Quotas = None,
    seed: Seed = 0,
    figure: Figure = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Draw a panel, write it with its data sheet, and compare it with the population."""
    from plenary.commands import personas as commands

    rows = commands.draw(path, citizens, method, by, quota, seed, figure)
    show(f"panel {path}", rows, as_json)


@app.command(epilog="Example: plenary personas check mine.csv")
def check(
    path: Annotated[Path, typer.Argument(help="Your own panel file.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check your own personas and describe them: a panel file, or any table of people.

    A table needs no ids: its people are numbered in their order. A column description is what a
    citizen's model is told; otherwise the text is made from the other columns.
    """
    from plenary.commands import personas as commands

    show(f"panel {path}", commands.check(path), as_json)


@app.command(epilog="Example: plenary personas stream people.jsonl --count 100000")
def stream(
    path: Annotated[Path, typer.Argument(help="File with one persona per line.")],
    count: Annotated[int, typer.Option(help="Number of personas.")] = 10_000,
    seed: Seed = 0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write any number of personas with their descriptions, drawn in proportion to weight."""
    from plenary.commands import personas as commands

    show(f"personas {path}", commands.stream(path, count, seed), as_json)


@app.command(epilog="Example: plenary personas validate --model embedded --citizens 60")
def validate(
    model: Annotated[
        str, typer.Option(help="A backend, or one of the baselines survey:shares, survey:marginal.")
    ] = "embedded",
    citizens: Citizens = 60,
    survey: Annotated[Path | None, typer.Option(help="Folder of your own survey.")] = None,
    items: Annotated[str | None, typer.Option(help="Items to ask, separated by commas.")] = None,
    rendering: Annotated[str, typer.Option(help="second, first, facts, interview.")] = "second",
    stability: Annotated[
        bool, typer.Option(help="Ask again with paraphrased descriptions and other names.")
    ] = True,
    seed: Seed = 0,
    base_url: Annotated[str | None, typer.Option(help="Endpoint of a langchain: model.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compare personas with a survey of real people, and with three baselines."""
    from plenary.commands import personas as commands

    found = commands.validate_model(
        model, citizens, survey, items, rendering, stability, seed, base_url
    )
    if as_json:
        print(commands.validation_json(found))
    else:
        show(f"{found.backend} against the {found.survey}", commands.validation_rows(found), False)


@app.command(epilog="Example: plenary personas diversity panel.jsonl")
def diversity(
    path: Annotated[Path, typer.Argument(help="Panel file.")],
    encoder: Annotated[str | None, typer.Option(help="A sentence-transformers model.")] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Find near-duplicate descriptions, and how much of the population they cover."""
    from plenary.commands import personas as commands

    show(f"diversity of {path}", commands.panel_diversity(path, encoder, seed), as_json)
