"""The command line. Libraries are imported where a command needs them: help must be instant."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import plenary
from plenary.app.personas_cli import By, Method, Quotas, panel_changes
from plenary.app.personas_cli import app as personas
from plenary.errors import PlenaryError

if TYPE_CHECKING:
    from plenary.app.census_verbs import Fetched, Imported, RakedFolder
    from plenary.app.config import PipelineConfig
    from plenary.app.run_directory import Exists
    from plenary.app.workspace import Workspace

INTERRUPTED = 130
app = typer.Typer(
    name="plenary",
    help="Simulated citizens' assemblies on census data, and what they do to a model.",
    epilog="Start with: plenary run quickstart",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Config = Annotated[
    str | None, typer.Argument(metavar="[CONFIG]", help="YAML file or name of a shipped preset.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=VALUE", help="Change a setting; may be repeated."),
]
Name = Annotated[str | None, typer.Option(help="Name of the run directory.")]
Out = Annotated[Path, typer.Option(help="Folder of run directories.")]
ExistsOption = Annotated[
    str, typer.Option("--exists", help="When the run directory exists: error, resume or replace.")
]
Outcomes = Annotated[
    Path | None, typer.Option(help="Catalogue of outcomes: .yaml, .json, .csv or .jsonl.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the number of calls and tokens; ask nothing.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

# verb -> (last stage, file whose content is shown, help)
VERBS = {
    "convene": ("convene", "assembly.json", "Hold the assembly, or carry a stopped one on."),
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
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run the whole chain and print the table of before and after."""
    from plenary.app.console import print_summary
    from plenary.app.records import Summary, read_record

    space = _through("report", config, set_ or [], name, out, exists, as_json)
    summary = read_record(Summary, space.file("summary.json"))
    if as_json:
        print(json.dumps(summary.model_dump(mode="json")))
    else:
        print_summary(summary)


