"""The LangChain door against a small server of our own."""

from __future__ import annotations

import asyncio
import socket

import pytest
from support.server import serve

from plenary.errors import BackendError, ConfigError
from plenary.models.base import Choice, Conversation, Message, Sampling
from plenary.models.langchain import LangchainBackend
from plenary.models.settings import EndpointSettings

LABELS = ("A", "B")
NO_RETRY = EndpointSettings(retries=0)
HASTY = EndpointSettings(timeout=0.5, retries=0)


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def ask(text: str) -> Conversation:
    return (Message("system", "You are 44 years old."), Message("user", text))


def choose(
    backend: LangchainBackend, texts: tuple[str, ...] = ("one", "two"), samples: int = 1
) -> list[Choice]:
    return asyncio.run(backend.choose([ask(t) for t in texts], LABELS, samples=samples, seed=1))


def test_log_probabilities_are_pooled_over_spellings() -> None:
    with serve("logprobs", p=0.75) as server:
        backend = LangchainBackend("openai:tiny", base_url=server.url)
        for choice in choose(backend, samples=10):
            assert choice.shares == pytest.approx((0.75, 0.25))
            assert choice.mass == pytest.approx(0.96)
            assert (choice.asked, choice.valid, choice.failure) == (1, 1, None)
            assert (choice.prompt_tokens, choice.completion_tokens) == (11, 3)
        assert len(server.requests) == 3  # one probe, then each prompt once
        assert server.requests[1]["top_logprobs"] == 20


@pytest.mark.parametrize("mood", ["plain", "strict"])
def test_without_log_probabilities_answers_are_counted(mood: str) -> None:
    with serve(mood, p=0.75) as server:
        backend = LangchainBackend("openai:tiny", base_url=server.url)
        first, _ = choose(backend, samples=40)
        assert (first.asked, first.valid, first.mass) == (40, 40, None)
        assert 0.55 < first.shares[0] < 0.95
        seeds = [sent["seed"] for sent in server.requests if not sent.get("logprobs")]
        assert len(seeds) == len(set(seeds)) == 80
        assert first.completion_tokens == 120
        assert len(server.requests) == 81


def test_a_message_arrives_as_it_was_sent() -> None:
    with serve("plain") as server:
        backend = LangchainBackend("openai:tiny", base_url=server.url)
        sampling = Sampling(temperature=0.5, max_tokens=9, seed=3)
        replies = asyncio.run(backend.generate([ask("Speak {now}.")], sampling))
        assert replies[0].text in ("Option **A**.", "Option **B**.")
        assert replies[0].completion_tokens == 3
        sent = server.requests[0]
        assert sent["temperature"] == 0.5
        assert sent["messages"] == [
            {"role": "system", "content": "You are 44 years old."},
            {"role": "user", "content": "Speak {now}."},
        ]


def test_calls_in_separate_event_loops() -> None:
    with serve("plain") as server:
        backend = LangchainBackend("openai:tiny", base_url=server.url)
        assert choose(backend) == choose(backend)


def test_too_many_requests_are_waited_for() -> None:
    with serve("limited") as server:
        backend = LangchainBackend("openai:tiny", base_url=server.url)
        assert [choice.valid for choice in choose(backend, samples=2)] == [2, 2]


def test_a_probe_that_fails_on_the_way_is_not_remembered() -> None:
    with serve("limited") as server:
        backend = LangchainBackend("openai:tiny", base_url=server.url, settings=NO_RETRY)
        assert [choice.valid for choice in choose(backend, samples=2)] == [2, 1]
        server.mood = "logprobs"
        assert [choice.mass for choice in choose(backend)] == pytest.approx([0.96, 0.96])


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("jammed", "failed: rate limit"),
        ("malformed", "failed: "),
        ("slow", "failed: timeout"),
        ("refusing", "refused: I cannot take sides"),
        ("chatty", "unreadable: 'What a difficult question.'"),
    ],
)
def test_failures_are_counted_and_named(mood: str, reason: str) -> None:
    with serve(mood) as server:
        backend = LangchainBackend("openai:tiny", base_url=server.url, settings=HASTY)
        for choice in choose(backend):
            assert (choice.shares, choice.valid, choice.asked) == ((), 0, 1)
            assert (choice.failure or "").startswith(reason)


def test_one_failure_loses_no_other_answer() -> None:
    with serve("odd") as server:
        backend = LangchainBackend("openai:tiny", base_url=server.url, settings=NO_RETRY)
        choices = choose(backend, ("one", "odd", "two"), samples=3)
        assert [choice.valid for choice in choices] == [3, 0, 3]
        assert choices[1].invalid == 3
        replies = asyncio.run(backend.generate([ask("odd"), ask("even")], Sampling()))
        assert [reply.text is None for reply in replies] == [True, False]
        assert (replies[0].failure or "").startswith("failed: ")


def test_an_endpoint_out_of_reach_is_an_error_with_its_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://user:secret@127.0.0.1:{free.getsockname()[1]}/v1"
    backend = LangchainBackend("openai:tiny", base_url=url, settings=NO_RETRY)
    with pytest.raises(BackendError, match=r"no answer from 'http://127\.0") as caught:
        choose(backend)
    assert "secret" not in str(caught.value)
    assert "secret" not in backend.name


def test_a_wrong_key_is_an_error() -> None:
    with serve("locked") as server:
        backend = LangchainBackend("openai:tiny", base_url=server.url, settings=NO_RETRY)
        with pytest.raises(BackendError, match="check the address, the key"):
            choose(backend)


def test_no_key_and_no_address() -> None:
    with pytest.raises(BackendError, match="OPENAI_API_KEY"):
        choose(LangchainBackend("openai:tiny"))


def test_specs_that_cannot_be_opened() -> None:
    with pytest.raises(ConfigError, match="'tiny' names no provider"):
        LangchainBackend("tiny")
    with pytest.raises(BackendError, match="cannot open langchain model"):
        choose(LangchainBackend("nobody:tiny"))


def test_nothing_asked_nothing_answered() -> None:
    backend = LangchainBackend("openai:tiny", base_url="http://127.0.0.1:9/v1")
    assert asyncio.run(backend.choose([], LABELS)) == []
    assert asyncio.run(backend.generate([], Sampling())) == []
