"""Any LangChain chat model as a backend: log-probabilities where given, else counts."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypedDict, cast
from urllib.parse import urlsplit

import openai
from langchain.chat_models import init_chat_model
from langchain_core.exceptions import (
    ModelAuthenticationError,
    ModelConnectionError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelRefusalError,
    ModelTimeoutError,
)
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.rate_limiters import InMemoryRateLimiter

from plenary.chat.base import ChatBackend, Choice, Conversation, Reply, Sampling, no_choice
from plenary.chat.parse_label import parse_label
from plenary.chat.settings import DEFAULTS, ChatSettings, EndpointSettings
from plenary.errors import BackendError, ConfigError
from plenary.seeding import derived_seed

_TOP = 20
_ANSWER_TOKENS = 32
_BATCH = 1024
_HOPELESS = (
    ModelConnectionError,
    ModelAuthenticationError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
)
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (ModelRefusalError, "refused: the endpoint's filter"),
    (ModelTimeoutError, "failed: timeout"),
    (ModelRateLimitError, "failed: rate limit"),
    (ModelConnectionError, "failed: no connection"),
)

Outcome = AIMessage | Exception


class _TopToken(TypedDict):
    token: str
    logprob: float


class LangchainBackend(ChatBackend):
    """A chat model by LangChain's name for it, such as openai:MODEL, at a base_url or the default.

    Keys come from the provider's environment variable and from nowhere else. Choices are exact
    probabilities (asked 1) where the first answer comes with log-probabilities, of which endpoints
    give the top 20 tokens at most: `mass` is then a lower bound. Elsewhere `samples` answers are
    drawn at temperature 1 and parsed. A call that fails after `retries` becomes an invalid answer
    with its reason; when none gets through, BackendError.
    """

    supports_seed = False
    exact_choice = False

    def __init__(
        self,
        spec: str,
        *,
        base_url: str | None = None,
        settings: EndpointSettings = DEFAULTS.endpoint,
    ) -> None:
        provider, found, model = spec.partition(":")
        if not found or not provider or not model:
            raise ConfigError(f"langchain model {spec!r} names no provider; write PROVIDER:MODEL")
        self._provider, self._model = provider, model
        self._base_url = base_url
        self._settings = settings
        self._limiter = _limiter(settings.calls_per_second)
        self._gives_logprobs: bool | None = None
        self.name = (
            f"langchain:{spec}@{_without_user(base_url)}" if base_url else f"langchain:{spec}"
        )

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        """One reply a conversation."""
        bound = {
            "temperature": sampling.temperature,
            "max_tokens": sampling.max_tokens,
            **self._seed(sampling.seed, sampling.sample),
        }
        async with self._open() as model:
            outcomes = await self._ask(model, conversations, bound)
        return [_reply(outcome) for outcome in outcomes]

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        """Pooled log-probabilities, or shares of `samples` answers that name exactly one label."""
        if not conversations:
            return []
        async with self._open() as model:
            if await self._has_logprobs(model, conversations[0]):
                outcomes = await self._ask(model, conversations, _LOGPROBS)
                return [_exact(outcome, labels) for outcome in outcomes]
            drawn = {"temperature": 1.0, "max_tokens": _ANSWER_TOKENS}
            repeated = [
                await self._ask(model, conversations, {**drawn, **self._seed(seed, k)})
                for k in range(samples)
            ]
        return [_counted(outcomes, labels) for outcomes in zip(*repeated, strict=True)]

    async def _has_logprobs(self, model: BaseChatModel, conversation: Conversation) -> bool:
        """Whether answers come with log-probabilities; endpoints may ignore or refuse that.

        A probe that fails on the way is not remembered: counting serves until one gets through.
        """
        if self._gives_logprobs is None:
            outcome = (await self._ask(model, [conversation], _LOGPROBS))[0]
            if isinstance(outcome, AIMessage):
                self._gives_logprobs = bool(_top_tokens(outcome))
            elif isinstance(outcome, ModelInvalidRequestError):
                self._gives_logprobs = False
        return bool(self._gives_logprobs)

    def _seed(self, seed: int, sample: int) -> dict[str, int]:
        return (
            {"seed": derived_seed(seed, "langchain", sample)} if self._provider == "openai" else {}
        )

    async def _ask(
        self,
        model: BaseChatModel,
        conversations: Sequence[Conversation],
        bound: dict[str, float | int | bool],
    ) -> list[Outcome]:
        """A message or an exception a conversation; BackendError when none gets through."""
        outcomes: list[Outcome] = []
        asking = model.bind(**bound)
        for start in range(0, len(conversations), _BATCH):
            part = [_messages(c) for c in conversations[start : start + _BATCH]]
            answers = await asking.abatch(
                part, {"max_concurrency": self._settings.concurrency}, return_exceptions=True
            )
            outcomes.extend(cast("list[Outcome]", answers))
            self._check_reached(outcomes)
        return outcomes

    def _check_reached(self, outcomes: Sequence[Outcome]) -> None:
        if all(isinstance(outcome, _HOPELESS) for outcome in outcomes):
            raise BackendError(
                f"no answer from {self._address!r} (model {self._model!r}): {_short(outcomes[0])}; "
                "check the address, the key and that the server runs"
            ) from cast("Exception", outcomes[0])

    @property
    def _address(self) -> str:
        return _without_user(self._base_url) if self._base_url else self._provider

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[BaseChatModel]:
        """The chat model for one batch: its connections belong to the running event loop."""
        chosen = self._settings
        settings: dict[str, object] = {
            "timeout": chosen.timeout,
            "max_retries": chosen.retries,
            "rate_limiter": self._limiter,
        }
        if self._base_url:
            settings["base_url"] = self._base_url
        if self._provider != "openai":
            yield self._chat_model(settings)
            return
        if self._base_url and not os.environ.get("OPENAI_API_KEY"):
            settings["api_key"] = "none"
        async with openai.DefaultAsyncHttpxClient(timeout=chosen.timeout) as client:
            yield self._chat_model({**settings, "http_async_client": client})

    def _chat_model(self, settings: dict[str, object]) -> BaseChatModel:
        try:
            return init_chat_model(self._model, model_provider=self._provider, **settings)  # type: ignore[arg-type]
        except (ValueError, ImportError, openai.OpenAIError) as error:
            raise BackendError(
                f"cannot open langchain model {self._model!r}: {_short(error)}; mend the spec"
            ) from error


_LOGPROBS: dict[str, float | int | bool] = {
    "temperature": 1.0,
    "max_tokens": 1,
    "logprobs": True,
    "top_logprobs": _TOP,
}


def _limiter(calls_per_second: float | None) -> InMemoryRateLimiter | None:
    if calls_per_second is None:
        return None
    # The bucket starts empty and holds one second's calls, so no burst passes the limit.
    return InMemoryRateLimiter(
        requests_per_second=calls_per_second,
        check_every_n_seconds=min(0.1, 0.5 / calls_per_second),
        max_bucket_size=max(1.0, calls_per_second),
    )


def _messages(conversation: Conversation) -> LanguageModelInput:
    return [(message.role, message.content) for message in conversation]


def _without_user(url: str) -> str:
    """The address without a user or password in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _short(error: object) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"


