"""The command `plenary audit` (hiring audit): options and help texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plenary.cli.options import (
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


@app.command(epilog="Example: plenary audit audit_embedded --dry-run")
def audit(
    config: Config = None,
    set_: Set = None,
    adapter: Annotated[
        Path | None, typer.Option(help="Adapter of the model after training: audit both.")
    ] = None,
    cues: Annotated[
        Path | None, typer.Option(help="Your own file of cues; default: two invented regions.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for answers and findings.")] = Path("audit"),
    executor: ExecutorOption = "local",
    workers: Workers = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Audit hiring decisions of the model for background cues and undisclosed reasons."""
    calm()
    from plenary.commands.audit import audit_models
    from plenary.runs.config import load_config
    from plenary.runs.workers import make_executor
    from plenary.stages.measures import audit_request

    request = audit_request(load_config(config, set_ or []), cues, adapter, out)
    crew = make_executor(executor, workers, request.config)
    found = {"calls": request.plan.calls} if dry_run else audit_models(request, crew)
    show("hiring audit, synthetic resumes", found, as_json)
