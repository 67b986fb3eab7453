"""Each provider's integration on the wire, against one server that speaks their dialects.

vLLM and SGLang speak OpenAI's: the rows `openai` are theirs too.
"""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Iterator

import pytest
from support.server import Mood, serve

from plenary.errors import BackendError
from plenary.models.base import Choice, Message, Sampling
from plenary.models.langchain import LangchainBackend
from plenary.models.providers import PROVIDERS
from plenary.models.settings import EndpointSettings

PACKAGES = {
    "openai": "langchain_openai",
    "anthropic": "langchain_anthropic",
    "google_genai": "langchain_google_genai",
    "mistralai": "langchain_mistralai",
    "ollama": "langchain_ollama",
}
SCORED = [name for name, provider in PROVIDERS.items() if provider.logprobs]
LABELS = ("A", "B")
ASKED = [(Message("system", "You are 44 years old."), Message("user", t)) for t in ("one", "two")]
HASTY = EndpointSettings(timeout=1, retries=0)
pytestmark = [
    # All but OpenAI's leave their clients to the collector, which runs after each test here.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    keys = [f"{name.upper()}_API_KEY" for name in ("openai", "anthropic", "google", "mistral")]
    for name in (*keys, "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    yield
    gc.collect()


@pytest.fixture(
    params=[p if p == "anthropic" else pytest.param(p, marks=pytest.mark.slow) for p in PROVIDERS]
)
def provider(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(PACKAGES[request.param])
    return request.param


def backend_at(provider: str, url: str, settings: EndpointSettings = HASTY) -> LangchainBackend:
    whole = provider in ("openai", "mistralai")
    address = url if whole else url.removesuffix("/v1")
    return LangchainBackend(f"{provider}:tiny", base_url=address, settings=settings)


def choose(backend: LangchainBackend, samples: int = 1) -> list[Choice]:
    return asyncio.run(backend.choose(ASKED, LABELS, samples=samples, seed=1))


def test_every_provider_is_tested() -> None:
    assert set(PACKAGES) == set(PROVIDERS)


@pytest.mark.parametrize("name", SCORED)
def test_log_probabilities_are_read_where_they_are_given(name: str) -> None:
    pytest.importorskip(PACKAGES[name])
    with serve("logprobs", p=0.75) as server:
        for choice in choose(backend_at(name, server.url), samples=10):
            assert choice.shares == pytest.approx((0.75, 0.25))
            assert choice.mass == pytest.approx(0.96)
        assert len(server.requests) == 3
        assert server.requests[-1]["top_logprobs"] == 20


def test_elsewhere_answers_are_counted_in_any_event_loop(provider: str) -> None:
    with serve("plain") as server:
        backend = backend_at(provider, server.url)
        for _ in range(2):
            for choice in choose(backend, samples=2):
                assert (choice.asked, choice.valid, choice.mass) == (2, 2, None)
                assert choice.prompt_tokens == 22
                assert choice.completion_tokens == 6
        assert len(server.requests) == 8 + (provider in SCORED)


def found(tree: object, key: str) -> list[object]:
    """Every value under a key, at any depth."""
    if not isinstance(tree, dict):
        return []
    return [v for k, v in tree.items() if k == key] + [
        hit for value in tree.values() for hit in found(value, key)
    ]


def test_sampling_parameters_and_texts_arrive(provider: str) -> None:
    words = PROVIDERS[provider]
    on_wire = {"max_output_tokens": "maxOutputTokens"}.get(words.most, words.most)
    with serve("plain") as server:
        sampling = Sampling(temperature=0.5, max_tokens=9, seed=2**62)
        reply = asyncio.run(backend_at(provider, server.url).generate(ASKED[:1], sampling))[0]
        sent = server.requests[0]
    assert reply.text in ("Option **A**.", "Option **B**.")
    assert found(sent, "temperature") == [0.5]
    wanted = {on_wire, "max_completion_tokens"} if provider == "openai" else {on_wire}
    assert [found(sent, name) for name in wanted if found(sent, name)] == [[9]]
    if words.seed is not None:
        assert 0 <= int(str(found(sent, words.seed)[0])) < 2**31
    assert "You are 44 years old." in str(sent)


def test_429_with_retry_after_is_waited_for(provider: str) -> None:
    with serve("limited") as server:
        backend = backend_at(provider, server.url, EndpointSettings(timeout=20, retries=2))
        replies = asyncio.run(backend.generate(ASKED, Sampling()))
        assert all(reply.text for reply in replies)
        assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("jammed", "failed: rate limit"),
        ("malformed", "failed: "),
        ("truncated", "failed: "),
        ("slow", "failed: timeout"),
        ("refusing", "refused: "),
        ("chatty", "unreadable: "),
    ],
)
def test_faults_are_counted_and_named(provider: str, mood: Mood, reason: str) -> None:
    if (provider, mood) in {("mistralai", "refusing"), ("ollama", "refusing")}:
        reason = "unreadable: "  # their protocols have no word for a refusal
    with serve(mood) as server:
        for choice in choose(backend_at(provider, server.url)):
            assert (choice.shares, choice.valid, choice.asked) == ((), 0, 1)
            assert (choice.failure or "").startswith(reason)


@pytest.mark.parametrize("mood", ["locked", "absent", "cut"])
def test_an_endpoint_that_gives_nobody_an_answer_is_an_error(provider: str, mood: Mood) -> None:
    with serve(mood) as server, pytest.raises(BackendError, match="no answer from"):
        choose(backend_at(provider, server.url))


def test_an_endpoint_that_is_down_is_an_error(provider: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(BackendError, match="no answer from"):
        choose(backend_at(provider, url))
