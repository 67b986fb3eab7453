"""The whole chain on small inputs, its errors as a user meets them, and a run that is killed."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.bench import OUTCOMES, Bench
from support.checkpoints import CheckpointName
from support.server import Mood, serve

KEYS = {
    "seconds", "agreement_before", "agreement_after", "gain", "gain_low", "gain_high", "ceiling",
    "citizens", "pairs", "invalid_share", "report",
}  # fmt: skip
# What a test of the chain's path does not look at.
UNMEASURED = ("--set", "measures.wording_pairs=0", "--set", "measures.retention=false")


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    return Bench(tmp_path, monkeypatch, capsys)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["qwen2", *(pytest.param(n, marks=pytest.mark.exhaustive) for n in ("gemma2", "mistral"))],
)
def test_whole_chain_on_a_checkpoint(
    bench: Bench, checkpoint: Callable[[CheckpointName], Path], name: CheckpointName
) -> None:
    specs = (
        "small.yaml", "--json", "--set", f"model=local:{checkpoint(name)}", "--set",
        f"citizens_model={bench.world}", "--set", "elicitation.samples=1",
    )  # fmt: skip
    # The first family is measured whole and by a process of its own.
    if name == "qwen2":
        first = bench.call("run", *specs)
    else:
        first = bench.here("run", *specs, "--set", "measures.retention=false")
    assert first.code == 0, first.err
    summary = json.loads(first.out)
    assert set(summary) >= KEYS
    assert summary["citizens"] == 14
    assert summary["pairs"] == 38
    assert summary["invalid_share"] == 0
    assert summary["gain"] == pytest.approx(
        summary["agreement_after"] - summary["agreement_before"]
    )
    page = (bench.folder / summary["report"]).read_text()
    assert "Simulated citizens are not people" in page
    assert "Dots are the weighted shares of 14 citizens" in page
    assert page.count('class="drawn"') > 40
    assert "default-src 'none'" in page
    assert not [bad for bad in ("<script", "style=", "src=", "url(", "@import") if bad in page]
    if name == "qwen2":
        again = bench.here("run", *specs, *UNMEASURED, "--name", "twin")
        twin = json.loads(again.out)
        same = {"agreement_before", "agreement_after", "gain", "gain_low", "gain_high", "ceiling"}
        assert {key: summary[key] for key in same} == {key: twin[key] for key in same}


@pytest.mark.slow
def test_whole_chain_by_another_rule(
    bench: Bench, checkpoint: Callable[[CheckpointName], Path]
) -> None:
    specs = ("--set", f"model=local:{checkpoint('qwen2')}", *bench.specs()[2:], *UNMEASURED)
    answer = bench.here("run", "small.yaml", *specs, "--set", "dataset.rule=majority", "--json")
    assert answer.code == 0, answer.err
    record = json.loads((bench.folder / "runs/small/consensus.json").read_text())
    assert record["rule"] == "majority"
    assert set(pq.read_table(bench.folder / "runs/small/consensus.parquet")["p"].to_pylist()) <= {
        0.0, 0.5, 1.0,
    }  # fmt: skip
    assert json.loads(answer.out)["ceiling"] == record["ceiling"]


@pytest.mark.slow
@pytest.mark.parametrize("mood", ["plain", "logprobs"])
def test_whole_chain_with_citizens_behind_an_endpoint(
    bench: Bench, checkpoint: Callable[[CheckpointName], Path], mood: Mood
) -> None:
    small = ("--set", "panel.citizens=6", "--set", "assembly.samples=3", "--set",
             "assembly.table_size=3", "--set", "design.train_pairs=14", "--set",
             "design.held_out_pairs=9", "--set", "dataset.paraphrased=0", *UNMEASURED)  # fmt: skip
    scores = {text: 2 * value for _, text, _, value in OUTCOMES}
    with serve(mood, scores=scores) as server:
        answer = bench.here(
            "run", "small.yaml", "--json", *small, "--set", f"model=local:{checkpoint('qwen2')}",
            "--set", "citizens_model=langchain:openai:tiny", "--set", f"base_url={server.url}",
        )  # fmt: skip
        assert answer.code == 0, answer.err
        asked = len(server.requests)
        measured = bench.here(
            "elicit", "small.yaml", "--name", "remote", "--json", *small, *bench.specs()[2:],
            "--set", "model=langchain:openai:tiny", "--set", f"base_url={server.url}",
        )  # fmt: skip
    assert measured.code == 0, measured.err
    assert json.loads(measured.out)["invalid"] == 0
    assert asked >= 6 * 23 * 2 * 2
    votes = pq.read_table(bench.folder / "runs/small/votes.parquet")
    known = ~np.isnan(votes["mass"].to_numpy())
    assert known.all() == (mood == "logprobs")
    assert np.ptp(votes["share_first"].to_numpy()) > 0.5


def test_planted_majority_is_recovered(bench: Bench) -> None:
    answer = bench.planted("consensus", "--json")
    assert answer.code == 0, answer.err
    record = json.loads(answer.out)
    assert record["pairs"] == 38
    assert record["unusable_share"] == 0
    shown = bench.here("show", "runs/small")
    assert shown.code == 0
    assert "convene" in shown.out


def test_done_stages_are_skipped_and_changed_ones_redone(bench: Bench) -> None:
    assert bench.planted("recruit").code == 0
    manifest = bench.folder / "runs/small/manifest.json"
    before = json.loads(manifest.read_text())["stages"]
    assert bench.planted("recruit").code == 0
    assert json.loads(manifest.read_text())["stages"] == before
    more = ("recruit", "--set", "panel.citizens=9")
    assert bench.planted(*more).code == 2
    assert json.loads(manifest.read_text())["stages"] == before
    assert bench.planted(*more, "--exists", "redo").code == 0
    after = json.loads(manifest.read_text())["stages"]
    assert after["plan"] == before["plan"]
    assert after["recruit"]["outputs"] != before["recruit"]["outputs"]


def test_other_settings_never_mix_with_a_begun_assembly(bench: Bench) -> None:
    assert bench.planted("convene").code == 0
    answer = bench.planted("convene", "--set", "assembly.rounds=2")
    assert answer.code == 2
    assert "made under other settings" in answer.err
    assert "assembly.rounds: 1 -> 2" in answer.err


def held(path: Path, table: str) -> int:
    """Rows of a table of the ledger, 0 while there is none."""
    if not path.exists():
        return 0
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10) as db:
        try:
            count = int(db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])
        except sqlite3.OperationalError:
            count = 0
    db.close()
    return count


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--set", "assembly.round=1"], 2, ["'assembly.round'", "'assembly.rounds'"]),
        (["--set", "assembly.rounds=many"], 2, ["'assembly.rounds'", "'many'"]),
        (["--set", "citizens_model=gtp:4"], 2, ["'gtp:4'", "embedded"]),
        (["--set", "model=local:/nowhere/at/all"], 4, ["/nowhere/at/all", "check the path"]),
        (["--set", "outcomes.path=outcomes.xml"], 3, ["'outcomes.xml'", ".csv"]),
        (["--set", "outcomes.path=twice.csv"], 3, ["duplicate", "'b'"]),
        (["--set", "outcomes.path=empty.csv"], 3, ["empty text", "'y'"]),
        (["--set", "panel.citizens=1"], 2, ["'panel.citizens'", "1"]),
        (["--set", "panel.citizens=6"], 2, ["6 citizens", "assembly.table_size"]),
        (["--exists", "perhaps"], 2, ["'perhaps'", "resume"]),
        (["--colour"], 2, ["--colour"]),
    ],
)
def test_an_error_is_one_plain_line(
    bench: Bench, arguments: list[str], code: int, words: list[str]
) -> None:
    (bench.folder / "twice.csv").write_text("text\nA\nB\nb\n")
    (bench.folder / "empty.csv").write_text('text,id\nA,x\n" ",y\n')
    answer = bench.planted("convene", *arguments)
    assert answer.code == code, answer.err
    assert "Traceback" not in answer.err
    assert all(word in answer.err for word in words), answer.err
    assert not (bench.folder / "runs").exists()


def test_existing_run_is_not_touched(bench: Bench) -> None:
    assert bench.planted("recruit").code == 0
    answer = bench.planted("recruit", "--exists", "error")
    assert answer.code == 2
    assert "--exists resume" in answer.err
    assert bench.planted("recruit", "--exists", "replace").code == 0


def test_a_model_without_weights_is_refused_before_the_assembly(bench: Bench) -> None:
    answer = bench.planted("run")
    assert answer.code == 2
    assert "no weights to train" in answer.err
    assert not (bench.folder / "runs").exists()


def test_answer_mass_below_the_gate(bench: Bench) -> None:
    bench.plant(bench.folder / "world.json", invalid=0.9)
    answer = bench.planted("elicit", "--set", "elicitation.min_mass=0.5")
    assert answer.code == 4
    assert "answer mass" in answer.err
    assert not (bench.folder / "runs/small/before.parquet").exists()


def test_unreachable_endpoint(bench: Bench) -> None:
    answer = bench.here(
        "elicit", "small.yaml", "--set", "model=langchain:openai:none",
        "--set", f"citizens_model={bench.world}",
        "--set", f"base_url=http://127.0.0.1:{free_port()}/v1",
    )  # fmt: skip
    assert answer.code == 4, answer.err
    assert "Traceback" not in answer.err


def test_traceback_only_with_debug(bench: Bench) -> None:
    answer = bench.call("recruit", "small.yaml", "--set", "seed=x", "--debug")
    assert answer.code != 0
    assert "Traceback" in answer.err


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_run_stopped_in_a_call_keeps_what_is_recorded(
    bench: Bench, how: signal.Signals, code: int
) -> None:
    """No statement is answered until the run, whose first ballots are in, has been stopped."""
    ledger = bench.folder / "runs/small/ledger.sqlite"
    with serve("logprobs") as server:
        server.gate = lambda prompt: prompt.startswith("You speak at your table")
        specs = (
            "convene", "small.yaml", *bench.specs()[:2], "--set", f"base_url={server.url}",
            "--set", "citizens_model=langchain:openai:tiny", "--set", "outcomes.probe=false",
            "--set", "panel.citizens=4", "--set", "outcomes.count=8", "--set",
            "design.train_pairs=6", "--set", "design.held_out_pairs=3", "--set",
            "assembly.block=2", "--set", "assembly.table_size=2",
        )  # fmt: skip
        process = bench.start(*specs)
        assert server.reached.wait(timeout=200)
        process.send_signal(how)
        err = process.communicate()[1]
        assert process.returncode == code, err
        assert ("--exists resume" in err) == (how is signal.SIGINT)
        votes, calls = held(ledger, "votes"), held(ledger, "calls")
        server.opened.set()
        asked = len(server.requests)
        answer = bench.here(*specs, "--json")
        sessions = server.requests[:asked], server.requests[asked:]
    assert answer.code == 0, answer.err
    record, total = json.loads(answer.out), 4 * 9 * 2 * 2
    assert 0 < votes < total == record["votes"] == held(ledger, "votes")
    first, second = ({json.dumps(r["messages"]) for r in part} for part in sessions)
    assert len(first & second) <= len(first) - calls  # what is not on record is asked again


def test_citizens_of_two_models(bench: Bench) -> None:
    bench.plant(bench.folder / "other.json", swing=0.0, lapse=0.5)
    other = f"planted:{bench.folder / 'other.json'}"
    mix = json.dumps({bench.world: 2, other: 1})
    answer = bench.planted("convene", "--set", f"citizens_model={mix}", "--json")
    assert answer.code == 0, answer.err
    record = json.loads(answer.out)
    assert record["backend"].startswith("mixed:planted:")
    assert record["calls"] > 0
    assert record["invalid_share"] == 0
    assert bench.planted("dataset", "--set", f"citizens_model={mix}").code == 0
    found = json.loads((bench.folder / "runs/small/diagnostics.json").read_text())
    shares = {part["source"]: part["share"] for part in found["errors"]}
    assert shares["models"] > 0.3
    card = (bench.folder / "runs/small/dataset/README.md").read_text()
    assert "2 base models" in card
    assert shares["persona wording"] == pytest.approx(0, abs=1e-9)
