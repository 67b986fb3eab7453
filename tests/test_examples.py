"""Every example runs as its first lines say, and prints what a reader is told to look at."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SMALL = (
    "outcomes.count=24", "panel.citizens=6", "design.train_pairs=24", "design.held_out_pairs=14",
    "assembly.table_size=3", "alignment.epochs=1", "comparison.bootstrap=200",
    "measures.wording_pairs=0", "measures.hiring=false", "measures.retention=false",
    "dataset.paraphrased=0",
)  # fmt: skip
PRINTED = {
    "dataset_only": ("pairs to train on", "rather than"),
    "measure_a_model": ("400 questions, 0 invalid", "+-"),
    "own_backend": ("6 invalid", "never answered about"),
    "own_citizens": ("8 records stand for 810 persons", "You are a"),
    "own_rule": ("weighted_share", "worst_off"),
    "whole_chain": ("agreement", "ceiling", "report.html"),
}
IN_RUNS = ("dataset_only", "whole_chain")


def test_every_example_is_listed() -> None:
    assert {path.stem for path in EXAMPLES} == set(PRINTED)


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [str(tmp_path), *SMALL] if path.stem in IN_RUNS else []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    runpy.run_path(str(path), run_name="__main__")
    printed = capsys.readouterr().out
    assert not [words for words in PRINTED[path.stem] if words not in printed], printed
