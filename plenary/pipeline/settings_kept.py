"""Whether an existing run fits the settings asked for now, and which date chat templates get.

Settings are compared by value as the present code reads them, and files by content, so newer code
alone makes no difference here.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from plenary.errors import ConfigError
from plenary.hashing import content_hash
from plenary.pipeline.assembly import ASSEMBLY_STAGES
from plenary.pipeline.stage import Stage
from plenary.runs.config import PipelineConfig, flat_settings, load_config
from plenary.runs.directory import RunDirectory, RunManifest
from plenary.runs.filenames import CONFIG
from plenary.runs.models import spec_hash, specs

PUBLISHED = (
    "licence", "creator", "contact", "removal", "url", "published", "version", "validation",
)  # fmt: skip
SHOWN = 30
LONGEST = 60


def own_settings(config: PipelineConfig, stage: Stage) -> str:
    """Hash of the settings that a stage depends on."""
    values = [
        value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for value in stage.settings(config)
    ]
    return content_hash(json.dumps([stage.name, values], sort_keys=True))


def input_hashes(config: PipelineConfig) -> dict[str, str]:
    """Content hashes of the files that the settings name, without those of an endpoint."""
    named = {f"model {spec!r}": spec_hash(spec) for spec in specs(config)}
    files = {"outcomes.path": config.outcomes.path, "assembly.briefing": config.assembly.briefing}
    named |= {key: content_hash(path) for key, path in files.items() if isinstance(path, Path)}
    return {key: value for key, value in named.items() if value}


def settings_of(run: Path) -> PipelineConfig | None:
    """The settings under which a run was made; None if it stopped before they were written."""
    return load_config(run / CONFIG) if (run / CONFIG).is_file() else None


def with_day(config: PipelineConfig, run: RunDirectory) -> PipelineConfig:
    """The settings with the date that chat templates print: the day of the run, unless given."""
    if config.chat.day is not None:
        return config
    was = settings_of(run.path)
    day = (was and was.chat.day) or run.manifest.created.date()
    return config.model_copy(update={"chat": config.chat.model_copy(update={"day": day})})


def differences(was: PipelineConfig, asked: PipelineConfig) -> list[str]:
    """Every setting that differs, as "name: the run's value -> the value asked for"."""
    old, new = flat_settings(was), flat_settings(asked)
    return changed(old | {"name": None}, new | {"name": None})


def changed(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """Every name whose value differs, as "name: old -> new"."""
    return [
        f"{name}: {_short(old.get(name))} -> {_short(new.get(name))}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _short(value: object) -> str:
    text = repr(value)
    # Long values are mostly paths, which differ at the end.
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 3]}...{text[-LONGEST // 2 :]}"


def told(found: Sequence[str]) -> str:
    """The first differences as one text."""
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more


def refuse_overwriting(
    run: RunDirectory, asked: PipelineConfig, stages: Sequence[Stage], *, redo: bool
) -> None:
    """ConfigError if these settings would repeat finished stages and replace their results.

    redo: repeating is asked for. Even then, an assembly is never continued under other settings or
    with other citizens, because its votes would mix with those already cast.
    """
    manifest, was = run.manifest, settings_of(run.path)
    if was is None:
        return
    was = _alike(with_day(was, run), asked)
    changed = [
        f"{key}: its files have changed"
        for key, value in input_hashes(asked).items()
        if manifest.inputs.get(key, value) != value
    ]
    known = _known(manifest.stages, stages)
    odd = {s.name for s in known if _at_odds(manifest, s, was, asked, files=bool(changed))}
    again = [s for s in known if s.name in odd or odd & _behind(s, known)]
    held = [s.name for s in again if s.continues and s.name in manifest.stages]
    if not odd or (redo and not held):
        return
    lost = [s.name for s in again if s.name in manifest.stages and not s.always]
    found = told([*differences(was, asked), *changed])
    remedy = f"give {str(run.path)!r} as the config for the run's own settings, another --name"
    if held:
        remedy += ", or --exists replace to start again: its votes would mix with others"
    else:
        remedy += ", or --exists redo to replace them"
    raise ConfigError(
        f"run {asked.name!r} was made under other settings, and {', '.join(map(repr, lost))} would "
        f"be done again: {found}; {remedy}"
    )


def _alike(was: PipelineConfig, asked: PipelineConfig) -> PipelineConfig:
    """The run's settings without the facts of publication, which cost no work to change."""
    published = {name: getattr(asked.dataset, name) for name in PUBLISHED}
    return was.model_copy(update={"dataset": was.dataset.model_copy(update=published)})


def _known(recorded: Collection[str], stages: Sequence[Stage]) -> list[Stage]:
    """The stages of this command and those before it, or the whole chain if the run began it.

    Training libraries take seconds to import, so the chain is imported only if it was begun.
    """
    named = {stage.name: stage for stage in ASSEMBLY_STAGES}
    if set(recorded) - named.keys() - {stage.name for stage in stages}:
        chain: Sequence[Stage] = importlib.import_module("plenary.pipeline.chain").CHAIN
        named |= {stage.name: stage for stage in chain}
    return list((named | {stage.name: stage for stage in stages}).values())


def _at_odds(
    manifest: RunManifest, stage: Stage, was: PipelineConfig, asked: PipelineConfig, *, files: bool
) -> bool:
    """Whether a stage has results to lose and was made under other settings than asked for now."""
    record = manifest.stages.get(stage.name)
    if record is None or stage.always or not (record.done or stage.continues):
        return False
    now = own_settings(asked, stage)
    return own_settings(was, stage) != now or (files and record.settings != now)


def _behind(stage: Stage, known: Sequence[Stage]) -> set[str]:
    """Names of all stages that a stage depends on."""
    by_name = {s.name: s for s in known}
    found, open_ = set[str](), list(stage.needs)
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            open_ += by_name[name].needs if name in by_name else ()
    return found
