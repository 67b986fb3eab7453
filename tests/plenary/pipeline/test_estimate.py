from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from support.bench import Bench

from plenary import embedded
from plenary.errors import ConfigError

WEIGHTS = Path(embedded.__file__).parent / "weights"


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    return Bench(tmp_path, monkeypatch, capsys)


def dry(bench: Bench, *more: str) -> dict[str, dict[str, float]]:
    answer = bench.planted("run", "--dry-run", "--json", *more)
    assert answer.code == 0, answer.err
    return {row["stage"]: row for row in json.loads(answer.out)}


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        (),
        (
            "assembly.rounds=2",
            "assembly.tables_per_group=2",
            "assembly.table_size=3",
            "assembly.plenary=true",
        ),
        ("assembly.follow_up=true", "assembly.condition=reflection"),
    ],
)
def test_calls_are_those_of_the_run(bench: Bench, changes: tuple[str, ...]) -> None:
    more = tuple(word for change in changes for word in ("--set", change))
    expected = dry(bench, *more)
    assert not (bench.folder / "runs").exists()
    assert bench.planted("convene", *more).code == 0
    with sqlite3.connect(bench.folder / "runs/small/ledger.sqlite") as db:
        calls = db.execute("SELECT count(*) FROM calls").fetchone()[0]
    db.close()
    # Prompts that come out the same twice are asked once.
    assert 0.99 * expected["convene"]["calls"] <= calls <= expected["convene"]["calls"]
    assert expected["convene"]["money"] == 0
    assert expected["convene"]["seconds"] > 0
    before = json.loads((bench.folder / "runs/small/before.json").read_text())
    assert expected["elicit before"]["calls"] == before["asked"] == 2 * 38
    assert expected["elicit retest"]["calls"] == 0
    assert bench.planted("consensus", *more).code == 0
    with sqlite3.connect(bench.folder / "runs/small/ledger.sqlite") as db:
        paraphrased = db.execute("SELECT count(*) FROM calls").fetchone()[0] - calls
    db.close()
    assert 0.99 * expected["paraphrase"]["calls"] <= paraphrased <= expected["paraphrase"]["calls"]


@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="the embedded model is not built here")
def test_a_training_is_estimated_without_being_made(bench: Bench) -> None:
    words = ("align", "small.yaml", "--set", f"citizens_model={bench.world}", "--dry-run")
    told = bench.here(*words)
    assert told.code == 0, told.err
    # 24 pairs in both orders, one epoch in steps of 16 rows.
    assert "48 rows, 3 steps" in told.out
    stages = {row["stage"] for row in json.loads(bench.here(*words, "--json").out)}
    assert "convene" in stages
    assert "elicit after" not in stages
    refused = bench.planted("align", "--dry-run")
    assert refused.code == ConfigError.exit_code
    assert not (bench.folder / "runs").exists()


def test_an_endpoint_is_not_asked_and_its_price_is_taken_from_the_table(bench: Bench) -> None:
    spec = "langchain:openai:dear"
    more = ("--set", f"citizens_model={spec}", "--set", "assembly.samples=3")
    assert dry(bench, *more)["convene"]["money"] is None
    price = '{"openai:dear": {"prompt": 2.0, "completion": 4.0}}'
    row = dry(bench, *more, "--set", f"budget.prices={price}")["convene"]
    paid = (2 * row["prompt_tokens"] + 4 * row["completion_tokens"]) / 1e6
    assert row["money"] == pytest.approx(paid)
    assert row["seconds"] is None
    ballots = 14 * 38 * 2 * 2
    assert row["calls"] >= 3 * ballots
    until = bench.planted("dataset", "--dry-run", "--json", *more)
    stages = [row["stage"] for row in json.loads(until.out)]
    assert stages == ["elicit before", "convene", "paraphrase"]
    shown = bench.planted("run", "--dry-run", *more)
    words = " ".join(shown.out.replace("│", " ").split())
    assert "price unknown" in words
    assert "time unknown" in words
