"""Dataset, diagnostics, conditions and settings of a planted assembly, by command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from assembly.dataset.consensus_dataset import ConsensusDataset
from plenary.cli.main import app
from plenary.errors import ConfigError
from plenary.pipeline.run import preflight
from plenary.runs.config import load_config
from plenary.runs.directory import open_run, read_manifest
from plenary.runs.progress import NullWatcher
from plenary.runs.records.conditions import read_agreement
from plenary.runs.workspace import Workspace

OUTCOMES = [
    (f"{topic}{k}", f"the town plants {7 * k + 3} trees for {topic}", topic, (5 * k) % 7 / 2)
    for topic in ("money", "health")
    for k in range(8)
]
SMALL = """
name: small
outcomes: {path: outcomes.csv, count: 16, readable_only: false}
panel: {citizens: 16}
design: {train_pairs: 12, held_out_pairs: 8}
assembly: {table_size: 4, follow_up: true}
dataset: {licence: CC-BY-4.0, contact: desk@example.org}
"""


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A folder with a config and planted citizens who listen; the options that use them."""
    monkeypatch.chdir(tmp_path)
    rows = [",".join((i, text, topic)) for i, text, topic, _ in OUTCOMES]
    Path("outcomes.csv").write_text("\n".join(["id,text,topic", *rows]))
    Path("small.yaml").write_text(SMALL)
    return _citizens(swing=0.4)


def _citizens(swing: float) -> tuple[str, ...]:
    world = {"utilities": {text: value for _, text, _, value in OUTCOMES}, "swing": swing}
    path = Path(f"world{swing}.json").resolve()
    path.write_text(json.dumps(world))
    return (
        "small.yaml",
        *("--set", f"model=planted:{path}"),
        *("--set", f"citizens_model=planted:{path}"),
        "--json",
    )


@pytest.mark.filterwarnings("default")
def test_a_dataset_is_written_loaded_and_shown(planted: tuple[str, ...], tmp_path: Path) -> None:
    from datasets import load_dataset

    shown = json.loads(call("dataset", *planted, "--format", "dpo"))
    folder = Path("runs/small/dataset")
    made = ConsensusDataset.read(folder / "consensus.parquet")
    assert shown["pairs"] == len(made) == 20
    assert not np.isnan(made.p_follow_up).any()
    assert {s.attribute for s in made.strata} >= {"age", "region"}
    loaded = load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {name: len(part) for name, part in loaded.items()} == {"train": 12, "held_out": 8}
    assert loaded["held_out"]["first_id"][:] == list(made.first_id[12:])
    card = (folder / "README.md").read_text()
    assert "license: cc-by-4.0" in card
    assert "Contact: desk@example.org" in card
    assert "Removal: not given" in card
    metadata = json.loads((folder / "croissant.json").read_text())
    assert metadata["distribution"][0]["name"] == "consensus.parquet"
    rows = [json.loads(line) for line in Path(shown["file"]).read_text().splitlines()]
    assert len(rows) == shown["rows"] > 0
    assert set(rows[0]) == {"prompt", "chosen", "rejected"}
    states = json.loads(Path("runs/small/assembly.json").read_text())["states"]
    assert list(states) == ["before", "after", "follow-up"]
    assert "abstained" in states["follow-up"]
    assert "who moved others" in call("show", "runs/small")


def test_diagnostics_tell_measured_from_not_measured(planted: tuple[str, ...]) -> None:
    call("dataset", *planted)
    found = json.loads(Path("runs/small/diagnostics.json").read_text())
    # Everybody prefers alike and every statement speaks for the majority: no table differs.
    assert found["conformity"]["index"] == pytest.approx(1)
    assert found["conformity"]["strangers"] == pytest.approx(1)
    assert found["conformity"]["flagged"] == []
    assert "plenary conditions" in found["conformity"]["against"]
    assert found["influence"] is None
    assert found["spread"]["own_entropy"]["after"] < found["spread"]["own_entropy"]["before"]
    shares = {part["source"]: part["share"] for part in found["errors"]}
    assert shares["models"] is shares["interactions"] is None
    assert shares["persona wording"] == 0
    assert shares["panel draw"] is not None
    assert shares["discussion"] is not None
    notes = {part["source"]: part["note"] for part in found["errors"]}
    assert "citizens_model" in notes["models"]
    assert [size["citizens"] for size in found["sizes"]] == [4, 8, 16, 32, 64]
    assert found["novelty"] is None
    call("dataset", *planted, "--name", "silent", "--set", "assembly.rounds=0",
         "--set", "dataset.paraphrased=0")  # fmt: skip
    silent = json.loads(Path("runs/silent/diagnostics.json").read_text())
    assert silent["influence"] is silent["conformity"] is None
    untold = {part["source"]: part["note"] for part in silent["errors"] if part["share"] is None}
    assert set(untold) >= {"discussion", "persona wording"}
    assert "dataset.paraphrased" in untold["persona wording"]


