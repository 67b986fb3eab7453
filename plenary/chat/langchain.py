"""Any LangChain chat model as a backend: log-probabilities where given, else counts."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import openai
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import Runnable

from plenary.chat.base import ChatBackend, Choice, Conversation, Reply, Sampling, no_choice
from plenary.chat.parse_label import parse_label
from plenary.chat.providers import (
    OTHER,
    PROVIDERS,
    Fault,
    Parameters,
    fault_of,
    refusal_of,
    retry_after,
    top_tokens,
)
from plenary.chat.secrets import redacted
from plenary.chat.settings import DEFAULTS, ChatSettings, EndpointSettings
from plenary.errors import BackendError, ConfigError
from plenary.seeding import derived_seed

_ANSWER_TOKENS = 32
_BATCH = 1024
_REASONS: dict[Fault, str] = {
    "refused": "refused: the endpoint's filter",
    "timeout": "failed: timeout",
    "rate limit": "failed: rate limit",
}
_PASSING: tuple[Fault, ...] = ("timeout", "rate limit")
_FIRST_WAIT = 0.5

Outcome = AIMessage | Exception


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
        self._words = PROVIDERS.get(provider, OTHER)
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
        seed = derived_seed(sampling.seed, "langchain", sampling.sample)
        bound = self._words.sampling(sampling.temperature, sampling.max_tokens, seed)
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
                outcomes = await self._ask(model, conversations, self._words.scoring())
                return [_exact(outcome, labels) for outcome in outcomes]
            seeds = [derived_seed(seed, "langchain", k) for k in range(samples)]
            repeated = [
                await self._ask(model, conversations, self._words.sampling(1.0, _ANSWER_TOKENS, s))
                for s in seeds
            ]
        return [_counted(outcomes, labels) for outcomes in zip(*repeated, strict=True)]

    async def _has_logprobs(self, model: BaseChatModel, conversation: Conversation) -> bool:
        """Whether answers come with log-probabilities; endpoints may ignore or refuse that.

        A probe that fails on the way is not remembered: counting serves until one gets through.
        """
        if self._gives_logprobs is None and not self._words.logprobs:
            self._gives_logprobs = False
        if self._gives_logprobs is None:
            outcome = (await self._ask(model, [conversation], self._words.scoring()))[0]
            if isinstance(outcome, AIMessage):
                self._gives_logprobs = bool(top_tokens(outcome))
            elif isinstance(outcome, TypeError) or fault_of(outcome) == "invalid":
                self._gives_logprobs = False
        return bool(self._gives_logprobs)

    async def _ask(
        self, model: BaseChatModel, conversations: Sequence[Conversation], bound: Parameters
    ) -> list[Outcome]:
        """A message or an exception a conversation; BackendError when none gets through."""
        outcomes: list[Outcome] = []
        asking = model.bind(**bound)
        for start in range(0, len(conversations), _BATCH):
            part = [_messages(c) for c in conversations[start : start + _BATCH]]
            outcomes.extend(await self._patiently(asking, part))
            self._check_reached(outcomes)
        return outcomes

    async def _patiently(
        self, asking: Runnable[LanguageModelInput, AIMessage], part: list[LanguageModelInput]
    ) -> list[Outcome]:
        """Answers, asked for again after a wait where the client of a provider does not do so."""
        outcomes = await self._once(asking, part)
        for attempt in range(0 if self._words.patient else self._settings.retries):
            failed = {k: o for k, o in enumerate(outcomes) if isinstance(o, Exception)}
            again = [k for k, error in failed.items() if fault_of(error) in _PASSING]
            if not again:
                break
            asked = [retry_after(failed[k]) or _FIRST_WAIT * 2**attempt for k in again]
            await asyncio.sleep(min(max(asked), self._settings.timeout))
            for k, outcome in zip(
                again, await self._once(asking, [part[k] for k in again]), strict=True
            ):
                outcomes[k] = outcome
        return outcomes

    async def _once(
        self, asking: Runnable[LanguageModelInput, AIMessage], part: list[LanguageModelInput]
    ) -> list[Outcome]:
        limit = {"max_concurrency": self._settings.concurrency}
        answers = await asking.abatch(part, limit, return_exceptions=True)  # type: ignore[arg-type]
        return cast("list[Outcome]", answers)

    def _check_reached(self, outcomes: Sequence[Outcome]) -> None:
        if all(isinstance(o, Exception) and fault_of(o) == "unreached" for o in outcomes):
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
        settings = self._words.opening(self._base_url, self._settings)
        settings["rate_limiter"] = self._limiter
        if self._provider != "openai":
            yield self._chat_model(settings)
            return
        async with openai.DefaultAsyncHttpxClient(timeout=self._settings.timeout) as client:
            yield self._chat_model({**settings, "http_async_client": client})

    def _chat_model(self, settings: Parameters) -> BaseChatModel:
        try:
            return init_chat_model(self._model, model_provider=self._provider, **settings)  # type: ignore[arg-type]
        except (ValueError, ImportError, openai.OpenAIError) as error:
            raise BackendError(
                f"cannot open langchain model {self._model!r}: {_short(error)}; mend the spec, "
                "set the key or install the provider (pip install 'plenary[providers]')"
            ) from error


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
    return redacted(f"{type(error).__name__}: {str(error)[:200]}")


def _failure(outcome: Outcome) -> str | None:
    """Why there is no answer; None for one that can be read."""
    if isinstance(outcome, AIMessage):
        refusal = refusal_of(outcome)
        return f"refused: {redacted(refusal)}" if refusal else None
    return _REASONS.get(fault_of(outcome), f"failed: {_short(outcome)}")


def _tokens(outcome: Outcome) -> tuple[int, int]:
    usage = outcome.usage_metadata if isinstance(outcome, AIMessage) else None
    return (usage["input_tokens"], usage["output_tokens"]) if usage else (0, 0)


def _text(outcome: Outcome) -> str:
    return redacted(str(outcome.text).strip()) if isinstance(outcome, AIMessage) else ""


def _reply(outcome: Outcome) -> Reply:
    text, failure = _text(outcome), _failure(outcome)
    if failure is None and not text:
        failure = "unreadable: empty reply"
    return Reply(None if failure else text, failure, *_tokens(outcome))


def _exact(outcome: Outcome, labels: tuple[str, ...]) -> Choice:
    """Label probabilities, pooled over spellings of the first token (case, space, mark-up)."""
    failure = _failure(outcome)
    top = top_tokens(outcome) if isinstance(outcome, AIMessage) else []
    if failure is not None or not top:
        return no_choice(1, failure or "unreadable: an answer without log-probabilities")
    pooled = dict.fromkeys(map(str.casefold, labels), 0.0)
    for entry in top:
        spelling = str(entry["token"]).strip(" \t\n\u2581\u0120*_\"'`().:[]").casefold()
        if spelling in pooled:
            pooled[spelling] += math.exp(float(str(entry["logprob"])))
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
