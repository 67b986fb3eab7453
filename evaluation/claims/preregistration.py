"""Preregistration: an analysis plan that is locked before any data, and deviations from it.

The lock is a hash of the plan's content with the time at which it was taken. Source:
docs/references.md, key evaluation (section 5).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plenary.errors import ConfigError, DataError
from plenary.hashing import content_hash
from plenary.untrusted import read_file

Setting = bool | int | float | str | None | list[bool | int | float | str]
Endpoint = Literal[
    "agreement_gain",
    "utility_shift",
    "outcome_share",
    "hiring_gap",
    "hiring_change",
    "retention",
    "human_anchor",
]
ENDPOINTS: dict[Endpoint, str] = {
    "agreement_gain": "gain of agreement with the assembly on held-out pairs",
    "utility_shift": "which held-out outcomes moved",
    "outcome_share": "the outcome's share of the variance of an answer",
    "hiring_gap": "gap between the groups of the hiring audit, log odds",
    "hiring_change": "change in that gap with alignment",
    "retention": "loss of right answers, bits per byte and KL on neutral text",
    "human_anchor": "distance between the model's and people's survey answers",
}
LOCK = ".lock"


class AnalysisPlan(BaseModel):
    """An analysis plan: what is decided before any answer is seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1, description="what the study is about")
    primary: tuple[Endpoint, ...] = Field(
        min_length=1, description="primary endpoints; everything else is exploratory"
    )
    settings: dict[str, Setting] = Field(
        min_length=1,
        description="settings of the run that are fixed, by dotted name: sample sizes, templates, "
        "seeds, margins",
    )
    exclusions: tuple[str, ...] = Field(
        default=(), description="what is left out of the analysis, and when"
    )
    stopping: str = Field(
        default="after one run, whatever it shows", description="when no more data are taken"
    )

    @property
    def hash(self) -> str:
        """SHA-256 of the content; comments and layout of the file do not count."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return content_hash(text)


class PlanLock(BaseModel):
    """The lock file next to a plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(description="hash of the plan's content")
    locked: datetime = Field(description="when, UTC")


class Deviation(NamedTuple):
    """A setting that differs from the plan."""

    name: str
    planned: str
    actual: str


class LockState(NamedTuple):
    """A plan, its lock if there is one, and whether it was edited since."""

    plan: AnalysisPlan
    lock: PlanLock | None

    @property
    def edited(self) -> bool:
        """Whether the content differs from what was locked."""
        return self.lock is not None and self.lock.sha256 != self.plan.hash

    def holds_for(self, begun: datetime) -> bool:
        """Whether the plan was locked before `begun` and not edited since."""
        return self.lock is not None and not self.edited and self.lock.locked < begun


def read_plan(path: Path) -> AnalysisPlan:
    """Read a plan (YAML); ConfigError if it is missing or malformed."""
    return read_file(AnalysisPlan, path, "plan", ConfigError)


def lock_file(path: Path) -> Path:
    """The lock file of a plan."""
    return path.with_suffix(LOCK)


def lock_state(path: Path) -> LockState:
    """The plan as it is now, and the lock next to it."""
    plan, file = read_plan(path), lock_file(path)
    if not file.exists():
        return LockState(plan, None)
    try:
        return LockState(plan, PlanLock.model_validate_json(file.read_bytes()))
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{str(file)!r} is not the lock of a plan; delete it and lock the plan again"
        ) from error


def lock_plan(path: Path, now: datetime) -> LockState:
    """Lock a plan; locking it again changes nothing, ConfigError if it was edited since."""
    state = lock_state(path)
    if state.edited and state.lock is not None:
        raise ConfigError(
            f"plan {str(path)!r} was locked at {state.lock.locked:%Y-%m-%d %H:%M} UTC and edited "
            f"later (now {state.plan.hash[:12]!r}); undo the edit, or save the plan under "
            "another name and lock that"
        )
    if state.lock is not None:
        return state
    lock = PlanLock(sha256=state.plan.hash, locked=now)
    lock_file(path).write_text(lock.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return LockState(state.plan, lock)


def check_names(plan: AnalysisPlan, known: Mapping[str, object]) -> None:
    """ConfigError for a planned setting that no run has."""
    for name in plan.settings:
        if name not in known:
            raise ConfigError(
                f"the plan fixes {name!r}, which is not a setting;  `plenary preregister draft` "
                "writes a plan "
                "with the existing names"
            )


def deviations(plan: AnalysisPlan, settings: Mapping[str, object]) -> tuple[Deviation, ...]:
    """Settings by dotted name that differ from the plan's."""
    return tuple(
        Deviation(name, json.dumps(planned), json.dumps(settings.get(name), default=str))
        for name, planned in plan.settings.items()
        if name not in settings or settings[name] != planned
    )
