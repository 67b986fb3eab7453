"""The verb `plenary evaluate`: declarations only, so that help stays instant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from plenary.app.cli_parts import (
    AsJson,
    Config,
    Debug,
    DryRun,
    ExecutorOption,
    Set,
    Workers,
    calm,
    show,
)

app = typer.Typer()


@app.command(epilog="Example: plenary evaluate --suite core --model embedded")
def evaluate(
    config: Config = None,
    set_: Set = None,
    suite: Annotated[str, typer.Option(help="core (minutes) or full.")] = "core",
    battery: Annotated[
        list[str] | None, typer.Option(help="Only this battery; may be repeated.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Any backend; default the config's.")] = None,
    adapter: Annotated[Path | None, typer.Option(help="Adapter of the model.")] = None,
    out: Annotated[Path, typer.Option(help="File of results; calls are kept beside it.")] = Path(
        "batteries/results.json"
    ),
    executor: ExecutorOption = "local",
    workers: Workers = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Measure a model with the batteries of the paper: elicited choices, never inner values."""
    if suite not in ("core", "full"):
        raise typer.BadParameter(f"{suite!r} is neither core nor full", param_hint="--suite")
    calm()
    from plenary.app.config import load_config
    from plenary.app.evaluate_verbs import ask, calls_planned, request_of, tables
    from plenary.app.tasks import make_executor

    changes = [*([f"model={model}"] if model else []), *(set_ or [])]
    request = request_of(load_config(config, changes), suite, battery or (), adapter, out)
    if dry_run:
        show("evaluate", calls_planned(request), as_json)
        return
    crew = make_executor(executor, workers, request.config)
    results = ask(request, crew, quiet=as_json)
    if as_json:
        print(json.dumps([found.model_dump(mode="json") for found in results]))
        return
    for title, rows in tables(results):
        show(title, rows, as_json=False)
    show("evaluate", {"results": str(out), "batteries": len(results)}, as_json=False)
