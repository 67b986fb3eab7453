"""`plenary retention`: what a run kept, and lm_eval's tasks where the extra is installed."""

from __future__ import annotations

import json
from importlib import util
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import plenary.embedded as embedded
from alignment.training.record import TrainingRecord
from alignment.training.settings import AlignmentSettings
from alignment.training.train import align
from plenary.cli.main import app
from plenary.commands.retention import tasks_in
from plenary.errors import ConfigError, DataError
from plenary.preferences import Targets
from plenary.prompt_templates import PROMPT_TEMPLATES
from plenary.runs import filenames
from plenary.runs.directory import new_manifest
from plenary.runs.records.base import write_record
from plenary.runs.records.measures import RetentionRecord, read_harness
from plenary.training_rows import rows_toward

TASKS = {
    "capitals": ("acc", '{"q": "The capital of France is", "options": ["Paris", "Rome"], "a": 0}'),
    "sums": ("acc", '{"q": "Two and two is", "options": ["five", "four"], "a": 1}'),
}
INSTALLED = util.find_spec("lm_eval") is not None


def tasks(folder: Path) -> Path:
    """Two tasks of multiple choice with local data."""
    folder.mkdir()
    for name, (metric, row) in TASKS.items():
        data = folder / f"{name}.jsonl"
        data.write_text((row + "\n") * 3, encoding="utf-8")
        lines = (
            f"task: {name}", "dataset_path: json", "dataset_kwargs:", "  data_files:",
            f"    test: {data}", "test_split: test", "output_type: multiple_choice",
            'doc_to_text: "{{q}}"', 'doc_to_choice: "{{options}}"', "doc_to_target: a",
            "metric_list:", f"  - metric: {metric}",
        )  # fmt: skip
        (folder / f"{name}.yaml").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run with a trained model leaves, as far as this verb looks."""
    run = tmp_path_factory.mktemp("runs") / "one"
    run.mkdir()
    texts = ("a park opens", "a mill closes", "a bridge is built")
    pairs = np.array([(0, 1), (0, 2), (1, 2)])
    target = Targets(pairs, np.array([0.9, 0.8, 0.4]), np.ones(3))
    settings = AlignmentSettings(epochs=1, replay_weight=0.0)
    rows = rows_toward(texts, target, [PROMPT_TEMPLATES["plain"]])
    trained = align(embedded.model_path(), rows, settings, run / filenames.ADAPTER, 0)
    manifest = new_manifest("one", "h", 1, deterministic=True, reason="")
    (run / "manifest.json").write_text(manifest.model_dump_json())
    (run / "config.yaml").write_text("name: one\nmodel: embedded\n")
    record = dict.fromkeys(TrainingRecord.model_fields, 1) | {
        "adapter_sha256": trained.adapter_sha256, "base_sha256": "b", "objective": "soft",
        "replay": "none",
    }  # fmt: skip
    write_record(TrainingRecord.model_validate(record), run / filenames.TRAINING)
    write_record(RetentionRecord(kept=None), run / filenames.RETENTION)
    return run


def retention(*words: object):
    return CliRunner().invoke(app, ["retention", *map(str, words)])


def test_a_run_that_did_not_measure_says_how(run: Path) -> None:
    done = retention(run, "--json")
    assert done.exit_code == 0, done.output
    assert "measures.retention=true" in json.loads(done.stdout)["retention set"]
    assert read_harness(run) is None


def test_tasks_are_those_of_the_folder(tmp_path: Path) -> None:
    folder = tasks(tmp_path / "tasks")
    assert tasks_in(folder) == ("capitals", "sums")
    assert tasks_in(folder, ["sums"]) == ("sums",)
    with pytest.raises(DataError, match="'taste' was asked for"):
        tasks_in(folder, ["taste"])
    with pytest.raises(DataError, match="give a folder of lm_eval's task files"):
        tasks_in(tmp_path / "nothing")


@pytest.mark.skipif(INSTALLED, reason="lm_eval is installed")
def test_without_the_extra_the_error_says_what_to_install(run: Path, tmp_path: Path) -> None:
    done = retention(run, "--harness", tasks(tmp_path / "tasks"))
    assert isinstance(done.exception, ConfigError)
    assert "pip install 'plenary[harness]'" in str(done.exception)


@pytest.mark.skipif(not INSTALLED, reason="needs the extra harness")
def test_tasks_are_run_before_and_after_and_kept(run: Path, tmp_path: Path) -> None:
    done = retention(run, "--harness", tasks(tmp_path / "tasks"), "--limit", 2, "--json")
    assert done.exit_code == 0, done.output
    record = read_harness(run)
    assert record is not None
    assert {score.task for score in record.scores} == set(TASKS)
    right = [score for score in record.scores if score.metric == "acc,none"]
    assert [score.items for score in right] == [2, 2]
    assert all(score.change == score.after - score.before for score in right)
    assert "n 2, can rule out" in done.stdout
