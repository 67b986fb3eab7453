"""The commands `plenary evaluate` and `evaluate-models` (batteries): options and help texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from plenary.cli.options import (
    AsJson,
    Config,
    Debug,
    DryRun,
    ExecutorOption,
    Name,
    Set,
    Workers,
    calm,
    named,
    run_place,
    show,
)

if TYPE_CHECKING:
    from evaluation.batteries.base import BatteryResult


app = typer.Typer()

Suite = Annotated[Literal["core", "full"], typer.Option(help="core (minutes) or full.")]


@app.command(epilog="Example: plenary evaluate --suite core --model embedded")
def evaluate(
    config: Config = None,
    set_: Set = None,
    suite: Suite = "core",
    battery: Annotated[
        list[str] | None, typer.Option(help="Only this battery; may be repeated.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Any backend; default: the config's model.")
    ] = None,
    adapter: Annotated[Path | None, typer.Option(help="Adapter to load onto the model.")] = None,
    after: Annotated[
        bool, typer.Option("--after", help="Ask the finished run's model as it is after training.")
    ] = False,
    name: Name = None,
    runs: Annotated[Path, typer.Option(help="Folder of run directories.")] = Path("runs"),
    out: Annotated[
        Path | None,
        typer.Option(
            help="File for the results; a cache of calls is kept beside it. Default: the folder "
            "batteries of the config's finished run, where the report finds it; else "
            "batteries/results.json."
        ),
    ] = None,
    executor: ExecutorOption = "local",
    workers: Workers = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure a model with the paper's batteries: elicited choices, never inner values."""
    calm()
    from plenary.commands.evaluate import ask, calls_planned, finished_run, place_of, request_of
    from plenary.runs.config import load_config
    from plenary.runs.workers import make_executor

    name, runs = run_place(config, name, runs)
    changes = [*([f"model={model}"] if model else []), *named(name, set_)]
    settings = load_config(config, changes)
    run = finished_run(settings, runs) if config or name else None
    request = request_of(settings, suite, battery or (), place_of(run, adapter, out, after=after))
    if dry_run:
        show("evaluate", calls_planned(request), as_json)
        return
    crew = make_executor(executor, workers, request.config)
    results = ask(request, crew, quiet=as_json)
    where = {"results": str(request.out), "batteries": str(len(results))}
    if request.run is not None:
        where["show"] = f"plenary report {request.run}"
    show_results("evaluate", results, where, as_json)


def show_results(
    title: str, results: Sequence[BatteryResult], where: dict[str, str], as_json: bool
) -> None:
    """Print the batteries' findings and their file, or the results as one JSON array."""
    from plenary.commands.evaluate import tables

    if as_json:
        print(json.dumps([found.model_dump(mode="json") for found in results]))
        return
    for heading, rows in (*tables(results), (title, where)):
        show(heading, rows, as_json=False)


@app.command(
    "evaluate-models",
    epilog="Example: plenary evaluate-models --model embedded --model local:PATH",
)
def evaluate_models(
    model: Annotated[
        list[str] | None,
        typer.Option(help="Any backend; give at least two, or one and an adapter."),
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option(
            help="Finished runs, instead of models, to compare the gain over model sizes."
        ),
    ] = None,
    parameters: Annotated[
        list[float] | None,
        typer.Option(
            help="Number of parameters of each model, in order, to set figures against size."
        ),
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option(help="Family of each model or run, in order; default: all one family."),
    ] = None,
    adapter: Annotated[
        Path | None,
        typer.Option(help="Adapter of the first model; with it, that model counts as one more."),
    ] = None,
    config: Config = None,
    set_: Set = None,
    suite: Suite = "core",
    out: Annotated[
        Path, typer.Option(help="File for the results; a cache of calls is kept beside it.")
    ] = Path("batteries/models.json"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compare models: similarity corrected for noise, figures against size, transfer of a probe."""
    if bool(model) == bool(run):
        raise typer.BadParameter("give either --model or --run", param_hint="--model")
    calm()
    from plenary.commands.evaluate_models import Several, ask_several, compare_runs
    from plenary.runs.config import load_config

    settings = load_config(config, set_ or [])
    if run:
        results = compare_runs(run, family or (), settings, out)
    else:
        sizes, families = tuple(parameters or ()), tuple(family or ())
        several = Several(tuple(model or ()), sizes, families, adapter)
        results = ask_several(several, settings, suite, out)
    show_results("evaluate-models", results, {"results": str(out)}, as_json)
