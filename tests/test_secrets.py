"""Keys given in the environment are found nowhere: not in a run, on a stream, or in an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.bench import Answer, Bench
from support.server import Mood, serve

from plenary.safe_text import redacted

KEYS = {
    "OPENAI_API_KEY": "sk-plenary-0123456789abcdef",
    "ANTHROPIC_API_KEY": "sk-ant-fedcba9876543210",
    "CENSUS_API_KEY": "census-5f5f5f5f5f5f",
    "HF_TOKEN": "hf_secretsecretsecret",
    "DATABASE_PASSWORD": "correct-horse-battery",
}


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return Bench(tmp_path, monkeypatch, capsys)


def assert_unseen(bench: Bench, answer: Answer, *more: str) -> None:
    written = b"".join(p.read_bytes() for p in bench.folder.rglob("*") if p.is_file())
    for secret in (*KEYS.values(), *more):
        assert secret not in answer.out + answer.err
        assert secret.encode() not in written


def elicit(bench: Bench, url: str, *more: str) -> Answer:
    return bench.here(
        "elicit", "small.yaml", "--set", "model=langchain:openai:tiny", "--set",
        f"citizens_model={bench.world}", "--set", f"base_url={url}", "--set",
        "elicitation.samples=1", "--set", "chat.endpoint.retries=0", "--set",
        "design.train_pairs=14", "--set", "design.held_out_pairs=9", *more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mood", "code"), [("plain", 0), ("logprobs", 0), ("telltale", 4), ("gossip", 4), ("odd", 0)]
)
def test_a_run_at_an_endpoint_holds_no_key(bench: Bench, mood: Mood, code: int) -> None:
    with serve(mood) as server:
        answer = elicit(bench, server.url, "--json")
        sent = server.keys
    assert answer.code == code, answer.err
    assert sent == {f"Bearer {KEYS['OPENAI_API_KEY']}"}
    assert_unseen(bench, answer)


def test_a_traceback_holds_no_key(bench: Bench) -> None:
    with serve("telltale") as server:
        url = server.url
        answer = bench.call(
            "elicit", "small.yaml", "--debug", "--set", "model=langchain:openai:tiny", "--set",
            f"citizens_model={bench.world}", "--set", f"base_url={url}", "--set",
            "chat.endpoint.retries=0",
        )  # fmt: skip
    assert answer.code == 1
    assert "Traceback" in answer.err
    assert "wrong key" in answer.err
    assert_unseen(bench, answer)


@pytest.mark.slow
def test_spoken_words_of_an_endpoint_hold_no_key(bench: Bench) -> None:
    with serve("gossip") as server:
        small = ("panel.citizens=6", "assembly.table_size=3", "assembly.samples=1",
                 "design.train_pairs=14", "design.held_out_pairs=9",
                 "citizens_model=langchain:openai:tiny", f"model={bench.world}",
                 "assembly.max_unusable=1",
                 f"base_url={server.url}")  # fmt: skip
        answer = bench.here("convene", "small.yaml", *(w for s in small for w in ("--set", s)))
    assert answer.code == 0, answer.err  # no ballot could be read, which is allowed here
    assert (bench.folder / "runs/small/statements.parquet").exists()
    assert_unseen(bench, answer)


def test_an_address_with_a_login_is_refused_and_not_repeated(bench: Bench) -> None:
    answer = elicit(bench, "http://user:pass-of-mine@127.0.0.1:9/v1")
    assert answer.code == 2
    assert "must not contain a password" in answer.err
    assert_unseen(bench, answer, "pass-of-mine")


def test_settings_hold_no_secret(bench: Bench) -> None:
    assert bench.planted("recruit").code == 0
    run = bench.folder / "runs/small"
    assert "environ" not in json.loads((run / "manifest.json").read_text())
    assert_unseen(bench, bench.here("show", "runs/small"))


def test_redaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "abcdefgh12")
    monkeypatch.setenv("TINY_KEY", "abc")
    monkeypatch.setenv("EDITOR", "nano-editor")
    text = "key abcdefgh12 at https://me:pw@host/x, abc, nano-editor, a@b"
    assert redacted(text) == "key [SOME_API_KEY] at https://host/x, abc, nano-editor, a@b"
