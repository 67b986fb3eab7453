"""The commands `plenary control`, `plenary pool` and `plenary publish`: options and help texts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from plenary.cli.options import (
    AsJson,
    Config,
    Debug,
    ExecutorOption,
    ExistsOption,
    Name,
    Out,
    Set,
    Workers,
    calm,
    show,
    through,
)

app = typer.Typer()


@app.command(epilog="Example: plenary control quickstart --arms assembly,shuffled --seeds 5")
def control(
    config: Config = None,
    set_: Set = None,
    name: Name = None,
    out: Out = Path("runs"),
    exists: ExistsOption = "resume",
    arms: Annotated[str, typer.Option(help="Control arms, separated by commas; or all.")] = "all",
    seeds: Annotated[int, typer.Option(help="Number of seeds for draws and training.")] = 3,
    dose: Annotated[
        list[str] | None, typer.Option(help="data=SHARE, steps=TIMES or rank=N; may be repeated.")
    ] = None,
    rebound: Annotated[
        int,
        typer.Option(
            help="Steps of further training on neutral text, after training toward the assembly."
        ),
    ] = 0,
    by: Annotated[
        str | None, typer.Option(help="Attribute whose strata are compared with each other.")
    ] = None,
    panels: Annotated[
        bool, typer.Option(help="Also train toward each stratum's own decision.")
    ] = False,
    retention: Annotated[
        str | None, typer.Option(help="Retention set: general, embedded or a YAML file.")
    ] = None,
    executor: ExecutorOption = "local",
    workers: Workers = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train toward control targets and at other doses on a run's ballots; finished cells stay."""
    calm()
    from plenary.report.controls import table_rows
    from plenary.report.page import write_report
    from plenary.runs import filenames
    from plenary.stages.control_experiment import ControlRequest, check_request
    from plenary.stages.control_experiment import control_experiment as run_control

    request = ControlRequest(
        ControlRequest().arms if arms == "all" else tuple(arms.split(",")),
        seeds, tuple(dose or ()), rebound, by, panels, retention,
    )  # fmt: skip
    check_request(request)  # a mistake is reported before the assembly is held
    space = through("consensus", config, set_ or [], name, out, exists, as_json, executor, workers)
    table = run_control(space, request, lambda line: print(line, file=sys.stderr))
    if space.file(filenames.REPORT).is_file():
        write_report(space)  # the verdict depends on the control arms
    if as_json:
        print(json.dumps(table.model_dump(mode="json")))
        return
    show(f"arms of {space.config.name}, held-out outcomes", dict(table_rows(table)), False)


@app.command(epilog="Example: plenary pool runs/panel1 runs/panel2")
def pool(
    runs: Annotated[list[Path], typer.Argument(help="Run directories of several panels.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Pool control experiments of several panels: mean and interval over panels for each arm."""
    from plenary.report.controls import pool_rows
    from plenary.runs.records.experiments import read_pool

    arms = read_pool(runs)
    if as_json:
        print(json.dumps([arm.model_dump(mode="json") for arm in arms]))
        return
    show(f"arms over {len(runs)} panels, 95 % intervals over panels", dict(pool_rows(arms)), False)


@app.command(epilog="Example: plenary publish quickstart --base lab/small --folder hub")
def publish(
    base: Annotated[str, typer.Option(help="Name of the base model, as readers know it.")],
    folder: Annotated[Path, typer.Option(help="Folder to write the adapter and its card to.")],
    config: Config = None,
    set_: Set = None,
    name: Name = None,
    out: Out = Path("runs"),
    exists: ExistsOption = "resume",
    licence: Annotated[str, typer.Option(help="Licence of the adapter, SPDX id.")] = "apache-2.0",
    push: Annotated[
        str | None, typer.Option(help="Also upload to this OWNER/NAME, as a private repository.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the adapter of a run with its model card; upload it only with --push."""
    space = through("compare", config, set_ or [], name, out, exists, as_json)
    from plenary.commands.publish import publish as write

    show("adapter", write(space, base, licence, folder, push), as_json)
