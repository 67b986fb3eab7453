from __future__ import annotations

from pathlib import Path

import pytest

from assembly.record.progress import Event
from plenary.runs.progress import NullWatcher, ProgressRecord, TrainingProgress, noting
from plenary.runs.records.base import read_record


class Counting(NullWatcher):
    """A watcher that counts what reaches it."""

    def __init__(self) -> None:
        self.heard = 0

    def assembly(self, event: Event) -> None:
        self.heard += 1


def test_the_last_word_is_kept_and_all_is_passed_on(tmp_path: Path) -> None:
    path, inner = tmp_path / "progress.json", Counting()
    with noting(inner, path) as noted:
        assert read_record(ProgressRecord, path).state == "running"
        noted.begin("convene", 5, 13)
        for done in range(50):
            noted.assembly(Event("votes", 4, 0, done, 50, done, 10 * done, 0.5, 2.0))
        noted.end("convene", 1.0, skipped=False)
        held = read_record(ProgressRecord, path)
        assert (held.done, held.total, held.tokens, held.cost) == (49, 50, 490, 0.5)
        assert inner.heard == 50
        noted.begin("align", 8, 13)
        noted.training(TrainingProgress(3, 9, 0.25))
        noted.end("align", 1.0, skipped=False)
        held = read_record(ProgressRecord, path)
        assert (held.stage, held.done, held.loss, held.left) == ("align", 3, 0.25, None)
        assert held.tokens == 490
    assert read_record(ProgressRecord, path).state == "ended"


def test_an_error_is_told_and_not_swallowed(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    with pytest.raises(ZeroDivisionError), noting(NullWatcher(), path):
        raise ZeroDivisionError
    assert read_record(ProgressRecord, path).state == "stopped"
