"""Records of control experiments, and pooling those of several panels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from alignment.experiments.control_table import ControlTable
from alignment.experiments.pooling import PooledArm, pooled
from plenary.errors import DataError
from plenary.hashing import content_hash
from plenary.runs import filenames
from plenary.runs.config import PipelineConfig, load_config
from plenary.runs.filenames import CONFIG, CONSENSUS, FOLDER
from plenary.runs.records.base import Record, read_record

TABLE = "control_table.json"


class ControlRecord(Record):
    """The table as a run keeps it."""

    origin: str = Field(description="hash of the decision, model and training settings it is of")
    table: ControlTable = Field(description="arms by metrics")


def origin(run: Path, config: PipelineConfig) -> str:
    """Hash of what a table of arms depends on: decision, model and training."""
    parts = (
        content_hash(run / filenames.CONSENSUS),
        config.model,
        config.alignment.model_dump_json(),
    )
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()


def read_control(run: Path) -> ControlTable | None:
    """The table of a run directory; None without a control experiment of its present decision."""
    path = run / FOLDER / TABLE
    if not path.is_file():
        return None
    record = read_record(ControlRecord, path)
    return record.table if record.origin == origin(run, load_config(run / CONFIG)) else None


def read_pool(runs: Sequence[Path]) -> tuple[PooledArm, ...]:
    """Experiments of several runs together; DataError without one, or for one decision twice."""
    tables, seen = [], dict[str, Path]()
    for run in runs:
        table = read_control(run)
        if table is None:
            raise DataError(
                f"{str(run)!r} has no control experiment of its decision; run plenary control there"
            )
        same = seen.setdefault(content_hash(run / CONSENSUS), run)
        if same is not run:
            raise DataError(
                f"{str(run)!r} and {str(same)!r} hold the same decision; give another panel, made "
                "with --set seed=NUMBER"
            )
        tables.append(table)
    return pooled(tables)
