"""Arms, doses, rebound and strata on a small run's ballots, and the section of the report."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.checkpoints import CheckpointName
from typer.testing import CliRunner

from alignment.experiments.control_table import Similarity
from alignment.training.adapter import read_manifest
from alignment.training.settings import AlignmentSettings
from plenary.cli.main import app, main
from plenary.errors import ConfigError, DataError
from plenary.report.controls import control_section
from plenary.runs.records.experiments import read_control
from plenary.seeding import derived_seed
from plenary.stages.control_experiment import ControlRequest, check_request

FEW = ("assembly", "single_citizen", "shuffled", "prompt_only")
OUTCOMES = [
    (f"{topic}{k}", f"the town plants {7 * k + 3} trees for {topic}", topic, (5 * k) % 7 / 2)
    for topic in ("money", "health", "taxes")
    for k in range(8)
]
SMALL = """
name: small
outcomes: {path: outcomes.csv, count: 16, exclude_topics: [taxes], readable_only: false}
panel: {citizens: 14}
design: {train_pairs: 12, held_out_pairs: 8}
elicitation: {min_mass: 0.0}
assembly: {min_mass: 0.0}
alignment: {epochs: 1, batch: 16, replay_rows: 1}
measures: {wording_pairs: 0, retention: false}
comparison: {bootstrap: 100}
"""
KEPT = """
name: tiny
note: for tests
items:
- {question: "What is planted?", options: ["trees", "the town"], answer: 0}
- {question: "Who plants?", options: ["trees", "the town"], answer: 1}
documents:
- {prompt: "Speak.", text: "the town plants four trees"}
- {prompt: "Speak.", text: "a clinic opens in the valley"}
"""


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Callable[[CheckpointName], Path]
) -> tuple[str, ...]:
    """A folder with a config, outcomes and planted citizens; the options that use them."""
    monkeypatch.chdir(tmp_path)
    rows = [",".join((i, text, topic)) for i, text, topic, _ in OUTCOMES]
    Path("outcomes.csv").write_text("\n".join(["id,text,topic", *rows]))
    Path("small.yaml").write_text(SMALL)
    Path("kept.yaml").write_text(KEPT)
    world = {"utilities": {text: value for _, text, _, value in OUTCOMES}, "swing": 0.4}
    Path("world.json").write_text(json.dumps(world))
    return (
        "small.yaml",
        *("--set", f"model=local:{checkpoint('qwen2')}"),
        *("--set", f"citizens_model=planted:{tmp_path / 'world.json'}"),
    )


@pytest.mark.slow
def test_a_control_experiment_is_made_resumed_shown_and_published(
    place: tuple[str, ...], tmp_path: Path
) -> None:
    asked = (
        "control", *place, "--seeds", "2", "--arms", ",".join(FEW), "--dose", "rank=2",
        "--rebound", "3", "--by", "sex", "--panels", "--retention", "kept.yaml",
    )  # fmt: skip
    out = call(*asked)
    run = tmp_path / "runs" / "small"
    cells = {
        path: path.stat().st_mtime_ns for path in (run / "control_experiment" / "cells").iterdir()
    }
    table = read_control(run)
    assert table is not None
    names = [row.arm for row in table.rows]
    assert set(FEW) < set(names)
    assert {"rank=2", "rebound=3", "equal weights"} < set(names)
    assert any(name.startswith("sex=") for name in names)
    assert all(row.seeds == 2 for row in table.rows)
    assert len(cells) == 2 * len(names)
    assert all(name in out for name in names)
    assert pq.read_table(run / "control_experiment" / "control_table.parquet").num_rows == len(
        cells
    )
    strata = json.loads((run / "control_experiment" / "strata_agreement.json").read_text())[
        "assembly"
    ]
    assert {row["stratum"][:4] for row in strata["strata"]} == {"sex="}
    assert strata["worst_level"] == pytest.approx(strata["worst_after"] - strata["worst_before"])
    drifts = [row.drift_untouched for row in table.rows if row.arm != "prompt_only"]
    assert all(drift is not None and drift > 0 for drift in drifts)
    # Nothing is run again; fewer arms give a smaller table of the same cells.
    again = json.loads(call(*asked[:-11], "--arms", "assembly,shuffled", "--json",
                            "--retention", "kept.yaml"))  # fmt: skip
    assert {
        p: p.stat().st_mtime_ns for p in (run / "control_experiment" / "cells").iterdir()
    } == cells
    assert {row["arm"] for row in again["rows"]} == {"assembly", "shuffled"}
    # Another training setting is another cell.
    call("control", *place, "--seeds", "1", "--arms", "format_only", "--retention", "kept.yaml",
         "--set", "alignment.rank=4")  # fmt: skip
    assert len(list((run / "control_experiment" / "cells").iterdir())) == len(cells) + 1
    section = str(control_section(table))
    assert section.count("<tr>") == 1 + len(names)
    assert "Behind the assembly" in section
    similarity = {row.arm: row.similarity for row in table.rows}
    assert similarity["prompt_only"] is None
    assert similarity["assembly"] == similarity["rank=2"] == Similarity(agreement=1, kl=0)
    # The last table is the one that is shown; under other settings it is out of date.
    assert "control arms" in call("show", str(run))
    call("consensus", *place)
    assert "control arms" not in call("show", str(run))
    call("control", *place, "--seeds", "1", "--arms", "assembly,format_only", "--retention",
         "kept.yaml")  # fmt: skip
    assert "format_only" in call("show", str(run)).partition("control arms")[2]
    # The adapter of another setting took the place of the assembly's; rebound is not of it.
    one = (
        "control",
        *place,
        "--seeds",
        "1",
        "--arms",
        "assembly",
        "--retention",
        "kept.yaml",
    )
    call(*one, "--set", "alignment.rank=4")
    (adapter,) = (run / "control_experiment" / "adapters").glob(
        f"assembly-{derived_seed(0, 'sweep', 0)}"
    )
    assert read_manifest(adapter).settings.rank == 4
    call(*one, "--rebound", "2")
    assert read_manifest(adapter).settings.rank == AlignmentSettings().rank


@pytest.mark.slow
def test_the_report_of_a_run_follows_its_control_experiment(
    place: tuple[str, ...], tmp_path: Path
) -> None:
    call("run", *place)
    report = tmp_path / "runs" / "small" / "report.html"
    assert "without control arms" in report.read_text()
    assert "<h2>Control arms</h2>" not in report.read_text()
    call("control", *place, "--seeds", "1", "--arms", "assembly,shuffled", "--retention",
         "kept.yaml")  # fmt: skip
    page = report.read_text()
    assert "<h2>Control arms</h2>" in page
    assert "without control arms" not in page
    assert "no persona, random, format only were not run" in page
    call("report", *place)
    assert "<h2>Control arms</h2>" in report.read_text()


@pytest.mark.slow
def test_publish_writes_a_folder_and_pushes_nothing_unasked(
    place: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("publish", *place, "--base", "lab/tiny", "--folder", "hub")
    call(*options)
    card = Path("hub/README.md").read_text()
    assert "14 simulated citizens on 20 pairs" in card
    assert "No control arms were run" in card
    assert str(tmp_path) not in "".join(p.read_text() for p in Path("hub").glob("*.json"))
    monkeypatch.setattr(sys, "argv", ["plenary", *options, "--push", "lab/tiny"])
    with pytest.raises(SystemExit, match="4"):
        main()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (ControlRequest(arms=("placebo",)), "unknown arm 'placebo'"),
        (ControlRequest(doses=("warmth=1",)), "cannot read dose"),
        (ControlRequest(seeds=0), "seeds is 0"),
        (ControlRequest(arms=("shuffled",), rebound=5), "rebound needs the arm 'assembly'"),
        (ControlRequest(panels=True), "add --by"),
    ],
)
def test_requests_that_mean_nothing_are_refused(request_: ControlRequest, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_request(request_)


@pytest.mark.slow
def test_control_experiments_of_two_panels_are_pooled(
    place: tuple[str, ...], tmp_path: Path
) -> None:
    runs = [tmp_path / "runs" / name for name in ("one", "two")]
    for seed, run in enumerate(runs):
        call("control", *place, "--seeds", "1", "--arms", "prompt_only,no_persona", "--retention",
             "kept.yaml", "--name", run.name, "--set", f"seed={seed}")  # fmt: skip
    (prompted, empty) = json.loads(call("pool", *map(str, runs), "--json"))
    tables = [read_control(run) for run in runs]
    gains = [table.row("prompt_only").gain.value for table in tables if table is not None]
    assert prompted["gains"] == gains
    assert prompted["gain"]["value"] == pytest.approx(sum(gains) / 2)
    assert empty["arm"] == "no_persona"
    assert "prompt_only" in call("pool", *map(str, runs))
    twice = CliRunner().invoke(app, ["pool", str(runs[0]), str(runs[0])])
    assert isinstance(twice.exception, DataError)
    assert "the same decision" in str(twice.exception)
    none = CliRunner().invoke(app, ["pool", str(runs[0]), str(tmp_path)])
    assert isinstance(none.exception, DataError)
    assert "run plenary control there" in str(none.exception)


def test_no_control_experiment_is_no_section(tmp_path: Path) -> None:
    assert read_control(tmp_path) is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("control", "quickstart", "--arms", "asembly"), "unknown arm 'asembly'"),
        (("conditions", "quickstart", "--probes", "shouting"), "unknown probe 'shouting'"),
    ],
)
def test_a_slip_is_said_before_the_assembly_is_held(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(app, words)
    assert isinstance(answer.exception, ConfigError)
    assert said in str(answer.exception)
    assert not (tmp_path / "runs").exists()
