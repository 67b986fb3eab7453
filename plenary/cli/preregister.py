"""The commands `plenary preregister draft`, `lock` and `check`: options and help texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plenary.cli.options import AsJson, Config, Debug, Set, show

app = typer.Typer()
preregister = typer.Typer(
    no_args_is_help=True,
    help="Preregister: decide before any data what will be measured, and lock the plan.",
)
app.add_typer(preregister, name="preregister")

PlanFile = Annotated[Path, typer.Argument(help="A plan (YAML); its lock lies beside it.")]


@preregister.command(epilog="Example: plenary preregister draft quickstart --output plan.yaml")
def draft(
    config: Config = None,
    set_: Set = None,
    output: Annotated[Path, typer.Option(help="File to write the plan to.")] = Path("plan.yaml"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a plan with a config's settings, for you to edit and lock."""
    from plenary.commands.preregister import draft_plan
    from plenary.runs.config import load_config

    show("plan", draft_plan(load_config(config, set_ or []), output), as_json)


@preregister.command(epilog="Example: plenary preregister lock plan.yaml")
def lock(path: PlanFile, as_json: AsJson = False, debug: Debug = False) -> None:
    """Lock a plan before any data; a run with --set analysis_plan=PLAN is compared with it."""
    from plenary.commands.preregister import lock_now

    show("plan", lock_now(path), as_json)


@preregister.command(epilog="Example: plenary preregister check plan.yaml")
def check(path: PlanFile, as_json: AsJson = False, debug: Debug = False) -> None:
    """Check that a plan is locked and unchanged; exit code 1 if it is not."""
    from plenary.commands.preregister import check_plan

    found = check_plan(path)
    show("plan", found, as_json)
    raise typer.Exit(0 if found["holds"] else 1)