def test_arms_find_what_discussion_did_and_nothing_where_nobody_listens(
    planted: tuple[str, ...],
) -> None:
    found = json.loads(call("conditions", *planted, "--probes", "vote-reveal,no-persona"))
    effects = {effect["control"]: effect for effect in found["effects"]}
    assert effects["reflection"]["low"] > 0
    assert effects["reflection"]["toward_majority"] < effects["none"]["toward_majority"]
    # With a condition beside, what every table did alike can be told from thinking alone.
    assert found["influence"]["first"][0]["effect"] > 0.2
    assert found["conformity"]["flagged"]
    assert "thinking alone" in found["conformity"]["against"]
    assert [probe["probe"] for probe in found["probes"]] == ["vote-reveal", "no-persona"]
    table = pq.read_table("runs/small/conditions.parquet")
    assert table.num_rows == 20
    assert {"shift_reflection", "low_none"} <= set(table.column_names)
    deaf = json.loads(
        call("conditions", *_citizens(swing=0.0), "--name", "deaf", "--probes", "none")
    )
    for effect in deaf["effects"]:
        assert abs(effect["toward_majority"]) < 1e-9
        assert effect["size"] < 1e-9
        assert effect["shifted"] == 0
    assert deaf["influence"]["moving"] == 0
    assert deaf["conformity"]["flagged"] == []
    with pytest.raises(ConfigError, match="unknown probe 'shouting'"):
        call("conditions", *planted, "--probes", "shouting")


def test_agreement_is_held_against_both_controls(planted: tuple[str, ...]) -> None:
    """Planted citizens have no personas: a discussion counts, whose it is does not."""
    asked = ("--probes", "shuffled-persona,no-persona")
    found = json.loads(call("conditions", *planted, *asked))["agreement"]
    assert found["alone"]["value"] > found["shuffled"]["high"]
    assert found["shuffled"]["low"] <= 0 <= found["shuffled"]["high"]
    config = load_config(Path("runs/small/config.yaml"))
    run = open_run(Path("runs"), read_manifest(Path("runs/small")), "resume")
    space = Workspace(config, run, NullWatcher())
    held = read_agreement(space.run.path)
    assert held is not None
    assert held.alone.low == found["alone"]["low"]
    shutil.copy("runs/small/consensus.parquet", "runs/small/votes.parquet")
    assert read_agreement(space.run.path) is None
    run.close()
    assert json.loads(call("conditions", *planted, "--probes", "no-persona"))["agreement"] is None


def test_a_held_assembly_goes_on_under_what_changes_no_result(planted: tuple[str, ...]) -> None:
    entry = {
        "first": OUTCOMES[0][1], "second": OUTCOMES[1][1],
        "for_first": ["it is close"], "for_second": ["it is far"],
    }  # fmt: skip
    with_all = ("--set", "design.train_pairs=28", "--set", "outcomes.held_out=0.5")
    Path("brief.yaml").write_text(json.dumps({"pairs": []}))
    briefed = (*planted, *with_all)
    Path("small.yaml").write_text(SMALL.replace("follow_up: true", "briefing: brief.yaml"))
    before = call("convene", *briefed)
    freely = ("--set", "assembly.concurrency=1", "--set", "assembly.durability=exit")
    assert call("convene", *briefed, *freely) == before
    by_majority = ("--set", "dataset.rule=majority")
    call("dataset", *briefed, *by_majority)
    made = ConsensusDataset.read(Path("runs/small/dataset/consensus.parquet"))
    assert set(made.p) <= {0.0, 0.5, 1.0}
    assert call("convene", *briefed, *by_majority) == before
    with pytest.raises(ConfigError, match="made under other settings"):
        call("convene", *briefed)
    Path("brief.yaml").write_text(json.dumps({"pairs": [entry]}))
    with pytest.raises(ConfigError, match="made under other settings"):
        call("convene", *briefed, *by_majority)


def test_votes_need_two_groups() -> None:
    with pytest.raises(ConfigError, match="one group"):
        preflight(
            load_config(
                None, ["panel.citizens=36", "assembly.table_size=6", "assembly.tables_per_group=6"]
            )
        )
    preflight(
        load_config(
            None, ["panel.citizens=37", "assembly.table_size=6", "assembly.tables_per_group=6"]
        )
    )
