"""What a stage is: its function, its files, and the settings and inputs that it depends on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from assembly.record.settings import FREE
from plenary.hashing import content_hash
from plenary.runs.config import PipelineConfig
from plenary.runs.models import citizens_models, spec_hash, takes_part
from plenary.runs.workspace import Workspace

Settings = tuple[BaseModel | str | float | None, ...]


class Stage(NamedTuple):
    """One step of a run.

    settings: the parts of the config it depends on. needs: stages whose files it reads.
    outputs: files it writes. continues: unfinished work is continued, so other settings are refused
    instead of starting again. recorded: its calls are recorded for good, so newer code may continue
    it; for all other stages the code is part of the fingerprint (plenary/runs/fingerprint.py).
    check: raises an error, before a model is asked, if the stage could not do its work. always: run
    every time, because it is cheap and shows what has been added since.
    """

    name: str
    work: Callable[[Workspace], None]
    settings: Callable[[PipelineConfig], Settings]
    needs: tuple[str, ...]
    outputs: tuple[str, ...]
    continues: bool = False
    recorded: bool = False
    check: Callable[[PipelineConfig], None] | None = None
    always: bool = False


def subject(config: PipelineConfig) -> Settings:
    """What identifies the model to be aligned, including its files."""
    return (config.model, spec_hash(config.model), config.base_url, config.chat.local, _day(config))


def citizens_of(config: PipelineConfig) -> Settings:
    """What identifies the models that speak for the citizens."""
    models = citizens_models(config)
    hashes = (f"{spec} {share} {spec_hash(spec)}" for spec, share in models.items())
    return (*hashes, config.base_url, config.chat.local, _day(config))


def _day(config: PipelineConfig) -> str:
    """The date given to chat templates that print one."""
    return str(config.chat.day)


def held_under(config: PipelineConfig) -> Settings:
    """The settings of an assembly; a briefing file counts by its content."""
    briefing = config.assembly.briefing
    chosen = config.assembly.model_dump_json(exclude={*FREE, "briefing"})
    return (chosen, content_hash(briefing) if isinstance(briefing, Path) else briefing)


def rule_of(config: PipelineConfig) -> Settings:
    """The settings that say how ballots are counted."""
    return (config.dataset.rule, config.dataset.rule_strata, config.population)


def outcomes_of(config: PipelineConfig) -> Settings:
    """The settings from which outcomes are drawn; a file counts by its content."""
    path = config.outcomes.path
    chosen = config.outcomes.model_dump_json(exclude={"max_unread", "probe"})
    return (chosen, content_hash(path) if path else None, takes_part(config))
