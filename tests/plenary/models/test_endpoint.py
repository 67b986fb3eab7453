"""What endpoints refuse, on the wire: adapted to once, or quoted where the asking stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from support.stern import Body, stern

from plenary.errors import BackendError, BudgetExceeded
from plenary.models import endpoint
from plenary.models.base import Conversation, Message, Sampling
from plenary.models.langchain import LangchainBackend
from plenary.models.settings import EndpointSettings
from plenary.models.wrappers.budget import BudgetedBackend
from plenary.models.wrappers.cache import CachedBackend, MemoryStore

LABELS = ("A", "B")
ASKED: list[Conversation] = [
    (Message("system", "You are 44 years old."), Message("user", f"question {k}"))
    for k in range(40)
]
NO_RETRY = EndpointSettings(retries=0)


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def at(url: str, settings: EndpointSettings = NO_RETRY) -> LangchainBackend:
    return LangchainBackend("openai:mock", base_url=url, settings=settings)


def openai(text: str, parameter: str | None = None) -> object:
    return {"error": {"message": text, "type": "invalid_request_error", "param": parameter}}


def flat(text: str, parameter: str | None = None) -> object:
    return {"object": "error", "message": text, "type": "BadRequestError", "code": 400}


def fastapi(text: str, parameter: str | None = None) -> object:
    echo = {"messages": "the temperature and the seed of the system role"}
    place = ["body", *([parameter] if parameter else [])]
    return {"detail": [{"type": "value_error", "loc": place, "msg": text, "input": echo}]}


def routed(text: str, parameter: str | None = None) -> object:
    return {"error": {"message": "Provider returned error", "metadata": {"raw": text}}}


STYLES = (openai, flat, fastapi, routed)
Style = Callable[[str, str | None], object]


def has(body: Body, name: str) -> bool:
    return body.get(name) is not None


def systems(body: Body) -> bool:
    return any(m["role"] == "system" for m in body["messages"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("name", "text", "note"),
    [
        ("temperature", "'temperature' does not support 0.5 with this model.", "model's own"),
        ("seed", "Unsupported parameter(s): `seed`", "second time"),
        ("max_completion_tokens", "Unknown field: max_completion_tokens", "another word"),
    ],
)
def test_a_refused_parameter_is_left_out_after_one_refusal(
    style: Style, name: str, text: str, note: str
) -> None:
    def refuse(body):
        return (400, style(text, name)) if has(body, name) else None

    with stern(refuse) as server:
        backend = at(server.url)
        replies = asyncio.run(backend.generate(ASKED, Sampling(0.5, 20)))
        assert [reply.text for reply in replies] == ["B"] * len(ASKED)
        assert len(server.requests) == len(ASKED) + 1  # one refusal, with 16 at once to come
        if name == "max_completion_tokens":
            assert {body.get("max_tokens") for body in server.requests[1:]} == {20}
    assert len(backend.notes) == 1
    assert note in backend.notes[0]
    assert repr(text)[1:-1] in backend.notes[0]


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize("style", STYLES)
def test_a_refused_system_role_is_folded_into_the_first_turn(style: Style, status: int) -> None:
    def refuse(body):
        return (status, style("System role not supported", None)) if systems(body) else None

    with stern(refuse) as server:
        backend = at(server.url)
        replies = asyncio.run(backend.generate(ASKED, Sampling()))
        assert all(reply.text for reply in replies)
        assert len(server.requests) == len(ASKED) + 1
        assert server.requests[-1]["messages"][0]["content"].startswith(  # type: ignore[index]
            "You are 44 years old.\n\nquestion "
        )
    assert "head of the user's turn" in backend.notes[0]


@pytest.mark.parametrize("style", STYLES)
def test_fewer_log_probabilities_are_asked_for(style: Style) -> None:
    def refuse(body):
        return (
            (400, style("top_logprobs must be at most 5.", "top_logprobs"))
            if int(str(body.get("top_logprobs") or 0)) > 5
            else None
        )

    with stern(refuse) as server:
        backend = at(server.url)
        choices = asyncio.run(backend.choose(ASKED, LABELS, samples=10))
        assert [choice.asked for choice in choices] == [1] * len(ASKED)
        assert all(choice.mass for choice in choices)
        assert len(server.requests) == len(ASKED) + 2  # the probe, refused and asked again
    assert "lists 5 likely tokens at most" in backend.notes[0]


@pytest.mark.parametrize("style", STYLES)
def test_without_log_probabilities_answers_are_drawn_and_that_is_told(
    style: Style, caplog: pytest.LogCaptureFixture
) -> None:
    """Temperature, log-probabilities and the system role refused one after the other."""

    def refuse(body: Body) -> tuple[int, object] | None:
        if has(body, "logprobs"):
            return 400, style("logprobs are not supported with reasoning models.", "logprobs")
        if has(body, "temperature") and body["temperature"] != 1:
            return 400, style("temperature: only the default (1) is supported", "temperature")
        return (400, style("Unexpected role 'system'", None)) if systems(body) else None

    with stern(refuse) as server:
        backend = at(server.url)
        choices = asyncio.run(backend.choose(ASKED, LABELS, samples=3))
        assert [(c.asked, c.valid, c.mass) for c in choices] == [(3, 3, None)] * len(ASKED)
        assert len(server.requests) == 3 * len(ASKED) + 2
        asyncio.run(backend.generate(ASKED, Sampling(0.7)))
        assert len(server.requests) == 4 * len(ASKED) + 3
    for words in ("sampled and counted instead", "head of the user's turn", "model's own"):
        assert sum(words in note for note in backend.notes) == 1
        assert words in caplog.text


def test_what_is_not_known_is_quoted_after_a_few_requests() -> None:
    with stern(lambda body: (400, openai("The moon is in the wrong phase."))) as server:
        for ask in (
            lambda b: b.choose(ASKED, LABELS, samples=9),
            lambda b: b.generate(ASKED, Sampling()),
        ):
            with pytest.raises(BackendError, match="The moon is in the wrong phase"):
                asyncio.run(ask(at(server.url)))
        assert len(server.requests) <= 10


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, openai("Incorrect API key provided")),
        (403, openai("Your country is not supported")),
        (404, openai("The model `mock` does not exist")),
        (402, openai("Payment required")),
        (429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}),
        (400, openai("Your credit balance is too low to access the API")),
    ],
)
def test_who_may_not_ask_stops_with_the_reason_at_the_first_request(
    status: int, body: object
) -> None:
    said = str(body["error"]["message"])  # type: ignore[index]
    body["error"].setdefault("code", None)  # type: ignore[index]
    if status == 429:
        said = "insufficient_quota"
        body = openai("You exceeded your quota: insufficient_quota")
    with stern(lambda _: (status, body)) as server:
        with pytest.raises(BackendError, match="no answer from") as caught:
            asyncio.run(at(server.url).generate(ASKED, Sampling()))
        assert len(server.requests) == 1
    assert said in str(caught.value)


def test_a_server_that_breaks_down_stops_the_asking_and_keeps_what_was_answered() -> None:
    count = [0]

    def refuse(body: Body) -> tuple[int, object] | None:
        count[0] += 1
        return (503, openai("out of memory")) if count[0] > 12 else None

    store = MemoryStore()
    with stern(refuse) as server:
        cached = CachedBackend(at(server.url), store)
        with pytest.raises(BackendError, match="out of memory"):
            asyncio.run(cached.generate(ASKED, Sampling()))
        assert len(store) == 12
        count[0] = -100
        assert all(r.text for r in asyncio.run(cached.generate(ASKED, Sampling())))
        assert len(store) == len(ASKED)


def test_a_secret_is_cut_from_a_reason_before_it_is_shortened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = "sk-" + "k" * 60
    monkeypatch.setenv("OPENAI_API_KEY", key)
    text = f"{'x' * 370} {key}"
    wrong = stern(lambda body: (401, openai(text)))
    with wrong as server, pytest.raises(BackendError) as caught:
        asyncio.run(at(server.url).generate(ASKED, Sampling()))
    assert "kkk" not in str(caught.value)


@pytest.mark.parametrize("scored", [True, False])
@pytest.mark.parametrize("limit", [1, 7, 50, 99])
def test_never_one_request_above_the_limit(
    limit: int, scored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Probe, refusals, retries and callers at the same time included."""
    monkeypatch.setattr(endpoint, "_FIRST_WAIT", 0.001)
    count = [0]

    def refuse(body: Body) -> tuple[int, object] | None:
        count[0] += 1
        if has(body, "logprobs") and not scored:
            return 400, openai("logprobs are not supported", "logprobs")
        return (429, openai("slow down")) if count[0] % 5 == 0 else None

    patient = EndpointSettings(retries=3, concurrency=8)
    store = MemoryStore()
    with stern(refuse, delay=0.002) as server:
        for _ in range(2):
            server.requests.clear()
            limited = BudgetedBackend(at(server.url, patient), calls=limit)
            cached = CachedBackend(limited, store)

            async def together(cached: CachedBackend = cached) -> list[object]:
                calls = (cached.choose(ASKED[k::3], LABELS, samples=10) for k in range(3))
                return list(await asyncio.gather(*calls, return_exceptions=True))

            outcomes = asyncio.run(together())
            assert len(server.requests) == limited.counts.calls <= limit
            assert scored or any(isinstance(one, BudgetExceeded) for one in outcomes)
        assert limit < 50 or len(store) >= 4


def test_tokens_that_a_server_does_not_tell_are_taken_as_set_aside() -> None:
    with stern(tokens=None) as server:
        limited = BudgetedBackend(at(server.url), tokens=400)
        with pytest.raises(BudgetExceeded, match="400 tokens"):
            asyncio.run(limited.generate(ASKED, Sampling(max_tokens=50)))
        assert 0 < len(server.requests) < 8
    with stern(tokens=(20, 5)) as server:
        limited = BudgetedBackend(at(server.url), tokens=400)
        with pytest.raises(BudgetExceeded, match="400 tokens"):
            asyncio.run(limited.generate(ASKED, Sampling(max_tokens=5)))
        assert limited.counts.tokens == 25 * len(server.requests) <= 400
