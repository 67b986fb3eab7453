"""The command `plenary retention` (what training kept): options and help texts."""

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
        typer.Option(help="Folder of lm_eval tasks with local data; needs the extra `harness`."),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Only this task of the folder; may be repeated.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Items per task; default: all.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show which abilities of the base model training kept; run standard tasks before and after."""
    calm()
    from plenary.commands.retention import harness_rows, kept_rows, run_harness

    rows = kept_rows(run)
    if harness is not None:
        rows |= harness_rows(run_harness(run, harness, task or (), limit))
    show(f"what training kept: {run}", rows, as_json)
