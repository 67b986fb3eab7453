"""The command line `plenary`: all its commands, and how errors and exit codes reach the user."""

from __future__ import annotations

import json
import sqlite3
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer

import plenary
from plenary.cli.assembly import app as assembly
from plenary.cli.audit import app as audit
from plenary.cli.census import app as census
from plenary.cli.control_experiment import app as control_experiment
from plenary.cli.evaluate import app as evaluate
from plenary.cli.evaluate import app as several
from plenary.cli.measure import app as measure
from plenary.cli.options import (
    AsJson,
    Config,
    Debug,
    DryRun,
    ExecutorOption,
    ExistsOption,
    Name,
    Out,
    Quiet,
    Set,
    Workers,
    add_command,
    calm,
    named,
    show,
    show_estimate,
    show_file,
    through,
)
from plenary.cli.personas import By, Figure, Method, Quotas, panel_changes, run_figure
from plenary.cli.personas import app as personas
from plenary.cli.preregister import app as plan
from plenary.cli.retention import app as retention
from plenary.cli.view import app as view
from plenary.errors import DataError, PlenaryError
from plenary.safe_text import redacted, strip_hidden

app = typer.Typer(
    name="plenary",
    help="Simulated citizens' assemblies on census data, and what they do to a model.",
    epilog="Start with: plenary run quickstart",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

# command -> (last stage, file whose content is shown, help)
VERBS = {
    "convene": ("convene", "assembly.json", "Hold the assembly, or continue one that was stopped."),
    "consensus": ("consensus", "consensus.json", "Count the ballots, pair by pair."),
    "align": ("align", "training.json", "Train the model toward the assembly's decision."),
    "report": ("report", "summary.json", "Write the HTML report."),
}


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(plenary.__version__)
        raise typer.Exit


@app.command(epilog="Example: plenary run quickstart --set panel.citizens=120 --name bigger")
def run(
    config: Config = None,
    set_: Set = None,
    name: Name = None,
    out: Out = Path("runs"),
    exists: ExistsOption = "error",
    executor: ExecutorOption = "local",
    workers: Workers = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run the whole chain and print the before/after table."""
    if dry_run:
        show_estimate(config, named(name, set_), as_json)
        return
    from plenary.cli.console import print_summary
    from plenary.runs.records.assembly import Summary
    from plenary.runs.records.base import read_record

    space = through(
        "report", config, set_ or [], name, out, exists, quiet or as_json, executor, workers
    )
    summary = read_record(Summary, space.file("summary.json"))
    if as_json:
        print(json.dumps(summary.model_dump(mode="json")))
    else:
        print_summary(summary)


for _verb, _spec in VERBS.items():
    add_command(app, _verb, *_spec)
app.add_typer(measure)
app.add_typer(audit)
app.add_typer(evaluate)
app.add_typer(several)
app.add_typer(retention)
app.add_typer(plan)
app.add_typer(assembly)
app.add_typer(census)
app.add_typer(personas)
app.add_typer(control_experiment)
app.add_typer(view)


@app.command(epilog="Example: plenary recruit --by age,sex --quota quotas.yaml --method lottery")
def recruit(
    config: Config = None,
    set_: Set = None,
    by: By = None,
    quota: Quotas = None,
    method: Method = None,
    figure: Figure = None,
    name: Name = None,
    out: Out = Path("runs"),
    exists: ExistsOption = "resume",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Draw the panel and compare its margins with the population's."""
    changes = [*(set_ or []), *panel_changes(by, quota, method)]
    space = through("recruit", config, changes, name, out, exists, as_json)
    if figure is not None:
        run_figure(space, figure)
    show_file(space.file("panel_fidelity.json"), as_json)


@app.command("show", epilog="Example: plenary show runs/quickstart")
def show_run(
    path: Annotated[Path, typer.Argument(help="A run directory, or a file or folder in one.")],
    by: Annotated[
        str | None,
        typer.Option(help="Attribute: which of its groups of citizens moved, with intervals."),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show a run directory (what is done, and its figures once finished) or any artifact.

    Columns of a table are explained. With --by, three figures per group of citizens, in percent,
    with 95 % intervals over groups of tables: changed, the share of citizens x pairs whose choice
    changed sides between the ballots; shift, the mean size of the change; toward, the mean change
    toward the majority of the others at the table (negative: away from it).
    """
    if by is not None:
        _show_movement(path, by, as_json)
        return
    if not (path / "manifest.json").exists():
        _show_artifact(path, as_json)
        return
    from plenary.cli.console import print_rows, print_summary
    from plenary.runs.directory import read_manifest
    from plenary.runs.records.assembly import Summary
    from plenary.runs.records.base import read_record

    manifest = read_manifest(path)
    if as_json:
        print(manifest.model_dump_json())
        return
    rows = [
        (stage, f"{record.seconds:.1f} s" if record.done else "under way")
        for stage, record in manifest.stages.items()
    ]
    print_rows(
        f"{manifest.name}, seed {manifest.seed}, {manifest.created:%Y-%m-%d %H:%M} UTC", rows
    )
    if (path / "diagnostics.json").exists():
        from plenary.report.diagnostics import rows as findings
        from plenary.runs.records.diagnostics import DiagnosticsRecord

        found = findings(read_record(DiagnosticsRecord, path / "diagnostics.json"))
        print_rows("the assembly", [(name, f"{value} ({note})") for name, value, note in found])
    if (path / "summary.json").exists():
        print_summary(read_record(Summary, path / "summary.json"))
    if (path / "control_experiment" / "control_table.json").exists():
        from plenary.report.controls import table_rows
        from plenary.runs.records.experiments import read_control

        if (table := read_control(path)) is not None:
            print_rows("control arms, held-out outcomes", table_rows(table))


def _show_artifact(path: Path, as_json: bool) -> None:
    if (path / "control_table.json").is_file():
        from plenary.report.controls import table_rows
        from plenary.runs.records.experiments import read_control

        table = read_control(path.parent)
        rows = table_rows(table) if table else [("out of date", "the run has changed since")]
        show(f"{path}: a control experiment", dict(rows), as_json)
        return
    from plenary.commands.show import describe

    title, rows, columns = describe(path)
    explained = [{"column": name, "meaning": meaning} for name, meaning in columns]
    show(title, dict(rows) | ({"columns": explained} if explained else {}), as_json)


def _show_movement(path: Path, attribute: str, as_json: bool) -> None:
    calm()
    from plenary.cli.console import print_records
    from plenary.commands.show import as_percent, movement_by

    table = movement_by(path, attribute)
    if as_json:
        print(json.dumps(list(table)))
        return
    print_records(f"{table.title}, percent", [as_percent(row, attribute) for row in table])


@app.command(epilog="Example: plenary clean runs/quickstart --dry-run")
def clean(
    path: Annotated[Path, typer.Argument(help="A run directory.")],
    checkpoints: Annotated[
        bool, typer.Option(help="Also remove the files from which a killed training would resume.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be removed.")
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Remove half-written files of killed processes; results, ballots and logs stay."""
    calm()
    from plenary.cli.console import print_rows
    from plenary.commands.clean import leftovers, remove_leftovers

    if dry_run:
        found = [left for left in leftovers(path) if checkpoints or not left.resumable]
    else:
        found = remove_leftovers(path, checkpoints=checkpoints)
    names = {str(left.path.relative_to(path)): left.size for left in found}
    if as_json:
        print(json.dumps(names))
        return
    head = "would be removed from" if dry_run else "removed from"
    print_rows(f"{head} {path}", [(name, f"{size} bytes") for name, size in names.items()])


@app.command(epilog="Example: plenary doctor --json")
def doctor(out: Out = Path("runs"), as_json: AsJson = False, debug: Debug = False) -> None:
    """Check that this installation works: data, model, versions, folders."""
    calm()
    from plenary.cli.console import print_rows
    from plenary.commands.doctor import examine

    findings = examine(out)
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings]))
    else:
        rows = [(f.name, f"{'ok' if not f.exit_code else 'FAILED'}: {f.detail}") for f in findings]
        print_rows("plenary doctor", rows)
    raise typer.Exit(max(finding.exit_code for finding in findings))


def main() -> None:
    """Entry point: prints one plain line for an error of plenary's own and sets the exit code."""
    debug = "--debug" in sys.argv
    sys.excepthook = _traceback if debug else _one_line
    try:
        # Not app(), which would install typer's own traceback printer.
        typer.main.get_command(app)()
    except (PlenaryError, OSError, sqlite3.Error) as error:
        if debug:
            raise
        ours = isinstance(error, PlenaryError)
        remedy = "" if ours else "; free space, give access or fix the file"
        print(f"error: {strip_hidden(redacted(f'{error}{remedy}'), 2000)}", file=sys.stderr)
        sys.exit(error.exit_code if ours else DataError.exit_code)


def _one_line(kind: type[BaseException], value: BaseException, trace: object) -> None:
    what = strip_hidden(redacted(f"{kind.__name__}: {value}"), 2000)
    print(f"error: {what}; this is a bug; run again with --debug and report it", file=sys.stderr)


def _traceback(
    kind: type[BaseException], value: BaseException, trace: TracebackType | None
) -> None:
    print(redacted("".join(traceback.format_exception(kind, value, trace))), file=sys.stderr)
