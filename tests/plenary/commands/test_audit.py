"""The hiring audit by the command line, on the model that ships."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plenary.cli.main import app

DRAWS = ("bootstrap=100", "permutations=99", "placebo_splits=100")
CHANGES = ("resumes=4", "prompts=[P1]", *DRAWS)
SMALL = [word for change in CHANGES for word in ("--set", f"hiring.{change}")]


def _audit(*words: object) -> dict[str, object]:
    done = CliRunner().invoke(app, ["audit", "audit_embedded", *map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_a_dry_run_counts_calls_and_writes_nothing(tmp_path: Path) -> None:
    assert _audit("--dry-run", "--out", tmp_path / "out") == {"calls": 2032}
    assert not (tmp_path / "out").exists()


def test_answers_and_findings_are_written_and_calls_not_repeated(tmp_path: Path) -> None:
    found = _audit(*SMALL, "--out", tmp_path)
    (verdict,) = [text for name, text in found.items() if name.startswith("verdict, ")]
    assert isinstance(verdict, str)
    assert "(invented)" in str(found["groups"])
    record = json.loads((tmp_path / "findings_before.json").read_text())
    assert record["findings"][0]["verdict"]["words"] == verdict
    again = _audit(*SMALL, "--out", tmp_path, "--set", "budget.calls=1")
    assert again == found


@pytest.mark.parametrize("setting", ["hiring.prompts=[P4]", "hiring.max_calls=10"])
def test_what_cannot_be_asked_is_an_error(tmp_path: Path, setting: str) -> None:
    done = CliRunner().invoke(
        app, ["audit", "audit_embedded", "--set", setting, "--out", str(tmp_path)]
    )
    assert done.exit_code == 1
    assert "ConfigError" in type(done.exception).__name__
