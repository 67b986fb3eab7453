"""The LM evaluation harness (lm_eval): standard benchmarks with the adapter off and on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module, util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alignment.training.live import LiveModel
from evaluation.stats.paired_proportions import Paired, paired
from plenary.errors import ConfigError, DataError

EXTRA = "pip install 'plenary[harness]'"


class TaskScore(NamedTuple):
    """One metric of one task on the base model and on the adapted one; its direction is the task's.

    items: the paired comparison if the metric is 0 or 1 per item; None for other metrics.
    """

    task: str
    metric: str
    before: float
    after: float
    items: Paired | None


def harness(
    live: LiveModel,
    tasks: Sequence[str],
    *,
    folder: Path | None = None,
    limit: int | None = None,
    batch: int = 8,
) -> tuple[TaskScore, ...]:
    """Run lm_eval `tasks` on the same weights with the adapter off, then on.

    folder: your own task files; with it, the tasks that come with lm_eval are not searched, and
    nothing is fetched if the data are local. limit: items per task. ConfigError without lm_eval.
    """
    if util.find_spec("lm_eval") is None:
        raise ConfigError(f"tasks {list(tasks)!r} need lm_eval, which is not installed; {EXTRA}")
    evaluator, wrapper, manager = (
        import_module(f"lm_eval.{name}") for name in ("evaluator", "models.huggingface", "tasks")
    )
    known = manager.TaskManager(
        include_path=None if folder is None else str(folder), include_defaults=folder is None
    )
    scores, samples = [], []
    for adapted in (False, True):
        with live.side(adapted=adapted) as model:
            found = evaluator.simple_evaluate(
                model=wrapper.HFLM(pretrained=model, tokenizer=live.tokenizer, batch_size=batch),
                tasks=list(tasks), task_manager=known, limit=limit, bootstrap_iters=0,
            )  # fmt: skip
        if found is None:
            raise DataError(f"lm_eval gave no result for {list(tasks)!r}; check the task names")
        scores.append(found["results"])
        samples.append(found["samples"])
    return tuple(
        TaskScore(task, metric, value, scores[1][task][metric], _items(samples, task, metric))
        for task, metrics in scores[0].items()
        for metric, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    )


def _items(
    samples: Sequence[Mapping[str, Sequence[Mapping[str, Any]]]], task: str, metric: str
) -> Paired | None:
    """Items right before and after, matched by their number; metric is "name,filter"."""
    name, _, filtered = metric.partition(",")
    sides = [
        {
            row["doc_id"]: row[name]
            for row in side.get(task, ())
            if name in row and row.get("filter", filtered) == filtered
        }
        for side in samples
    ]
    values = np.array([[side.get(k, np.nan) for k in sorted(sides[0])] for side in sides])
    if not values.size or not np.isin(values, (0, 1)).all():
        return None
    return paired(values[0] == 1, values[1] == 1)
