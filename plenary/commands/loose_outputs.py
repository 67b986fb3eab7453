"""Protecting output files outside run directories from being overwritten under other settings.

A small JSON file beside each output, NAME.made.json, says under which settings it was made.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from pydantic import Field

from plenary.errors import ConfigError
from plenary.hashing import content_hash
from plenary.pipeline.settings_kept import changed, told
from plenary.runs.config import PipelineConfig, flat_settings
from plenary.runs.directory import Exists
from plenary.runs.models import spec_hash
from plenary.runs.records.base import Record, read_record, write_record

MADE = ".made.json"
Made = dict[str, object]


class MadeRecord(Record):
    """The settings and inputs under which an output was made."""

    made: dict[str, str] = Field(description="setting or input -> its value; files by content")


def asked_under(config: PipelineConfig, *groups: str, adapter: Path | None = None) -> Made:
    """What answers of the config's model depend on: groups of settings, and files by content."""
    named = ("model", "base_url", "seed", "chat.local", "chat.day", *groups)
    catalogue = config.outcomes.path
    found: Made = {
        name: str(value)
        for name, value in flat_settings(config).items()
        if any(name == group or name.startswith(f"{group}.") for group in named)
    }
    if catalogue is not None and "outcomes.path" in found:
        found["outcomes.path"] = content_hash(catalogue)
    files = {"files of the model": spec_hash(config.model)}
    return found | files | ({} if adapter is None else {"adapter": content_hash(adapter)})


def claim(
    outputs: Sequence[Path], made: Mapping[str, object], option: str, exists: str | None = None
) -> None:
    """Claim output paths for results made under `made`, and record it beside the first of them.

    ConfigError, before anything is touched, if one of them already exists and was made under other
    or unknown settings. option: the option that gives another place. exists, for commands that have
    it: "error" refuses any existing output; "redo" and "replace" remove it.
    """
    if exists is not None and exists not in get_args(Exists):
        raise ConfigError(f"unknown --exists {exists!r}; use one of {', '.join(get_args(Exists))}")
    there = [path for path in outputs if path.is_file() or (path.is_dir() and any(path.iterdir()))]
    note = outputs[0].with_name(f"{outputs[0].name}{MADE}")
    now = {name: str(value) for name, value in made.items()}
    if there and exists in ("redo", "replace"):
        for path in there:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif there:
        remedy = f"give another {option}, or remove it first"
        if exists is not None:
            remedy += "; --exists replace does that"
        _refuse(there[0], note, now, remedy, strict=exists == "error")
    outputs[0].parent.mkdir(parents=True, exist_ok=True)
    write_record(MadeRecord(made=now), note)


def _refuse(path: Path, note: Path, now: dict[str, str], remedy: str, *, strict: bool) -> None:
    if strict:
        raise ConfigError(f"{str(path)!r} exists already; {remedy}")
    if not note.is_file():
        raise ConfigError(
            f"{str(path)!r} exists already, and no {note.name!r} says how it was made; {remedy}"
        )
    if found := changed(read_record(MadeRecord, note).made, now):
        raise ConfigError(f"{str(path)!r} was made under other settings: {told(found)}; {remedy}")
