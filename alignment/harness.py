"""Door to lm_eval: standard tasks on the live model, adapter off and on. An optional extra."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module, util
from pathlib import Path
from typing import NamedTuple

from alignment.live import LiveModel
from plenary.errors import ConfigError, DataError

EXTRA = "pip install 'plenary[harness]'"


class TaskScore(NamedTuple):
    """One metric of one task on the base model and on the adapted one; its sign is the task's."""

    task: str
    metric: str
    before: float
    after: float


def harness(
    live: LiveModel,
    tasks: Sequence[str],
    *,
    folder: Path | None = None,
    limit: int | None = None,
    batch: int = 8,
) -> tuple[TaskScore, ...]:
    """Run lm_eval `tasks` on the same weights with the adapter off, then on.

    folder: task files of one's own; with it the tasks that come with lm_eval are not searched, and
    nothing is fetched if their data are local. limit: items a task. ConfigError without lm_eval.
    """
    if util.find_spec("lm_eval") is None:
        raise ConfigError(f"tasks {list(tasks)!r} need lm_eval, which is not installed; {EXTRA}")
    evaluator, wrapper, manager = (
        import_module(f"lm_eval.{name}") for name in ("evaluator", "models.huggingface", "tasks")
    )
    known = manager.TaskManager(
        include_path=None if folder is None else str(folder), include_defaults=folder is None
    )
    scores = []
    for adapted in (False, True):
        with live.side(adapted=adapted) as model:
            found = evaluator.simple_evaluate(
                model=wrapper.HFLM(pretrained=model, tokenizer=live.tokenizer, batch_size=batch),
                tasks=list(tasks), task_manager=known, limit=limit, bootstrap_iters=0,
            )  # fmt: skip
        if found is None:
            raise DataError(f"lm_eval gave no result for {list(tasks)!r}; check the task names")
        scores.append(found["results"])
    return tuple(
        TaskScore(task, metric, value, scores[1][task][metric])
        for task, metrics in scores[0].items()
        for metric, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    )