def _failure(outcome: Outcome) -> str | None:
    """Why there is no answer; None for one that can be read."""
    if isinstance(outcome, AIMessage):
        refusal = outcome.additional_kwargs.get("refusal")
        filtered = outcome.response_metadata.get("finish_reason") == "content_filter"
        return f"refused: {refusal or 'content filter'}" if refusal or filtered else None
    known = (reason for kind, reason in _REASONS if isinstance(outcome, kind))
    return next(known, f"failed: {_short(outcome)}")


def _tokens(outcome: Outcome) -> tuple[int, int]:
    usage = outcome.usage_metadata if isinstance(outcome, AIMessage) else None
    return (usage["input_tokens"], usage["output_tokens"]) if usage else (0, 0)


def _text(outcome: Outcome) -> str:
    return str(outcome.text).strip() if isinstance(outcome, AIMessage) else ""


def _reply(outcome: Outcome) -> Reply:
    text, failure = _text(outcome), _failure(outcome)
    if failure is None and not text:
        failure = "unreadable: empty reply"
    return Reply(None if failure else text, failure, *_tokens(outcome))


def _top_tokens(message: AIMessage) -> list[_TopToken]:
    """The most probable first tokens; empty when the endpoint gave none."""
    content = (message.response_metadata.get("logprobs") or {}).get("content") or []
    return content[0].get("top_logprobs") or [] if content else []


def _exact(outcome: Outcome, labels: tuple[str, ...]) -> Choice:
    """Label probabilities, pooled over spellings of the first token (case, space, mark-up)."""
    failure = _failure(outcome)
    top = _top_tokens(outcome) if isinstance(outcome, AIMessage) else []
    if failure is not None or not top:
        return no_choice(1, failure or "unreadable: an answer without log-probabilities")
    pooled = dict.fromkeys(map(str.casefold, labels), 0.0)
    for entry in top:
        spelling = entry["token"].strip(" \t\n\u2581\u0120*_\"'`().:[]").casefold()
        if spelling in pooled:
            pooled[spelling] += math.exp(entry["logprob"])
    mass = sum(pooled.values())
    if mass <= 0.0:
        return no_choice(1, f"unreadable: no label among the top tokens, first {top[0]['token']!r}")
    shares = tuple(pooled[label.casefold()] / mass for label in labels)
    return Choice(shares, min(mass, 1.0), 1, 1, None, *_tokens(outcome))


def _counted(outcomes: Sequence[Outcome], labels: tuple[str, ...]) -> Choice:
    """Shares of the answers that name exactly one label."""
    failures = [_failure(outcome) for outcome in outcomes]
    named = [
        parse_label(_text(outcome), labels) if failure is None else None
        for outcome, failure in zip(outcomes, failures, strict=True)
    ]
    counts = Counter(label for label in named if label is not None)
    valid = counts.total()
    prompt, completion = (sum(part) for part in zip(*map(_tokens, outcomes), strict=True))
    if valid:
        shares = tuple(counts[label] / valid for label in labels)
        return Choice(shares, None, len(outcomes), valid, None, prompt, completion)
    reason = next((f for f in failures if f), f"unreadable: {_text(outcomes[0])[:60]!r}")
    return Choice((), None, len(outcomes), 0, reason, prompt, completion)


def open_spec(
    rest: str, adapter: Path | None, base_url: str | None, settings: ChatSettings
) -> LangchainBackend:
    """Open the backend behind langchain:PROVIDER:MODEL."""
    return LangchainBackend(rest, base_url=base_url, settings=settings.endpoint)
