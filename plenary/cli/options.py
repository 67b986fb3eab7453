"""Options shared by several commands, running stages for a command, and printing its result.

Modules of plenary.cli only declare commands. Libraries are imported inside the functions that need
them, so that --help is instant.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from plenary.pipeline.stage import Stage
    from plenary.runs.config import PipelineConfig
    from plenary.runs.directory import Exists
    from plenary.runs.workspace import Workspace

INTERRUPTED = 130
RUNS = Path("runs")
Config = Annotated[
    str | None,
    typer.Argument(
        metavar="[CONFIG]", help="YAML file, name of a shipped preset, or a run directory."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=VALUE", help="Change a setting; may be repeated."),
]
Name = Annotated[str | None, typer.Option(help="Name of the run directory.")]
Out = Annotated[Path, typer.Option(help="Folder of run directories.")]
ExistsOption = Annotated[
    str,
    typer.Option(
        "--exists",
        help="When the run directory exists: error; resume under the same settings; redo what "
        "other settings ask for; or replace the whole run.",
    ),
]
Outcomes = Annotated[
    Path | None, typer.Option(help="Catalogue of outcomes: .yaml, .json, .csv, .tsv or .jsonl.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the number of calls and tokens; ask no model.")
]
ExecutorOption = Annotated[
    str,
    typer.Option(
        "--executor", help="Where the work is done: local (this process), processes or ray."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(help="Number of processes, or of Ray tasks at once; default: one per core."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Print the result only, no settings or progress.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def refuse_dry_run(dry_run: bool) -> None:
    """Refuse --dry-run for a command on a whole run."""
    if dry_run:
        raise typer.BadParameter(
            "--dry-run here is for files of votes; to estimate a run, use plenary run --dry-run",
            param_hint="--dry-run",
        )


def through(
    last: str,
    source: str | None,
    overrides: list[str],
    name: str | None,
    out: Path,
    exists: str,
    quiet: bool,
    executor: str = "local",
    workers: int | None = None,
) -> Workspace:
    """Run the stages up to `last` under the settings given on the command line."""
    calm()
    from plenary.cli.console import print_settings, watching
    from plenary.runs.config import load_config

    name, out = run_place(source, name, out)
    config: PipelineConfig = load_config(source, named(name, overrides))
    stages = _stages(last)
    from plenary.pipeline.run import run_stages
    from plenary.runs.workers import make_executor

    if not quiet:
        print_settings(config, out / config.name / "config.yaml")
    crew = make_executor(executor, workers, config)
    chosen: Exists = exists  # pyright: ignore[reportAssignmentType]
    try:
        with watching(quiet=quiet) as watcher:
            return run_stages(config, out, chosen, stages, watcher, crew)
    except KeyboardInterrupt as stop:
        print(
            "interrupted; what was recorded is kept, continue with --exists resume", file=sys.stderr
        )
        raise typer.Exit(INTERRUPTED) from stop


def run_place(source: str | None, name: str | None, out: Path) -> tuple[str | None, Path]:
    """Name and folder of the run, taken from the run directory if one is given as the config."""
    path = Path(source or "")
    if source is None or name is not None or not (path / "manifest.json").is_file():
        return name, out
    path = path.resolve()
    return path.name, path.parent if out == RUNS else out


def named(name: str | None, changes: list[str] | None) -> list[str]:
    """The changes of the command line, including --name, so that it is validated like a setting."""
    return [*(changes or []), *([f"name={json.dumps(name)}"] if name else [])]


def show_file(path: Path, as_json: bool) -> None:
    """Print a JSON file of a run."""
    show(str(path), json.loads(path.read_text(encoding="utf-8")), as_json)


def show(title: str, content: Mapping[str, object], as_json: bool) -> None:
    """Print named values, as a table or as one JSON object."""
    from plenary.cli.console import print_content

    if as_json:
        print(json.dumps(dict(content)))
    else:
        print_content(title, content)


def show_estimate(
    source: str | None, changes: list[str], as_json: bool, last: str | None = None
) -> None:
    """Print what a run, or its part up to the stage `last`, would ask and cost, stage by stage."""
    calm()
    from plenary.cli.console import cost_lines, print_rows
    from plenary.pipeline.estimate import estimate
    from plenary.runs.config import load_config

    config = load_config(source, changes)
    stages = _stages(last)
    part, trains = {stage.name for stage in stages}, any(stage.check for stage in stages)
    costs = [cost for cost in estimate(config, stages) if last is None or cost.stage in part]
    if as_json:
        print(json.dumps([cost._asdict() for cost in costs]))
        return
    lines = list(cost_lines(costs))
    if last is not None and trains:
        from plenary.stages.training import training_size

        rows, steps = training_size(config)
        told = f"{rows:,} rows, {steps:,} steps of {config.alignment.batch} rows, time unknown"
        lines.insert(-1, ("align", told))
    without = "; without training and the measures after it" if last is None else ""
    print_rows(f"what it would ask (tokens estimated{without})", lines)


def _stages(last: str | None) -> tuple[Stage, ...]:
    """The stages up to `last`; without one, all that ask and need no training library."""
    # Training libraries take seconds to import, and the early stages do not need them.
    from plenary.pipeline.assembly import ASSEMBLY_STAGES as stages

    names = [stage.name for stage in stages]
    if last is not None and last not in names:
        from plenary.pipeline.chain import CHAIN as stages

        names = [stage.name for stage in stages]
    return stages if last is None else stages[: names.index(last) + 1]


def calm() -> None:
    """Stop libraries from drawing bars, sending telemetry and starting threads that break forks."""
    for name, value in {
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "LANGSMITH_TRACING": "false",
    }.items():
        os.environ.setdefault(name, value)


def add_command(group: typer.Typer, called: str, stage: str, shown: str, text: str) -> None:
    """Add a command that runs the chain up to a stage and prints one of its files."""
    words = called if group.info.name == "plenary" else f"{group.info.name} {called}"

    @group.command(called, help=text, epilog=f"Example: plenary {words} quickstart --set seed=1")
    def command(
        config: Config = None,
        set_: Set = None,
        name: Name = None,
        out: Out = Path("runs"),
        exists: ExistsOption = "resume",
        executor: ExecutorOption = "local",
        workers: Workers = None,
        dry_run: DryRun = False,
        quiet: Quiet = False,
        as_json: AsJson = False,
        debug: Debug = False,
    ) -> None:
        if dry_run:
            show_estimate(config, named(name, set_), as_json, stage)
            return
        calmly = quiet or as_json
        space = through(stage, config, set_ or [], name, out, exists, calmly, executor, workers)
        show_file(space.file(shown), as_json)
