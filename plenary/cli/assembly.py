"""The commands `plenary dataset` and `plenary conditions`: options and help texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plenary.cli.options import (
    AsJson,
    Config,
    Debug,
    DryRun,
    ExistsOption,
    Name,
    Out,
    Set,
    calm,
    named,
    show,
    show_estimate,
    through,
)

app = typer.Typer()


@app.command(epilog="Example: plenary dataset quickstart --format soft")
def dataset(
    config: Config = None,
    set_: Set = None,
    name: Name = None,
    out: Out = Path("runs"),
    exists: ExistsOption = "resume",
    form: Annotated[
        str | None, typer.Option("--format", help="Also write training rows: soft, sft or dpo.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="File of those rows (JSON lines).")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the consensus dataset with its card, metadata and diagnostics."""
    if form not in (None, "soft", "sft", "dpo"):
        raise typer.BadParameter(f"{form!r} is not one of soft, sft, dpo", param_hint="--format")
    if dry_run:
        show_estimate(config, named(name, set_), as_json, "dataset")
        return
    space = through("dataset", config, set_ or [], name, out, exists, as_json)
    from plenary.commands.loose_outputs import claim
    from plenary.hashing import content_hash
    from plenary.report.tables import cut_short
    from plenary.runs.records.base import read_record
    from plenary.runs.records.diagnostics import DiagnosticsRecord
    from plenary.stages.dataset import write_rows

    shown: dict[str, object] = {
        "folder": str(space.file("dataset")),
        "pairs": len(space.plan.pairs),
    }
    found = read_record(DiagnosticsRecord, space.file("diagnostics.json"))
    if found.unread:
        shown["outcomes not read"] = "; ".join(
            f"{name} ({', '.join(words)})" for name, words in found.unread.items()
        )
    if cut := cut_short(space):
        shown["cut short"] = cut
    if found.not_measured:
        shown["not measured"] = "; ".join(f"{k}: {why}" for k, why in found.not_measured.items())
    if form is not None:
        place = to or space.file(f"{form}.jsonl")
        if to is not None:
            made = {"dataset": content_hash(space.file("dataset")), "--format": form}
            claim([to], made, "--to")
        shown |= {"rows": write_rows(space, form, place), "file": str(place)}
    show(f"dataset of {space.config.name}", shown, as_json)


@app.command(epilog="Example: plenary conditions quickstart --probes vote-reveal,no-persona")
def conditions(
    config: Config = None,
    set_: Set = None,
    name: Name = None,
    out: Out = Path("runs"),
    exists: ExistsOption = "resume",
    probes: Annotated[str, typer.Option(help="Probes, joined by commas; or all, or none.")] = "all",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what discussion did: ask the citizens again without it, and after thinking alone."""
    calm()
    from plenary.report.diagnostics import conditions_rows
    from plenary.stages.conditions import hold_conditions, probe_names

    asked = probe_names(probes)  # a mistake is reported before the assembly is held
    space = through("consensus", config, set_ or [], name, out, exists, as_json)
    record = hold_conditions(space, asked)
    content = record.model_dump(mode="json") if as_json else dict(conditions_rows(record))
    show(f"conditions of {space.config.name}", content, as_json)
