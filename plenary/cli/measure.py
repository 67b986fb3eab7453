"""The commands `plenary elicit`, `plenary fit` and `plenary compare`: options and help texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from plenary.cli.options import (
    AsJson,
    Config,
    Debug,
    DryRun,
    ExecutorOption,
    ExistsOption,
    Name,
    Out,
    Outcomes,
    Set,
    Workers,
    calm,
    named,
    refuse_dry_run,
    show,
    show_file,
    through,
)

app = typer.Typer()


@app.command(epilog="Example: plenary elicit --model local:/path --answers before.parquet")
def elicit(
    config: Config = None,
    set_: Set = None,
    name: Name = None,
    out: Out = Path("runs"),
    exists: ExistsOption = "resume",
    when: Annotated[str, typer.Option(help="before or after (training).")] = "before",
    model: Annotated[str | None, typer.Option(help="Any backend; no run is needed.")] = None,
    outcomes: Outcomes = None,
    pairs: Annotated[
        int | None, typer.Option(help="Number of pairs asked; default: 2 K log2 K for K outcomes.")
    ] = None,
    design: Annotated[
        str, typer.Option(help="balanced, all, random, or active: swiss, thompson.")
    ] = "balanced",
    templates: Annotated[
        str | None, typer.Option(help="Prompt templates, separated by commas; or all.")
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(help="Where to write the answers: a .parquet file, or a folder of parts."),
    ] = None,
    adapter: Annotated[
        Path | None,
        typer.Option(help="Folder of a LoRA adapter for the model (embedded or local:PATH)."),
    ] = None,
    executor: ExecutorOption = "local",
    workers: Workers = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Ask a model about pairs of outcomes: a run's model, or any with --model or --answers."""
    of_run = not (model or answers or dry_run)
    _check_request(when, adapter if of_run else None)
    changes = [*([f"model={model}"] if model else []), *_template_changes(templates)]
    if outcomes:
        changes += [f"outcomes.path={json.dumps(str(outcomes))}", "outcomes.count=null"]
    changes += set_ or []
    if of_run:
        space = through(
            f"elicit {when}", config, changes, name, out, exists, as_json, executor, workers
        )
        show_file(space.file(f"{when}.json"), as_json)
        return
    calm()
    from plenary.commands.elicit import ElicitRequest, dry_run_record, measure
    from plenary.runs.config import load_config
    from plenary.runs.workers import make_executor

    settings = load_config(config, changes)
    place = answers or out / "answers.parquet"
    request = ElicitRequest(settings, pairs, design, place, exists, adapter)
    crew = make_executor(executor, workers, settings)
    show("elicit", dry_run_record(request) if dry_run else measure(request, crew), as_json)


def _check_request(when: str, adapter_of_run: Path | None) -> None:
    if when not in ("before", "after"):
        raise typer.BadParameter(f"{when!r} is neither 'before' nor 'after'", param_hint="--when")
    if adapter_of_run is not None:
        raise typer.BadParameter(
            "a run's own adapter is asked with --when after; for another one, also give "
            "--answers FILE.parquet",
            param_hint="--adapter",
        )


def _template_changes(templates: str | None) -> list[str]:
    if templates is None:
        return []
    if templates != "all":
        return [f"elicitation.templates={json.dumps(templates.split(','))}"]
    from plenary.prompt_templates import PROMPT_TEMPLATES

    return [f"elicitation.templates={json.dumps(list(PROMPT_TEMPLATES))}"]


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
    edges: Annotated[
        str, typer.Option(help="Edges of a preference graph: all, training or holdout.")
    ] = "all",
    order: Annotated[
        str,
        typer.Option(
            help="Presentation order: listed (the votes say which came first) or unknown."
        ),
    ] = "listed",
    dry_run: DryRun = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Fit utilities to a run or to votes (.csv, .jsonl, .parquet, or a preference graph .json).

    A file of votes has one row per vote, with the columns first, second (the two outcomes, the one
    shown first in front) and choice (first, second, an outcome's id or text, no preference, or
    empty if invalid). Instead of choice it may have wins and trials, or probability. A column votes
    says how many votes a row stands for. Columns that are not read are named.
    """
    calm()
    from evaluation.elicitation.importers import is_votes
    from plenary.commands.fit import fit_votes, read_votes, votes_record

    if config is None or not is_votes(config):
        refuse_dry_run(dry_run)
        space = through("fit", config, set_ or [], name, out, exists, as_json)
        show_file(space.file("utilities_after_held_out.json"), as_json)
        return
    from plenary.runs.config import load_config

    settings = load_config(None, named(name, set_))
    table = read_votes(Path(config), outcomes, edges, order)
    stem = out / f"{name or Path(config).stem}_utilities"
    record = votes_record([table]) if dry_run else fit_votes(table, settings.fit, stem, exists)
    show("fit", record, as_json)


@app.command(epilog="Example: plenary compare before.parquet after.parquet --retest again.parquet")
def compare(
    config: Annotated[
        str | None, typer.Argument(metavar="[CONFIG|BEFORE]", help="A config, or the votes before.")
    ] = None,
    after: Annotated[str | None, typer.Argument(help="The votes after.")] = None,
    set_: Set = None,
    name: Name = None,
    out: Out = Path("runs"),
    exists: ExistsOption = "resume",
    retest: Annotated[
        Path | None, typer.Option(help="Votes of the model before, asked a second time.")
    ] = None,
    target: Annotated[
        Path | None, typer.Option(help="Votes that the model is meant to move toward.")
    ] = None,
    outcomes: Outcomes = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compare before with after: a run's model on held-out pairs, or two files of votes."""
    calm()
    from plenary.commands.compare import ComparedAnswers, compare_votes
    from plenary.commands.fit import read_votes, votes_record

    if config is None or after is None:
        refuse_dry_run(dry_run)
        space = through("compare", config, set_ or [], name, out, exists, as_json)
        show_file(space.file("comparison.json"), as_json)
        return
    from plenary.runs.config import load_config

    settings = load_config(None, named(name, set_))
    before, later = (read_votes(Path(path), outcomes) for path in (config, after))
    again, goal = (
        None if path is None else read_votes(path, outcomes) for path in (retest, target)
    )
    sides = ComparedAnswers(before, later, again, goal)
    place = out / f"{name or 'comparison'}_shift.parquet"
    if dry_run:
        record = votes_record([table for table in sides if table is not None])
    else:
        record = compare_votes(sides, settings.fit, settings.comparison, place, exists)
    show("compare", record, as_json)
