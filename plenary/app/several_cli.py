"""The verb `plenary evaluate-models`: declarations only, so that help stays instant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plenary.app.cli_parts import AsJson, Config, Debug, Set, calm
from plenary.app.evaluate_cli import Suite, show_results

app = typer.Typer()


@app.command(
    "evaluate-models",
    epilog="Example: plenary evaluate-models --model embedded --model local:PATH",
)
def evaluate_models(
    model: Annotated[
        list[str] | None, typer.Option(help="Any backend; at least two, or an adapter.")
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option(help="Instead of models: finished runs, to compare steering over sizes."),
    ] = None,
    parameters: Annotated[
        list[float] | None, typer.Option(help="Parameters of each model, in order: against size.")
    ] = None,
    family: Annotated[
        list[str] | None, typer.Option(help="Family of each model or run, in order; default one.")
    ] = None,
    adapter: Annotated[
        Path | None, typer.Option(help="Of the first model: it counts as a further one.")
    ] = None,
    config: Config = None,
    set_: Set = None,
    suite: Suite = "core",
    out: Annotated[Path, typer.Option(help="File of results; calls are kept beside it.")] = Path(
        "batteries/models.json"
    ),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compare several models: likeness without noise, figures against size, a probe's transfer."""
    if bool(model) == bool(run):
        raise typer.BadParameter("give either --model or --run", param_hint="--model")
    calm()
    from plenary.app.config import load_config
    from plenary.app.several_verbs import Several, ask_several, compare_runs

    settings = load_config(config, set_ or [])
    if run:
        results = compare_runs(run, family or (), settings, out)
    else:
        sizes, families = tuple(parameters or ()), tuple(family or ())
        several = Several(tuple(model or ()), sizes, families, adapter)
        results = ask_several(several, settings, suite, out)
    show_results("evaluate-models", results, {"results": str(out)}, as_json)