@app.command(epilog="Example: plenary elicit --model local:/path --answers before.parquet")
def elicit(
    config: Config = None,
    set_: Set = None,
    name: Name = None,
    out: Out = Path("runs"),
    exists: ExistsOption = "resume",
    when: Annotated[str, typer.Option(help="before or after training.")] = "before",
    model: Annotated[str | None, typer.Option(help="Any backend, without a run.")] = None,
    outcomes: Outcomes = None,
    pairs: Annotated[int | None, typer.Option(help="Pairs asked; default 2 K log2 K.")] = None,
    design: Annotated[
        str, typer.Option(help="balanced, all, random, or active: swiss, thompson.")
    ] = "balanced",
    frames: Annotated[
        str | None, typer.Option(help="Prompt frames, separated by commas; or all.")
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(help="Write the answers there instead of into a run.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Ask a model about pairs of outcomes: of a run, or any model with --model or --answers."""
    if when not in ("before", "after"):
        raise typer.BadParameter(f"{when!r} is neither before nor after", param_hint="--when")
    changes = [*([f"model={model}"] if model else []), *_frame_changes(frames)]
    if outcomes:
        changes += [f"outcomes.path={json.dumps(str(outcomes))}", "outcomes.count=null"]
    changes += set_ or []
    if not (model or answers or dry_run):
        space = _through(f"elicit {when}", config, changes, name, out, exists, as_json)
        _show_file(space.file(f"{when}.json"), as_json)
        return
    _calm()
    from plenary.app.config import load_config
    from plenary.app.measure_verbs import Request, dry_run_record, measure

    request = Request(
        load_config(config, changes), pairs, design, answers or out / "answers.parquet"
    )
    _show("elicit", dry_run_record(request) if dry_run else measure(request), as_json)


def _frame_changes(frames: str | None) -> list[str]:
    if frames is None:
        return []
    if frames != "all":
        return [f"elicitation.frames={json.dumps(frames.split(','))}"]
    from evaluation.frames import FRAMES

    return [f"elicitation.frames={json.dumps(list(FRAMES))}"]


@app.command(epilog="Example: plenary fit votes.csv")
def fit(
    config: Annotated[
        str | None, typer.Argument(metavar="[CONFIG|VOTES]", help="A config, or a file of votes.")
    ] = None,
    set_: Set = None,
    name: Name = None,
    out: Out = Path("runs"),
    exists: ExistsOption = "resume",
    outcomes: Outcomes = None,
    edges: Annotated[str, typer.Option(help="Of a graph: all, training or holdout.")] = "all",
    order: Annotated[
        str, typer.Option(help="Votes say which came first (listed) or not (unknown).")
    ] = "listed",
    dry_run: DryRun = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Fit utilities: of a run, or of votes (.csv, .jsonl, .parquet, a preference graph .json)."""
    _calm()
    from plenary.app.measure_verbs import fit_votes, is_votes, read_votes, votes_record

    if config is None or not is_votes(config):
        _refuse_dry_run(dry_run)
        space = _through("fit", config, set_ or [], name, out, exists, as_json)
        _show_file(space.file("utilities_after_held_out.json"), as_json)
        return
    from plenary.app.config import load_config

    settings = load_config(None, set_ or [])
    table = read_votes(Path(config), outcomes, edges, order)
    stem = out / f"{name or Path(config).stem}_utilities"
    record = votes_record([table]) if dry_run else fit_votes(table, settings.fit, stem)
    _show("fit", record, as_json)


@app.command(epilog="Example: plenary compare before.parquet after.parquet --null again.parquet")
def compare(
    config: Annotated[
        str | None, typer.Argument(metavar="[CONFIG|BEFORE]", help="A config, or votes before.")
    ] = None,
    after: Annotated[str | None, typer.Argument(help="Votes after.")] = None,
    set_: Set = None,
    name: Name = None,
    out: Out = Path("runs"),
    exists: ExistsOption = "resume",
    null: Annotated[Path | None, typer.Option(help="Votes before, asked again.")] = None,
    target: Annotated[Path | None, typer.Option(help="Votes to move toward.")] = None,
    outcomes: Outcomes = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compare before and after: of a run on held-out pairs, or two files of votes."""
    _calm()
    from plenary.app.measure_verbs import Sides, compare_votes, read_votes, votes_record

    if config is None or after is None:
        _refuse_dry_run(dry_run)
        space = _through("compare", config, set_ or [], name, out, exists, as_json)
        _show_file(space.file("comparison.json"), as_json)
        return
    from plenary.app.config import load_config

    settings = load_config(None, set_ or [])
    before, later = (read_votes(Path(path), outcomes) for path in (config, after))
    again, goal = (None if path is None else read_votes(path, outcomes) for path in (null, target))
    sides = Sides(before, later, again, goal)
    place = out / f"{name or 'comparison'}_shift.parquet"
    if dry_run:
        record = votes_record([table for table in sides if table is not None])
    else:
        record = compare_votes(sides, settings.fit, settings.comparison, place)
    _show("compare", record, as_json)


def _refuse_dry_run(dry_run: bool) -> None:
    if dry_run:
        raise typer.BadParameter(
            "a run has no dry run; use it with plenary elicit, or with files of votes",
            param_hint="--dry-run",
        )


def _add_verb(verb: str, stage: str, shown: str, text: str, group: typer.Typer = app) -> None:
    example = f"{'census ' * (group is not app)}{verb}"

    @group.command(verb, help=text, epilog=f"Example: plenary {example} quickstart --set seed=1")
    def command(
        config: Config = None,
        set_: Set = None,
        name: Name = None,
        out: Out = Path("runs"),
        exists: ExistsOption = "resume",
        as_json: AsJson = False,
        debug: Debug = False,
    ) -> None:
        space = _through(stage, config, set_ or [], name, out, exists, as_json)
        _show_file(space.file(shown), as_json)


for _verb, _spec in VERBS.items():
    _add_verb(_verb, *_spec)
app.add_typer(personas)


@app.command(epilog="Example: plenary recruit --by age,sex --quota quotas.yaml --method lottery")
def recruit(
    config: Config = None,
    set_: Set = None,
    by: By = None,
    quota: Quotas = None,
    method: Method = None,
    name: Name = None,
    out: Out = Path("runs"),
    exists: ExistsOption = "resume",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Draw the panel and compare its margins."""
    changes = [*(set_ or []), *panel_changes(by, quota, method)]
    space = _through("recruit", config, changes, name, out, exists, as_json)
    _show_file(space.file("panel_fidelity.json"), as_json)


census = typer.Typer(
    name="census", help="Populations: show, fetch, import, rake.", no_args_is_help=True
)
app.add_typer(census)
_add_verb(
    "show", "census", "population.json", "Load the population and say what it is.", group=census
)


@census.command(epilog="Example: plenary census fetch --geo state:06 --tables B01001,B15001")
def fetch(
    year: Annotated[int, typer.Option(help="Year of the survey.")] = 2024,
    survey: Annotated[str, typer.Option(help="acs1 or acs5.")] = "acs5",
    geo: Annotated[str, typer.Option(help="us, state:06, state:*, county:06037, county:06*.")] = (
        "us"
    ),
    tables: Annotated[str, typer.Option(help="Detailed tables, comma-separated.")] = "",
    pums: Annotated[
        str, typer.Option(help="States whose microdata zips to download: postal codes.")
    ] = "",
    records: Annotated[
        str, typer.Option(help="States whose microdata to ask for by the endpoint: FIPS codes.")
    ] = "",
    out: Annotated[Path, typer.Option(help="Folder for what is fetched.")] = Path("census"),
    cache: Annotated[Path, typer.Option(help="Folder of cached answers.")] = Path("census/cache"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Fetch survey tables (key in CENSUS_API_KEY) or microdata from the Census Bureau."""
    from plenary.app import census_verbs as verbs

    chosen = [part for part in (tables, pums, records) if part]
    if len(chosen) != 1:
        raise click.BadParameter("name --tables, --pums or --records", param_hint="--tables")
    names = chosen[0].split(",")
    if tables:
        _show_result(verbs.fetch_tables(year, survey, geo, names, out, cache), as_json)
    elif pums:
        _show_result(verbs.fetch_zips(year, names, out), as_json)
    else:
        _show_result(verbs.fetch_records(year, survey, names, out, cache), as_json)


@census.command("import", epilog="Example: plenary census import people.csv --mapping map.yaml")
def import_(
    files: Annotated[list[Path], typer.Argument(help="A table, or psam_p*.csv files or zips.")],
    mapping: Annotated[Path | None, typer.Option(help="What the table's columns mean.")] = None,
    housing: Annotated[
        list[Path] | None, typer.Option(help="psam_h*.csv or its zip; may be repeated.")
    ] = None,
    year: Annotated[int, typer.Option(help="Year of the microdata files.")] = 2024,
    out: Annotated[Path, typer.Option(help="Folder of the population.")] = Path("population"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make a population of your own table or of the bureau's microdata files."""
    from plenary.app import census_verbs as verbs

    _show_result(verbs.import_files(files, mapping, housing or [], year, out), as_json)


@census.command("rake", epilog="Example: plenary census rake --margins margins.yaml --highest 5")
def rake_(
    folder: Annotated[
        Path | None, typer.Option(help="Population to rake; the packaged one by default.")
    ] = None,
    margins: Annotated[
        list[Path] | None, typer.Option(help="YAML or CSV file of margins; may be repeated.")
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(help="Margin of the reference, as sex or sex*age; may be repeated."),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Population that --to counts in; default the packaged one.")
    ] = None,
    shares: Annotated[
        bool, typer.Option(help="Scale each margin to the people it covers.")
    ] = False,
    everybody: Annotated[
        bool, typer.Option(help="Keep people who are not citizens, and group quarters.")
    ] = False,
    lowest: Annotated[float, typer.Option(help="Least weight, times the mean.")] = 0.0,
    highest: Annotated[float | None, typer.Option(help="Largest weight, times the mean.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the raked population.")] = Path("raked"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Rake the weights of a population to margins and report how well they are met."""
    from plenary.app import census_verbs as verbs

    result = verbs.rake_population(
        verbs.chosen(folder, everybody), margins or [], reference, to or [],
        verbs.bounds(lowest, highest), shares, out,
    )  # fmt: skip
    _show_result(result, as_json)


@app.command(epilog="Example: plenary show runs/quickstart")
def show(
    path: Annotated[Path, typer.Argument(help="A run directory.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show a run directory: what is done, and its figures if it is finished."""
    from plenary.app.console import print_rows, print_summary
    from plenary.app.records import Summary, read_record
    from plenary.app.run_directory import read_manifest

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
    if (path / "summary.json").exists():
        print_summary(read_record(Summary, path / "summary.json"))


@app.command(epilog="Example: plenary doctor --json")
def doctor(out: Out = Path("runs"), as_json: AsJson = False, debug: Debug = False) -> None:
    """Check that this installation can run: data, model, versions, folders."""
    _calm()
    from plenary.app.console import print_rows
    from plenary.app.doctor import examine

    findings = examine(out)
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings]))
    else:
        rows = [(f.name, f"{'ok' if not f.exit_code else 'FAILED'}: {f.detail}") for f in findings]
        print_rows("plenary doctor", rows)
    raise typer.Exit(max(finding.exit_code for finding in findings))


def main() -> None:
    """Entry point: one plain line for every error that is ours, and its exit code."""
    debug = "--debug" in sys.argv
    if not debug:
        sys.excepthook = _one_line
    try:
        # Not app(): that would put typer's own traceback printer in place.
        typer.main.get_command(app)()
    except PlenaryError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _one_line(kind: type[BaseException], value: BaseException, trace: object) -> None:
    print(
        f"error: {kind.__name__}: {value}; this is a bug, run again with --debug and report it",
        file=sys.stderr,
    )


def _through(
    last: str,
    source: str | None,
    overrides: list[str],
    name: str | None,
    out: Path,
    exists: str,
    quiet: bool,
) -> Workspace:
    """Run the stages up to `last` under the settings of the command line."""
    _calm()
    from plenary.app.config import load_config
    from plenary.app.console import print_settings, watching

    config: PipelineConfig = load_config(source, [*overrides, *([f"name={name}"] if name else [])])
    # Training libraries take seconds to import; the early stages do without.
    from plenary.app.stages import ASSEMBLY_STAGES as stages

    if last not in {stage.name for stage in stages}:
        from plenary.app.chain import CHAIN as stages
    from plenary.app.pipeline import run_stages

    if not quiet:
        print_settings(config)
    place = [stage.name for stage in stages].index(last)
    chosen: Exists = exists  # pyright: ignore[reportAssignmentType]
    try:
        with watching(quiet=quiet) as watcher:
            return run_stages(config, out, chosen, stages[: place + 1], watcher)
    except KeyboardInterrupt as stop:
        print("interrupted; what was recorded is kept, go on with --exists resume", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from stop


def _show_file(path: Path, as_json: bool) -> None:
    _show(str(path), json.loads(path.read_text(encoding="utf-8")), as_json)


def _show(title: str, content: dict[str, object], as_json: bool) -> None:
    from plenary.app.console import print_rows

    if as_json:
        print(json.dumps(content))
        return
    rows = [
        (key, value if isinstance(value, str) else json.dumps(value))
        for key, value in content.items()
    ]
    print_rows(title, rows)


def _show_result(result: Fetched | Imported | RakedFolder, as_json: bool) -> None:
    from plenary.app.census_verbs import rows_of
    from plenary.app.console import print_rows

    values = rows_of(result)
    if as_json:
        print(json.dumps(values))
        return
    rows = [(k, v if isinstance(v, str) else json.dumps(v)) for k, v in values.items()]
    print_rows("plenary census", rows)


def _calm() -> None:
    """Keep libraries from drawing bars, phoning home and starting threads that fork badly."""
    for name, value in {
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "LANGSMITH_TRACING": "false",
    }.items():
        os.environ.setdefault(name, value)
