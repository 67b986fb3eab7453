"""The commands `plenary preregister draft`, `lock` and `check`: what is decided before any data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plenary.cli.options import AsJson, Config, Debug, Set, show

app = typer.Typer()
preregister = typer.Typer(
    no_args_is_help=True, help="Decide in advance what is measured, and lock it."
)
app.add_typer(preregister, name="preregister")

PlanFile = Annotated[Path, typer.Argument(help="A plan (YAML); its lock lies beside it.")]


@preregister.command(epilog="Example: plenary preregister draft quickstart --output plan.yaml")
def draft(
    config: Config = None,
    set_: Set = None,
    output: Annotated[Path, typer.Option(help="Where the plan is written.")] = Path("plan.yaml"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a plan with the settings of a config, to be edited and locked."""
    from plenary.commands.preregister import draft_plan
    from plenary.runs.config import load_config

    show("plan", draft_plan(load_config(config, set_ or []), output), as_json)


@preregister.command(epilog="Example: plenary preregister lock plan.yaml")
def lock(path: PlanFile, as_json: AsJson = False, debug: Debug = False) -> None:
    """Lock a plan before any data; run with --set analysis_plan=PLAN to be held against it."""
    from plenary.commands.preregister import lock_now

    show("plan", lock_now(path), as_json)


@preregister.command(epilog="Example: plenary preregister check plan.yaml")
def check(path: PlanFile, as_json: AsJson = False, debug: Debug = False) -> None:
    """Say whether a plan is locked and unchanged; exit code 1 if it is not."""
    from plenary.commands.preregister import check_plan

    found = check_plan(path)
    show("plan", found, as_json)
    raise typer.Exit(0 if found["holds"] else 1)
