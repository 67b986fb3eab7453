"""Faults put in on purpose, one row a fault of docs/faults.md: a clear error or a correct result.

Nothing recorded is lost and nothing is invented. Faults that other tests hold are named there.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.bench import Bench
from support.checkpoints import CheckpointName
from support.server import Mood, serve
from support.stern import Body, stern

from assembly.deliberation import session
from plenary.errors import ConfigError, PlenaryError
from plenary.hashing import content_hash
from plenary.runs.directory import RunManifest, new_manifest, open_run
from plenary.runs.filenames import MANIFEST

LEDGER = "runs/small/ledger.sqlite"
# Files whose content holds wall times or the name of the folder.
TIMED = {"before.json", "after.json", "assembly.json", "training.json", "summary.json",
         "report.html", "dataset"}  # fmt: skip


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    for name in ("OPENAI_API_KEY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return Bench(tmp_path, monkeypatch, capsys)


def votes_of(bench: Bench, name: str = "small") -> list[dict[str, object]]:
    return pq.read_table(bench.folder / f"runs/{name}/votes.parquet").to_pylist()


def manifest() -> RunManifest:
    return new_manifest("one", "abc", 3, deterministic=True, reason="local")


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_a_run_killed_in_each_stage_ends_as_one_that_nobody_stopped(
    bench: Bench, checkpoint: Callable[[CheckpointName], Path]
) -> None:
    script = Path(__file__).parent / "support" / "killed_chain.py"
    folders = [str(bench.folder / name) for name in ("killed", "straight")]
    changes = (f"model=local:{checkpoint('qwen2')}", f"citizens_model={bench.world}",
               "elicitation.samples=1")  # fmt: skip
    answer = subprocess.run(
        [sys.executable, str(script), "small.yaml", *folders, *changes],
        cwd=bench.folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(script.parents[2])},
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    killed, straight = (
        RunManifest.model_validate_json((Path(f) / "small" / MANIFEST).read_text()) for f in folders
    )
    for stage, record in straight.stages.items():
        same = {name: sha for name, sha in record.outputs.items() if name not in TIMED}
        other = killed.stages[stage].outputs
        assert {name: other[name] for name in same} == same, stage
        assert all(record.outputs.values())
    assert set(killed.stages) == set(straight.stages)


def no_room(limit: int) -> Callable[[], None]:
    """What a child does first: no file of it may grow beyond `limit` bytes."""

    def begin() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return begin


@pytest.mark.slow
@pytest.mark.parametrize("limit", [3_000, 60_000])
def test_a_full_disk_is_an_error_and_the_run_goes_on_when_there_is_room(
    bench: Bench, limit: int
) -> None:
    command = [sys.executable, "-m", "plenary", "consensus", "small.yaml", *bench.specs()]
    full = subprocess.run(
        command, cwd=bench.folder, capture_output=True, text=True, preexec_fn=no_room(limit),
        check=False, timeout=200,
    )  # fmt: skip
    assert full.returncode == 3, full.stderr
    assert "Traceback" not in full.stderr
    assert "space" in full.stderr
    assert not (bench.folder / "runs/small/consensus.parquet").exists()
    assert bench.planted("consensus").code == 0
    assert bench.planted("consensus", "--name", "straight").code == 0
    assert votes_of(bench) == votes_of(bench, "straight")


@pytest.fixture
def guarded() -> Iterator[Path]:
    """A folder that this process cannot write to, even where tests run as root."""
    folder = Path(tempfile.mkdtemp())
    open_run(folder, manifest(), "error").close()
    user = os.geteuid()
    for path in (folder / "one", folder):
        path.chmod(0o555)
    if user == 0:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(user)
        for path in (folder, folder / "one"):
            path.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.parametrize("exists", ["resume", "replace"])
def test_a_read_only_run_directory_is_an_error(guarded: Path, exists) -> None:
    with pytest.raises(ConfigError, match=r"cannot write in .*Permission denied; give access"):
        open_run(guarded, manifest(), exists)
    assert (guarded / "one" / MANIFEST).exists()


def test_a_read_only_folder_of_runs_is_an_error(guarded: Path) -> None:
    other = manifest().model_copy(update={"name": "two"})
    with pytest.raises(ConfigError, match="cannot create run directory"):
        open_run(guarded, other, "error")


def elicit_at(bench: Bench, url: str, *more: str):
    return bench.here(
        "elicit", "small.yaml", "--set", "model=langchain:openai:tiny", "--set",
        f"citizens_model={bench.world}", "--set", f"base_url={url}", "--set",
        "elicitation.samples=1", "--set", "chat.endpoint.concurrency=64", *more,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("absent", "check the address"),
        ("locked", "check the address, the key"),
        ("truncated", "no valid answer to 100%"),
        ("cut", "no answer from"),
        ("malformed", "no valid answer to 100%"),
        ("slow", "no valid answer to 100%"),
        ("jammed", "failed: rate limit"),
        ("chatty", "unreadable"),
        ("refusing", "refused: I cannot take sides"),
    ],
)
def test_an_endpoint_that_fails_gives_an_error_and_no_answers(
    bench: Bench, mood: Mood, words: str
) -> None:
    hasty = ("--set", "chat.endpoint.retries=0", "--set",
             f"chat.endpoint.timeout={0.2 if mood == 'slow' else 20}")  # fmt: skip
    with serve(mood) as server:
        answer = elicit_at(bench, server.url, *hasty)
    assert answer.code == 4, answer.err
    assert "Traceback" not in answer.err
    assert words in answer.err
    assert not (bench.folder / "runs/small/before.parquet").exists()


def test_what_an_endpoint_refuses_stands_in_the_manifest(bench: Bench) -> None:
    def refuse(body: Body) -> tuple[int, object] | None:
        many = int(str(body.get("top_logprobs") or 0)) > 5
        return (400, {"error": "top_logprobs must be at most 5"}) if many else None

    with stern(refuse) as server:
        assert elicit_at(bench, server.url).code == 0
    manifest = json.loads((bench.folder / "runs/small/manifest.json").read_text())
    (notes,) = manifest["adapted"].values()
    assert "lists 5 likely tokens at most" in notes[0]
    assert "top_logprobs must be at most 5" in notes[0]
    assert manifest["failures"] == {}


def test_a_reason_that_is_not_known_ends_the_run_in_the_servers_words(bench: Bench) -> None:
    with stern(lambda body: (400, {"error": "The moon is full."})) as server:
        answer = elicit_at(bench, server.url)
        assert len(server.requests) < 10
    assert answer.code == 4
    assert "The moon is full." in answer.err
    assert "invalid ballots" not in answer.err


def test_an_endpoint_that_comes_back_is_asked_for_the_rest_only(bench: Bench) -> None:
    with serve("plain") as server:
        url = server.url
        server.mood = "locked"
        assert elicit_at(bench, url, "--set", "chat.endpoint.retries=0").code == 4
        server.mood = "limited"
        server.requests.clear()
        answer = elicit_at(bench, url)
        assert answer.code == 0, answer.err
        assert json.loads((bench.folder / "runs/small/before.json").read_text())["invalid"] == 0
        asked = len(server.requests)
        assert asked >= 2 * 2 * 38  # each prompt once refused with 429, once answered
        (bench.folder / "runs/small/before.parquet").unlink()
        assert elicit_at(bench, url).code == 0
        assert len(server.requests) <= asked + 1  # the probe


def test_an_endpoint_that_is_down_is_an_error(bench: Bench) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
    answer = elicit_at(bench, url, "--set", "chat.endpoint.retries=0")
    assert answer.code == 4
    assert "no answer from" in answer.err


# Two wordings, and no questions about words.
ASKED = ("--set", "elicitation.templates=[plain, pb-01]", "--set", "outcomes.probe=false")


@pytest.mark.parametrize(
    "budget",
    [
        "budget.calls=1",
        "budget.tokens=1",
        'budget={money: 1.0e-9, prices: {"openai:tiny@URL": {prompt: 1, completion: 1}}}',
        "budget.seconds=1.0e-6",
    ],
)
def test_each_budget_stops_an_elicitation(bench: Bench, budget: str) -> None:
    with serve("plain") as server:
        answer = elicit_at(bench, server.url, "--set", budget.replace("URL", server.url),
                           *ASKED)  # fmt: skip
        asked = len(server.requests)
        assert answer.code == 4, answer.err
        assert "is used up" in answer.err
        assert not (bench.folder / "runs/small/before.parquet").exists()
        assert elicit_at(bench, server.url, *ASKED).code == 0
        assert len(server.requests) <= 2 * 2 * 38 + 2 + (asked > 0)


class Backwards(datetime):
    """A clock that goes back an hour at every look."""

    looks = 0

    @classmethod
    def now(cls, tz=None):
        Backwards.looks += 1
        return datetime(2030, 1, 1, tzinfo=UTC) - timedelta(hours=cls.looks)


def test_a_clock_that_runs_backwards_changes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.planted("consensus", "--name", "straight").code == 0
    monkeypatch.setattr(session, "datetime", Backwards)
    monkeypatch.setattr("plenary.runs.directory.datetime", Backwards)
    stopped = bench.planted("consensus", "--set", "budget.calls=500")
    assert stopped.code == 4
    assert bench.planted("consensus").code == 0
    assert votes_of(bench) == votes_of(bench, "straight")
    with sqlite3.connect(bench.folder / LEDGER) as db:
        assert db.execute("SELECT count(*) FROM sessions").fetchone() == (2,)
    db.close()


def test_two_runs_in_one_directory_are_kept_apart(bench: Bench) -> None:
    assert bench.planted("recruit").code == 0
    own = manifest().model_copy(update={"name": "small"})
    held = open_run(bench.folder / "runs", own, "resume")
    before = content_hash(bench.folder / "runs/small")
    answer = bench.planted("consensus")
    held.close()
    assert answer.code == 2
    assert "in use by another process" in answer.err
    assert content_hash(bench.folder / "runs/small") == before


@pytest.mark.parametrize("page", [1, -2])
def test_a_damaged_page_of_the_ledger_is_an_error(bench: Bench, page: int) -> None:
    assert bench.planted("convene").code == 0
    path = bench.folder / LEDGER
    data = bytearray(path.read_bytes())
    at = (page % (len(data) // 4096)) * 4096
    data[at : at + 4096] = bytes(range(256)) * 16
    path.write_bytes(data)
    (bench.folder / "runs/small/votes.parquet").unlink()
    answer = bench.planted("convene")
    assert answer.code == 3, answer.err
    assert "damaged" in answer.err
    assert "restore a copy" in answer.err
    assert not (bench.folder / "runs/small/votes.parquet").exists()


def test_a_damaged_checkpoint_file_is_named_and_may_be_deleted(bench: Bench) -> None:
    assert bench.planted("convene", "--name", "straight").code == 0
    assert bench.planted("convene", "--set", "budget.calls=500").code == 4
    path = bench.folder / "runs/small/checkpoints.sqlite"
    for extra in path.parent.glob("checkpoints.sqlite-*"):
        extra.unlink()
    path.write_bytes(b"no database" * 500)
    answer = bench.planted("convene")
    assert answer.code == 3, answer.err
    assert "checkpoints.sqlite may be deleted" in answer.err
    path.unlink()
    assert bench.planted("convene").code == 0
    assert votes_of(bench) == votes_of(bench, "straight")


def test_an_altered_export_is_made_again_from_the_ledger(bench: Bench) -> None:
    assert bench.planted("convene").code == 0
    truth = votes_of(bench)
    path = bench.folder / "runs/small/votes.parquet"
    path.write_bytes(b"PAR1" + path.read_bytes()[::-1])
    assert bench.planted("convene").code == 0
    assert votes_of(bench) == truth


def test_every_error_of_ours_has_an_exit_code() -> None:
    assert all(0 < kind.exit_code < 10 for kind in PlenaryError.__subclasses__())
