"""Backend for any LangChain chat model: log-probabilities where available, else counted samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import openai
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.rate_limiters import InMemoryRateLimiter

from plenary.errors import BackendError, ConfigError
from plenary.models.adapting import Wanted
from plenary.models.base import (
    ChatBackend,
    Choice,
    Conversation,
    Reply,
    Sampling,
    call_key,
    no_choice,
)
from plenary.models.endings import Ending, controls, thinks_first
from plenary.models.endpoint import Endpoint, EndpointJob, Outcome, why
from plenary.models.parse_label import parse_label, settled_label
from plenary.models.providers import (
    OTHER,
    PROVIDERS,
    Parameters,
    fault_of,
    refusal_of,
    told,
    top_tokens,
)
from plenary.models.reply_text import CUT
from plenary.models.settings import DEFAULTS, ChatSettings, EndpointSettings
from plenary.models.wrappers.cache import keep
from plenary.safe_text import redacted
from plenary.seeding import derived_seed

_SCORED = Wanted(1.0, 1, 0, scored=True)


class LangchainBackend(ChatBackend):
    """A chat model by LangChain's name for it, such as openai:MODEL, at a base_url or the default.

    Keys come only from the provider's environment variable. Choices are exact probabilities (asked
    1) if the first answer has log-probabilities; endpoints list at most the top 20 tokens, so
    `mass` is then a lower bound. Otherwise `samples` answers are drawn at temperature 1 and parsed,
    each with its own seed if the endpoint accepts seeds. A refused parameter is left out from then
    on and recorded in `notes`. A call that still fails after `retries` is an invalid answer with
    its reason; if more would fail too, BackendError with the server's message.
    `budget.current_meter` counts every request.
    """

    supports_seed = False
    exact_choice = False
    metered = True

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
        address = _without_user(base_url) if base_url else provider
        self._endpoint = Endpoint(self._words, address, model, settings)
        self._scores: bool | None = None
        at = f"@{address}" if base_url else ""
        self.name = f"langchain:{spec}{at}{_room(settings)}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the endpoint refuses, and what this means for its answers."""
        return tuple(self._endpoint.notes)

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        """One reply per conversation."""
        longest = sampling.max_tokens + self._settings.reasoning_tokens
        drawn = (sampling.temperature, longest, sampling.seed, sampling.sample)
        jobs = [EndpointJob(c, (_wanted(c, *drawn),)) for c in conversations]
        replies: dict[int, Reply] = {}

        def done(place: int, outcomes: Sequence[Outcome]) -> None:
            replies[place] = _reply(outcomes[0])
            keep(conversations[place], replies[place])

        async with self._open() as model:
            await self._endpoint.ask(model, "text", jobs, done)
        return [replies[k] for k in range(len(conversations))]

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
        choices: dict[int, Choice] = {}
        async with self._open() as model:
            probed = await self._probed(model, conversations[0])
            if self._scores:
                await self._score(model, conversations, labels, choices)
            rest = [k for k in range(len(conversations)) if k not in choices]
            await self._sample(model, conversations, labels, rest, samples, seed, choices)
        if isinstance(probed, Exception) and not isinstance(choices[0].failure, str):
            # The same question is answered without log-probabilities, so they were what was
            # refused.
            self._unscored(f"gives no log-probabilities (server: {told(probed)!r})")
        return [choices[k] for k in range(len(conversations))]

    async def _probed(self, model: BaseChatModel, conversation: Conversation) -> Exception | None:
        """Find out whether answers have log-probabilities; returns an error not recognised so far.

        A probe that fails in transit is not remembered: answers are counted until a probe succeeds.
        """
        if self._scores is not None:
            return None
        if not self._words.logprobs:
            self._scores = False
            return None
        outcome = (
            await self._endpoint.ask(model, "probe", [EndpointJob(conversation, (_SCORED,))])
        )[0][0]
        if isinstance(outcome, AIMessage):
            top = top_tokens(outcome)
            self._scores = bool(top) and not thinks_first(outcome, top)
            if not self._scores:
                self._unscored("thinks first" if top else "gives no log-probabilities")
        elif not self._endpoint.manner.logprobs:
            self._scores = False
        elif fault_of(outcome) == "invalid":
            return outcome
        return None

    def _unscored(self, reason: str) -> None:
        self._scores = False
        manner = replace(self._endpoint.manner, logprobs=False)
        self._endpoint.note(manner, f"{reason}: answers are sampled and counted instead")

    async def _score(
        self,
        model: BaseChatModel,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        choices: dict[int, Choice],
    ) -> None:
        """Exact choices; none if log-probabilities are refused from now on."""

        def done(place: int, outcomes: Sequence[Outcome]) -> None:
            if isinstance(outcomes[0], AIMessage) or self._endpoint.manner.logprobs:
                choices[place] = _exact(outcomes[0], labels)
                keep(conversations[place], choices[place])

        jobs = [EndpointJob(c, (_SCORED,)) for c in conversations]
        await self._endpoint.ask(model, "choice", jobs, done)
        self._scores = self._endpoint.manner.logprobs

    async def _sample(
        self,
        model: BaseChatModel,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        places: Sequence[int],
        samples: int,
        seed: int,
        choices: dict[int, Choice],
    ) -> None:
        """Choices by counting `samples` answers of the conversations at `places`."""

        def done(job: int, outcomes: Sequence[Outcome]) -> None:
            choices[places[job]] = _counted(outcomes, labels)
            keep(conversations[places[job]], choices[places[job]])

        longest = self._settings.answer_tokens + self._settings.reasoning_tokens
        jobs = [
            EndpointJob(c, tuple(_wanted(c, 1.0, longest, seed, k) for k in range(samples)))
            for c in (conversations[k] for k in places)
        ]
        await self._endpoint.ask(model, "choice", jobs, done)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[BaseChatModel]:
        """The chat model for one batch: its connections belong to the running event loop."""
        settings = self._words.opening(self._base_url, self._settings)
        settings["rate_limiter"] = self._limiter
        settings |= controls(self._provider, self._settings.reasoning)
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
                f"cannot open langchain model {self._model!r}: {_short(error)}; fix the spec, "
                "set the key or install the provider (pip install 'plenary[providers]')"
            ) from error


