"""Elicit, fit and compare without a run, on a planted model and on a user's votes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from peft import LoraConfig, get_peft_model
from typer.testing import CliRunner

from alignment.training.trainer import without_library_warnings
from evaluation.elicitation.answer_table import AnswerTable
from plenary.cli.main import app
from plenary.errors import ConfigError, DataError
from plenary.models.local.huggingface import load_model as read_weights

Maker = Callable[[str], Path]

TEXTS = [f"outcome number {k:02d} happens" for k in range(12)]


def _world(path: Path, **changed: float) -> str:
    utilities = {text: k / 4 for k, text in enumerate(TEXTS)} | changed
    path.write_text(json.dumps({"utilities": utilities, "order_bias": 0.2}), encoding="utf-8")
    return f"planted:{path}"


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "outcomes.csv"
    path.write_text("\n".join(["text", *TEXTS]), encoding="utf-8")
    return path


def _call(*arguments: object) -> dict[str, object]:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_dry_run_counts_calls_and_opens_no_model(tmp_path: Path, catalogue: Path) -> None:
    answers = tmp_path / "a.parquet"
    common = ("elicit", "--model", "planted:none.json", "--outcomes", catalogue, "--pairs", 30)
    plan = _call(*common, "--answers", answers, "--dry-run")
    assert (plan["calls_exact"], plan["calls_sampled"]) == (60, 600)
    assert isinstance(plan["prompt_tokens_exact"], int)
    assert 60 * 30 < plan["prompt_tokens_exact"] < 60 * 90
    assert not answers.exists()
    balanced = _call(*common, "--dry-run", "--set", "elicitation.orders=balanced")
    assert balanced["calls_exact"] == 30 + 20
    reasoned = _call(*common, "--dry-run", "--templates", "plain,pb-08")
    assert reasoned["calls_exact"] == 60 + 60 * 10 * 2


def test_dry_run_counts_what_is_then_made(tmp_path: Path, catalogue: Path) -> None:
    spec = _world(tmp_path / "w.json")
    arguments = (
        "elicit",
        "--model",
        spec,
        "--outcomes",
        catalogue,
        "--templates",
        "plain,pb-07",
    )
    arguments = (*arguments, "--pairs", 20, "--set", "elicitation.samples=3")
    plan = _call(*arguments, "--dry-run")
    made = _call(*arguments, "--answers", tmp_path / "a.parquet")
    assert made["calls_made"] == plan["calls_exact"]
    again = _call(*arguments, "--answers", tmp_path / "a.parquet")
    assert again["calls_made"] == 0


def test_a_model_is_asked_under_an_adapter(
    tmp_path: Path, catalogue: Path, checkpoint: Maker
) -> None:
    folder, adapter = checkpoint("llama"), tmp_path / "adapter"
    with without_library_warnings():
        config = LoraConfig(target_modules="all-linear", init_lora_weights=False)
        get_peft_model(read_weights(folder), config).save_pretrained(str(adapter))
    common = (
        "elicit", "--model", f"local:{folder}", "--outcomes", catalogue, "--pairs", 15,
        "--set", "elicitation.min_mass=0",
    )  # fmt: skip
    files = tmp_path / "before.parquet", tmp_path / "after.parquet"
    before = _call(*common, "--answers", files[0])
    after = _call(*common, "--answers", files[1], "--adapter", adapter)
    assert before["model"] != after["model"]
    shares = [AnswerTable.read(file).cells.wins for file in files]
    assert not np.allclose(*shares, atol=1e-4)
    with pytest.raises(ConfigError, match="adapter"):
        _call(*common, "--answers", files[0], "--adapter", adapter)
    with pytest.raises(ConfigError, match="parquet"):
        _call(*common, "--answers", tmp_path / "parts", "--adapter", adapter)
    refused = CliRunner().invoke(app, ["elicit", "quickstart", "--adapter", str(adapter)])
    assert refused.exit_code == 2
    assert "--when after" in refused.output


def test_elicit_fit_and_compare_find_what_moved(tmp_path: Path, catalogue: Path) -> None:
    before, after = _world(tmp_path / "b.json"), _world(tmp_path / "a.json", **{TEXTS[2]: 4.0})
    files = {}
    for name, spec in {"before": before, "again": before, "after": after}.items():
        files[name] = tmp_path / f"{name}.parquet"
        _call("elicit", "--model", spec, "--outcomes", catalogue, "--answers", files[name],
              "--design", "all")  # fmt: skip
    fitted = _call("fit", files["before"], "--out", tmp_path)
    assert fitted["most_preferred"][0] == TEXTS[-1]  # type: ignore[index]
    assert (tmp_path / "before_utilities.csv").read_text(encoding="utf-8").count("\n") == 13
    moved = _call(
        "compare", files["before"], files["after"], "--retest", files["again"], "--out", tmp_path
    )
    assert [row["text"] for row in moved["moved_outcomes"]] == [TEXTS[2]]  # type: ignore[index, union-attr]
    assert moved["warnings"] == []


def test_without_a_null_file_the_two_orders_serve_and_ties_are_fitted(
    tmp_path: Path, catalogue: Path
) -> None:
    answers = tmp_path / "a.parquet"
    spec = _world(tmp_path / "w.json")
    world = json.loads((tmp_path / "w.json").read_text(encoding="utf-8")) | {"indifference": 1.0}
    (tmp_path / "w.json").write_text(json.dumps(world), encoding="utf-8")
    for name in ("before", "after"):
        _call("elicit", "--model", spec, "--outcomes", catalogue, "--design", "all", "--answers",
              answers.with_stem(name), "--templates", "plain+none")  # fmt: skip
    before, after = (answers.with_stem(name) for name in ("before", "after"))
    fitted = _call("fit", before, "--out", tmp_path)
    assert fitted["link"] == "bradley_terry"
    assert fitted["tie"] == pytest.approx(1, abs=0.3)
    compared = _call("compare", before, after, "--out", tmp_path)
    assert compared["moved"] == 0
    assert compared["retest_inflation"] is not None
    assert "test-retest from the two orders" in str(compared["warnings"])


def test_votes_of_a_user_are_fitted_and_counted(tmp_path: Path) -> None:
    votes = tmp_path / "votes.csv"
    rows = [f"x{a},x{b},x{max(a, b)}" for a in range(5) for b in range(5) if a != b]
    votes.write_text("\n".join(["first,second,winner", *rows * 3]), encoding="utf-8")
    assert _call("fit", votes, "--dry-run")["answers"] == [60.0]
    assert _call("fit", votes, "--out", tmp_path)["most_preferred"] == ["x4", "x3", "x2"]


def test_active_design_keeps_every_answer(tmp_path: Path, catalogue: Path) -> None:
    spec = _world(tmp_path / "w.json")
    made = _call("elicit", "--model", spec, "--outcomes", catalogue, "--design", "swiss",
                 "--pairs", 30, "--answers", tmp_path / "a.parquet")  # fmt: skip
    assert made["cells"] == 2 * int(str(made["pairs"]))


def test_mistakes_are_quoted(tmp_path: Path, catalogue: Path) -> None:
    with pytest.raises(ConfigError, match="unknown design 'magic'"):
        _call("elicit", "--outcomes", catalogue, "--design", "magic", "--dry-run")
    votes, other = tmp_path / "v.csv", tmp_path / "w.csv"
    votes.write_text("first,second,winner\na,b,a\n", encoding="utf-8")
    other.write_text("first,second,winner\na,c,a\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="has 'some' at 'edges'"):
        _call("fit", votes, "--edges", "some")
    with pytest.raises(DataError, match="not the same"):
        _call("compare", votes, other)


def test_a_ranking_runs_no_formula_in_a_spreadsheet(tmp_path: Path) -> None:
    votes = tmp_path / "votes.csv"
    rows = [
        "first,second,wins,trials",
        "=cmd|'x'!A0,trees,7,10",
        "trees,taxes,6,10",
        "=cmd|'x'!A0,taxes,8,10",
    ]
    votes.write_text("\n".join(rows) + "\n")
    result = CliRunner().invoke(app, ["fit", str(votes), "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    cells = (tmp_path / "votes_utilities.csv").read_text()
    assert "'=cmd" in cells
    assert ",=cmd" not in cells
    assert ',"=cmd' not in cells
