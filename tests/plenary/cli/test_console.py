"""What a log is told while a long stage goes on."""

from __future__ import annotations

import pytest

from assembly.record.progress import Event
from plenary.cli import console
from plenary.runs.progress import TrainingProgress


def test_a_long_stage_says_a_line_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    lines = console.Lines()
    lines.begin("convene", 5, 19)
    for second in (1, 59, 61, 100, 122):
        now[0] = second
        lines.assembly(Event("votes", 1, 0, done=second, shards=200, left=9.6))
    lines.end("convene", 122.0, skipped=False)
    lines.begin("align", 6, 19)
    now[0] = 200
    lines.training(TrainingProgress(3, 8, 0.5))
    assert capsys.readouterr().err.splitlines() == [
        "[5/19] convene: 61 of 200 parts, 10 s left",
        "[5/19] convene: 122 of 200 parts, 10 s left",
        "[5/19] convene: 122.0 s",
        "[6/19] align: step 3 of 8, loss 0.500",
    ]


def test_a_title_is_not_broken_over_a_narrow_table(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_rows("a run with a rather long name, seed 0", [("plan", "1 s")])
    assert "a run with a rather long name, seed 0" in capsys.readouterr().out