def _limiter(calls_per_second: float | None) -> InMemoryRateLimiter | None:
    if calls_per_second is None:
        return None
    # The bucket starts empty and holds the calls of one second, so that no burst exceeds the limit.
    return InMemoryRateLimiter(
        requests_per_second=calls_per_second,
        check_every_n_seconds=min(0.1, 0.5 / calls_per_second),
        max_bucket_size=max(1.0, calls_per_second),
    )


def _wanted(
    conversation: Conversation, temperature: float, tokens: int, seed: int, sample: int
) -> Wanted:
    """A sampled answer, with its own seed: prompts with a shared seed would not be independent."""
    prompt = call_key("", "seed", conversation)
    return Wanted(temperature, tokens, derived_seed(seed, "langchain", sample, prompt))


def _without_user(url: str) -> str:
    """The address without a user or password in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _short(error: object) -> str:
    return redacted(f"{type(error).__name__}: {error}")[:200]


def _room(settings: EndpointSettings) -> str:
    """The settings that change answers, as part of a backend's name; "" for the defaults."""
    chosen = (settings.answer_tokens, settings.reasoning_tokens, settings.reasoning)
    usual = DEFAULTS.endpoint
    if chosen == (usual.answer_tokens, usual.reasoning_tokens, usual.reasoning):
        return ""
    return f"/{settings.answer_tokens}+{settings.reasoning_tokens}:{settings.reasoning}"


def _failure(outcome: Outcome) -> str | None:
    """Why there is no answer; None for one that can be read."""
    if isinstance(outcome, AIMessage):
        refusal = refusal_of(outcome)
        return f"refused: {redacted(refusal)}" if refusal else None
    return why(outcome)


def _tokens(outcome: Outcome) -> tuple[int, int]:
    usage = outcome.usage_metadata if isinstance(outcome, AIMessage) else None
    return (usage["input_tokens"], usage["output_tokens"]) if usage else (0, 0)


def _reply(outcome: Outcome) -> Reply:
    failure = _failure(outcome)
    if failure is not None or not isinstance(outcome, AIMessage):
        return Reply(None, failure, *_tokens(outcome))
    said = Ending(outcome)
    failure = said.failure or (None if said.text else "unreadable: empty reply")
    return Reply(None if failure else said.text, failure, *_tokens(outcome))


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
    read = [_read(outcome, labels) for outcome in outcomes]
    counts = Counter(one.label for one in read if one.label is not None)
    failures = [one.failure for one in read if one.failure is not None]
    cut = sum(failure.startswith(CUT) for failure in failures)
    valid = counts.total()
    prompt, completion = (sum(part) for part in zip(*map(_tokens, outcomes), strict=True))
    if valid:
        shares = tuple(counts[label] / valid for label in labels)
        return Choice(shares, None, len(outcomes), valid, None, prompt, completion, cut)
    return Choice((), None, len(outcomes), 0, failures[0], prompt, completion, cut)


class _Read(NamedTuple):
    """The label of a sampled answer, or why it has none."""

    label: str | None
    failure: str | None


def _read(outcome: Outcome, labels: tuple[str, ...]) -> _Read:
    failure = _failure(outcome)
    if failure is not None or not isinstance(outcome, AIMessage):
        return _Read(None, failure)
    said = Ending(outcome)
    label = (settled_label if said.full else parse_label)(said.text, labels)
    if said.failure is not None or label is None:
        return _Read(None, said.failure or said.unsettled)
    return _Read(label, None)


class GivenChatModel(LangchainBackend):
    """A LangChain chat model object of one's own: its parameters, its client, its key."""

    def __init__(
        self, model: BaseChatModel, *, settings: EndpointSettings = DEFAULTS.endpoint
    ) -> None:
        told_of = getattr(model, "_get_ls_params", dict)()
        provider = told_of.get("ls_provider") or "own"
        name = told_of.get("ls_model_name") or type(model).__name__
        super().__init__(f"{provider}:{name}", settings=settings)
        self._given = model

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[BaseChatModel]:
        yield self._given


def open_spec(
    rest: str, adapter: Path | None, base_url: str | None, settings: ChatSettings
) -> LangchainBackend:
    """Open the backend behind langchain:PROVIDER:MODEL."""
    return LangchainBackend(rest, base_url=base_url, settings=settings.endpoint)
