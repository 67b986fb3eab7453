"""Outputs outside of runs: finished ones are not overwritten by a command with other settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bench import Bench

from plenary.commands.loose_outputs import claim
from plenary.errors import ConfigError

VOTES = "first,second,choice\nx,y,first\ny,z,second\nz,x,first\nx,y,second\n"


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    return Bench(tmp_path, monkeypatch, capsys)


def refused(bench: Bench, command: tuple[str, ...], kept: Path, *said: str) -> None:
    """The command leaves the file as it was, and says in one line what differs and what to do."""
    before = kept.read_bytes()
    answer = bench.here(*command)
    assert answer.code == 2, (command, answer)
    lines = [line for line in answer.err.splitlines() if not line.startswith("[")]
    assert len(lines) == 1, answer.err
    for word in (kept.name, *said):
        assert word in lines[0], lines[0]
    assert kept.read_bytes() == before


def test_an_output_is_claimed_once(tmp_path: Path) -> None:
    output = tmp_path / "new" / "a.csv"
    claim([output], {"seed": 0, "model": "m"}, "--out")
    claim([output], {"seed": 1}, "--out")  # nothing was written: nothing to lose
    output.write_text("1")
    claim([output], {"seed": 1}, "--out")
    for exists in (None, "resume"):
        with pytest.raises(ConfigError, match="model: None -> 'n', seed: '1' -> '2'; give"):
            claim([output], {"seed": 2, "model": "n"}, "--out", exists)
    with pytest.raises(ConfigError, match="exists already"):
        claim([output], {"seed": 1}, "--out", "error")
    with pytest.raises(ConfigError, match="unknown --exists 'no'"):
        claim([output], {"seed": 1}, "--out", "no")
    assert output.read_text() == "1"
    claim([output], {"seed": 2}, "--out", "replace")
    assert not output.exists()
    (tmp_path / "mine").mkdir()
    claim([tmp_path / "mine"], {}, "--folder")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match=r"no 'other\.made\.json' says"):
        claim([tmp_path / "other"], {}, "--folder")


@pytest.mark.parametrize(
    ("place", "kept"),
    [(("--answers", "a.parquet"), "a.parquet"), ((), "runs/answers.parquet"),
     (("--answers", "folder"), "folder/answers.parquet")],
)  # fmt: skip
def test_answers_of_other_settings_stay(bench: Bench, place: tuple[str, ...], kept: str) -> None:
    command = ("elicit", "small.yaml", "--model", bench.world, "--pairs", "30", *place)
    file = bench.folder / kept
    assert bench.here(*command).code == 0
    answers = file.read_bytes()
    more = ("--set", "budget.seconds=900", "--json")
    again = bench.here(*command, *more)
    assert again.code == 0, again.err
    assert '"calls_made": 0' in again.out
    assert file.read_bytes() == answers
    bench.plant(bench.folder / "other.json", swing=0.1)
    other = f"planted:{bench.folder / 'other.json'}"
    for change, said in (
        (("--set", "seed=3"), "seed: '0' -> '3'"),
        (("--set", "elicitation.samples=7"), "elicitation.samples"),
        (("--pairs", "31"), "--pairs: '30' -> '31'"),
        (("--model", other), "other.json"),
    ):
        refused(bench, (*command, *change), file, said, "another --answers", "--exists replace")
    (bench.folder / "outcomes.csv").write_text(
        (bench.folder / "outcomes.csv").read_text().replace("trees", "bushes")
    )
    refused(bench, command, file, "outcomes.path")


def test_replacing_answers_is_asked_for(bench: Bench) -> None:
    command = ("elicit", "small.yaml", "--model", bench.world, "--pairs", "30")
    assert bench.here(*command).code == 0
    changed = (*command, "--set", "seed=3")
    assert bench.here(*changed, "--exists", "replace").code == 0
    assert bench.here(*changed).code == 0


def test_fits_and_comparisons_of_other_votes_stay(bench: Bench) -> None:
    (bench.folder / "votes.csv").write_text(VOTES)
    (bench.folder / "more").mkdir()
    (bench.folder / "more" / "votes.csv").write_text(f"{VOTES}z,x,second\n")
    runs = bench.folder / "runs"
    assert bench.here("fit", "votes.csv").code == 0
    assert bench.here("fit", "votes.csv").code == 0
    fitted = runs / "votes_utilities.csv"
    refused(bench, ("fit", "more/votes.csv"), fitted, "answers: ", "another --name or --out")
    refused(bench, ("fit", "votes.csv", "--set", "fit.exact_weight=9"), fitted, "exact_weight")
    assert bench.here("fit", "more/votes.csv", "--exists", "replace").code == 0
    for _ in range(2):
        assert bench.here("compare", "votes.csv", "more/votes.csv").code == 0
    shift = runs / "comparison_shift.parquet"
    refused(bench, ("compare", "more/votes.csv", "votes.csv"), shift, "before: ", "after: ")
    assert bench.here("compare", "more/votes.csv", "votes.csv", "--name", "back").code == 0


def test_a_file_of_ones_own_is_not_overwritten(bench: Bench) -> None:
    """Nothing says what made it: no command takes it for an output, and no model is asked."""
    own = bench.folder / "own"
    (own / "hub").mkdir(parents=True)
    for name in ("a.parquet", "r.json", "m.json", "answers_before.parquet"):
        (own / name).write_text("precious")
    for command, kept, option in (
        (("elicit", "--model", bench.world, "--answers", "own/a.parquet"), "a.parquet", "answers"),
        (("evaluate", "--out", "own/r.json"), "r.json", "out"),
        (("evaluate-models", "--model", "embedded", "--model", bench.world, "--out", "own/m.json"),
         "m.json", "out"),
        (("audit", "audit_embedded", "--out", "own"), "answers_before.parquet", "out"),
    ):  # fmt: skip
        refused(bench, command, own / kept, f"another --{option}", "made.json")
    names = {path.name for path in own.iterdir()}
    assert names == {"a.parquet", "r.json", "m.json", "answers_before.parquet", "hub"}


def test_rows_of_another_dataset_stay(bench: Bench) -> None:
    command = ("dataset", "small.yaml", *bench.specs(), "--to", "rows.jsonl", "--format")
    for _ in range(2):
        done = bench.here(*command, "soft")
        assert done.code == 0, done.err
    rows = bench.folder / "rows.jsonl"
    refused(bench, (*command, "dpo"), rows, "--format: 'soft' -> 'dpo'", "another --to")
