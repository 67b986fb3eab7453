"""The page of benchmarks says where and when it was measured, and what did not come out."""

from __future__ import annotations

from pathlib import Path

from benchmarks.run_all import HERE, Outcome, Target, is_benchmark, page, run_one
from benchmarks.targets import Target as Measured

GOOD = '''"""Is it fast?

More words.
"""
print("on the way")
print('{"targets": [{"name": "a | b", "value": 2, "target": ">= 1", "ratio": true, "met": true}]}')
'''


def test_a_script_is_read_with_its_question_and_load(tmp_path: Path) -> None:
    script = tmp_path / "good.py"
    script.write_text(GOOD, encoding="utf-8")
    found = run_one(script, quick=True)
    assert (found.question, found.failure) == ("Is it fast?", "")
    assert found.targets == (Target(name="a | b", value=2, target=">= 1", ratio=True, met=True),)
    assert found.seconds > 0


def test_a_script_that_breaks_is_named_and_the_others_stay(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text('"""Does it break?"""\nraise SystemExit("no such thing")', encoding="utf-8")
    found = run_one(broken, quick=False)
    made = page({"broken": found, "good": Outcome(targets=())}, quick=True)
    assert "**No figures**: `no such thing`" in made
    assert "## good" in made


def test_the_page_states_machine_date_load_and_ratios() -> None:
    figures = (
        Target(name="a | b", value=12345.6, target="<= 2e+04", ratio=False, met=True),
        Target(name="ours over theirs", value=0.5, target=">= 1", ratio=True, met=False),
    )
    made = page({"one_two": Outcome(targets=figures, load=3.2, seconds=9)}, quick=False)
    assert "whole form" in made
    assert " UTC" in made
    assert "cores" in made
    assert "`benchmarks/one_two.py`: 9 s, load 3.2." in made
    assert "| a \\| b |  | 12,346 | &lt;= 2e+04 | yes |" in made
    assert "| ours over theirs | ratio | 0.5 | >= 1 | NO |" in made


def test_shared_modules_are_no_benchmarks() -> None:
    names = {path.stem for path in HERE.glob("*.py") if is_benchmark(path)}
    assert "elicitation" in names
    assert not names & {"run_all", "targets", "planted_worlds", "adam_baseline"}


def test_a_figure_without_a_target_is_met() -> None:
    assert Measured("rate", 3.0, None).bar == "none"
    assert Measured("rate", 3.0, None).met
    assert Measured("growth", 3.0, 2.0, at_least=False).bar == "<= 2"
