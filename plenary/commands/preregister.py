"""`plenary preregister`: drafting, locking and checking an analysis plan."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import yaml

from evaluation.claims.preregistration import (
    AnalysisPlan,
    LockState,
    check_names,
    lock_file,
    lock_plan,
    lock_state,
    read_plan,
)
from plenary.errors import ConfigError
from plenary.runs.config import PipelineConfig, flat_settings

# What a plan fixes: seeds, sample sizes, wordings, margins.
FIXED = (
    "seed",
    "model",
    "citizens_model",
    "outcomes.",
    "panel.",
    "design.",
    "elicitation.",
    "comparison.",
    "measures.",
    "hiring.",
)
Record = dict[str, object]


def draft_plan(config: PipelineConfig, output: Path) -> Record:
    """Write a plan with the settings of a config; ConfigError if the file exists."""
    if output.exists():
        raise ConfigError(f"{str(output)!r} exists; give another --output")
    settings = {
        name: value for name, value in flat_settings(config).items() if name.startswith(FIXED)
    }
    plan = AnalysisPlan.model_validate(
        {"title": config.name, "primary": ["agreement_gain"], "settings": settings}
    )
    text = yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    output.write_text(text, encoding="utf-8")
    return {
        "plan": str(output),
        "settings": len(settings),
        "next": f"plenary preregister lock {output}",
    }


def lock_now(path: Path) -> Record:
    """Lock a plan whose settings all exist."""
    check_names(read_plan(path), flat_settings(PipelineConfig()))
    return _shown(path, lock_plan(path, datetime.now(UTC)))


def check_plan(path: Path) -> Record:
    """The state of a plan: locked or not, edited or not."""
    return _shown(path, lock_state(path))


def _shown(path: Path, state: LockState) -> Record:
    return {
        "plan": str(path),
        "hash": state.plan.hash,
        "lock": str(lock_file(path)) if state.lock else None,
        "locked": None if state.lock is None else f"{state.lock.locked:%Y-%m-%d %H:%M:%S} UTC",
        "edited": state.edited,
        "holds": state.lock is not None and not state.edited,
    }
