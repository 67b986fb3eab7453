"""`plenary retention`: which abilities training kept, and lm_eval tasks before and after."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from alignment.retention.lm_eval_harness import TaskScore, harness
from alignment.training.live import LiveModel
from alignment.training.record import TrainingRecord
from evaluation.stats.paired_proportions import supported_margin
from plenary.errors import DataError
from plenary.runs import filenames
from plenary.runs.config import load_config
from plenary.runs.directory import locked, read_manifest
from plenary.runs.filenames import CONFIG
from plenary.runs.models import checkpoint_path
from plenary.runs.records.base import read_record, write_record
from plenary.runs.records.measures import HARNESS, HarnessRecord, RetentionRecord, ScoreRecord
from plenary.untrusted import read_text

TASK = re.compile(r"^task:\s*['\"]?([\w.-]+)", re.MULTILINE)

Rows = dict[str, object]


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
            f"{str(folder)!r} holds {', '.join(found) or 'no file with a line task:'}, but "
            f"{named} was asked for; give a folder of lm_eval's task files"
        )
    return tuple(wanted) or tuple(found)


def run_harness(run: Path, folder: Path, wanted: Sequence[str], limit: int | None) -> HarnessRecord:
    """Run the tasks on the run's model, adapter off and on, and keep the scores in the run."""
    read_manifest(run)
    config, tasks = load_config(run / CONFIG), tasks_in(folder, wanted)
    training = read_record(TrainingRecord, run / filenames.TRAINING)
    with locked(run):
        live = LiveModel(
            checkpoint_path(config.model), run / filenames.ADAPTER, day=config.chat.day
        )
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


def kept_rows(run: Path) -> Rows:
    """The figures of the run's own retention set."""
    read_manifest(run)
    kept = read_record(RetentionRecord, run / filenames.RETENTION).kept
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
