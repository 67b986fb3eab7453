"""The command `plenary retention`: declarations only, so that help stays instant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plenary.cli.options import AsJson, Debug, calm, show

app = typer.Typer()


@app.command(epilog="Example: plenary retention runs/quickstart")
def retention(
    run: Annotated[Path, typer.Argument(help="A run directory with a trained model.")],
    harness: Annotated[
        Path | None,
        typer.Option(help="Folder of lm_eval tasks with local data; needs the extra harness."),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Only this task of the folder; may be repeated.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Items a task; default all.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what training kept of the base model; run standard tasks before and after."""
    calm()
    from plenary.commands.retention import harness_rows, kept_rows, run_harness

    rows = kept_rows(run)
    if harness is not None:
        rows |= harness_rows(run_harness(run, harness, task or (), limit))
    show(f"what training kept: {run}", rows, as_json)
