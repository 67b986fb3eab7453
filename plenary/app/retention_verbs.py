"""What training kept, of a finished run; and lm_eval's tasks on its model before and after."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from alignment.harness import TaskScore, harness
from alignment.live import LiveModel
from alignment.paired import supported_margin
from alignment.training_record import TrainingRecord
from plenary.app import workspace as ws
from plenary.app.config import load_config
from plenary.app.measure_records import RetentionRecord
from plenary.app.models import checkpoint_path
from plenary.app.records import Record, read_record, write_record
from plenary.app.run_directory import CONFIG, alone_in, read_manifest
from plenary.errors import DataError
from plenary.untrusted import read_text

HARNESS = "harness.json"
TASK = re.compile(r"^task:\s*['\"]?([\w.-]+)", re.MULTILINE)
Rows = dict[str, object]


class ScoreRecord(Record):
    """One metric of one task; its sign is the task's."""

    task: str = Field(description="name of the task")
    metric: str = Field(description="lm_eval's name of the metric")
    before: float = Field(description="the base model")
    after: float = Field(description="the trained model")
    items: int | None = Field(description="items right or wrong on both; none for other metrics")
    change: float | None = Field(description="change of the share of right ones, paired")
    low: float | None = Field(description="lower one-sided 95 % bound of the change")
    high: float | None = Field(description="upper one-sided 95 % bound of the change")
    p_value: float | None = Field(description="exact McNemar, two-sided")
    supported: float | None = Field(
        description="smallest loss that so many items can rule out with power 0.8"
    )

    @property
    def told(self) -> str:
        """The paired change, where there is one."""
        if self.items is None or self.change is None:
            return "not by items"
        return (
            f"{self.change:+.3f} ({self.low:+.3f} to {self.high:+.3f}), n {self.items}, can rule "
            f"out {self.supported:.3f}"
        )


class HarnessRecord(Record):
    """lm_eval's tasks on a run's model with the adapter off and on."""

    adapter_sha256: str = Field(description="the adapter that was on")
    limit: int | None = Field(description="items a task; none is all")
    scores: tuple[ScoreRecord, ...] = Field(description="by task and metric")


def tasks_in(folder: Path, wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the tasks in a folder's YAML files, all or the wanted ones."""
    found = [
        match.group(1)
        for path in sorted(folder.rglob("*.y*ml"))
        if (match := TASK.search(read_text(path, "task file", DataError)))
    ]
    missing = [name for name in wanted if name not in found]
    if missing or not found:
        named = repr(missing[0]) if missing else "no task"
        raise DataError(
            f"{str(folder)!r} holds {', '.join(found) or 'nothing with a line task:'}, and "
            f"{named} was asked for; give a folder of lm_eval's task files"
        )
    return tuple(wanted) or tuple(found)


def run_harness(run: Path, folder: Path, wanted: Sequence[str], limit: int | None) -> HarnessRecord:
    """Run the tasks on the run's model, adapter off and on, and keep the scores in the run."""
    read_manifest(run)
    config, tasks = load_config(run / CONFIG), tasks_in(folder, wanted)
    training = read_record(TrainingRecord, run / ws.TRAINING)
    with alone_in(run):
        live = LiveModel(checkpoint_path(config.model), run / ws.ADAPTER, day=config.chat.day)
        scores = harness(live, tasks, folder=folder, limit=limit)
        record = HarnessRecord(
            adapter_sha256=training.adapter_sha256,
            limit=limit,
            scores=tuple(map(_score, scores)),
        )
        write_record(record, run / HARNESS)
    return record


def _score(score: TaskScore) -> ScoreRecord:
    by_item = score.items
    return ScoreRecord(
        task=score.task,
        metric=score.metric,
        before=score.before,
        after=score.after,
        items=by_item and by_item.items,
        change=by_item and by_item.change,
        low=by_item and by_item.low,
        high=by_item and by_item.high,
        p_value=by_item and by_item.p_value,
        supported=by_item and supported_margin(by_item.items),
    )


def read_harness(run: Path) -> HarnessRecord | None:
    """The scores of a run; None where the tasks were not run on its present adapter."""
    if not (run / HARNESS).is_file():
        return None
    record = read_record(HarnessRecord, run / HARNESS)
    training = read_record(TrainingRecord, run / ws.TRAINING)
    return record if record.adapter_sha256 == training.adapter_sha256 else None


def kept_rows(run: Path) -> Rows:
    """The figures of the run's own retention set."""
    read_manifest(run)
    kept = read_record(RetentionRecord, run / ws.KEPT).kept
    if kept is None:
        return {"retention set": "not measured in this run; set measures.retention=true"}
    return {
        found.what: f"{found.verdict}: loss {found.loss:+.3f} ({found.low:+.3f} to "
        f"{found.high:+.3f}), margin {found.margin:g}, n {found.units}"
        for found in kept.findings
    }


def harness_rows(record: HarnessRecord) -> Rows:
    """The tasks' scores."""
    return {
        f"{s.task}, {s.metric}": f"{s.before:.3f} to {s.after:.3f}; {s.told}" for s in record.scores
    }
