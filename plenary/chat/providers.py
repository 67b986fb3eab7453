"""What LangChain's integrations differ in: words for parameters, retries, kinds of error."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable
from typing import Literal, NamedTuple

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
from langchain_core.messages import AIMessage

from plenary.chat.settings import EndpointSettings

Parameters = dict[str, object]
Fault = Literal["refused", "timeout", "rate limit", "unreached", "invalid", "other"]
_TOP = 20
_LARGEST_SEED = 2**31 - 1


class Provider(NamedTuple):
    """How one integration is told what to do.

    most, seed: its words for the longest answer in tokens and for the seed (None: it takes none).
    inside: the parameter that holds these and the temperature, if any. logprobs: it may be asked
    for log-probabilities. patient: its client retries and heeds Retry-After. key: environment
    variable of the key. client: arguments for timeout and retries.
    """

    most: str = "max_tokens"
    seed: str | None = None
    inside: str | None = None
    logprobs: bool = False
    patient: bool = False
    key: str | None = None
    client: Callable[[EndpointSettings], Parameters] = lambda chosen: {"timeout": chosen.timeout}

    def sampling(self, temperature: float, max_tokens: int, seed: int) -> Parameters:
        """Call parameters for a drawn answer."""
        chosen: Parameters = {"temperature": temperature, self.most: max_tokens}
        if self.seed is not None:
            chosen[self.seed] = seed & _LARGEST_SEED
        return {self.inside: chosen} if self.inside else chosen

    def scoring(self) -> Parameters:
        """Call parameters for the log-probabilities of the first token."""
        chosen: Parameters = {"temperature": 1.0, self.most: 1}
        bound = {self.inside: chosen} if self.inside else chosen
        return {**bound, "logprobs": True, "top_logprobs": _TOP}

    def opening(self, base_url: str | None, chosen: EndpointSettings) -> Parameters:
        """Arguments of the chat model; a server of one's own needs no key."""
        arguments = self.client(chosen)
        if base_url:
            arguments["base_url"] = base_url
            if self.key and not os.environ.get(self.key):
                arguments["api_key"] = "none"
        return arguments


def _retrying(chosen: EndpointSettings) -> Parameters:
    return {"timeout": chosen.timeout, "max_retries": chosen.retries}


_opened = itertools.count()


def _never_cached(chosen: EndpointSettings) -> Parameters:
    """langchain-anthropic keeps a client per timeout, bound to an event loop that may be closed."""
    return {**_retrying(chosen), "timeout": chosen.timeout + 1e-9 * next(_opened)}


PROVIDERS: dict[str, Provider] = {
    "openai": Provider(
        seed="seed", logprobs=True, patient=True, key="OPENAI_API_KEY", client=_retrying
    ),
    "anthropic": Provider(patient=True, key="ANTHROPIC_API_KEY", client=_never_cached),
    "google_genai": Provider(
        most="max_output_tokens",
        seed="seed",
        key="GOOGLE_API_KEY",
        client=lambda chosen: {"timeout": chosen.timeout, "max_retries": 1},
    ),
    "mistralai": Provider(
        seed="random_seed",
        key="MISTRAL_API_KEY",
        client=lambda chosen: {"timeout": math.ceil(chosen.timeout), "max_retries": 1},
    ),
    "ollama": Provider(
        most="num_predict",
        seed="seed",
        inside="options",
        logprobs=True,
        client=lambda chosen: {"client_kwargs": {"timeout": chosen.timeout}},
    ),
}
OTHER = Provider(logprobs=True, patient=True, client=_retrying)

_KINDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Fault], ...] = (
    (ModelRefusalError, "refused"),
    (ModelTimeoutError, "timeout"),
    (ModelRateLimitError, "rate limit"),
    (
        (
            ModelConnectionError,
            ModelAuthenticationError,
            ModelNotFoundError,
            ModelPermissionDeniedError,
        ),
        "unreached",
    ),
    (ModelInvalidRequestError, "invalid"),
)
_STATUS: dict[int, Fault] = {
    400: "invalid", 401: "unreached", 403: "unreached", 404: "unreached", 408: "timeout",
    422: "invalid", 429: "rate limit",
}  # fmt: skip


def fault_of(error: Exception) -> Fault:
    """What kind of fault it is, whichever library reports it."""
    for kind, fault in _KINDS:
        if isinstance(error, kind):
            return fault
    # Some integrations pass on what their HTTP library raises; its classes are not all importable.
    names = [kind.__name__ for kind in type(error).__mro__]
    if any("Timeout" in name for name in names):
        return "timeout"
    if any(name in ("TransportError", "ConnectionError") for name in names):
        return "unreached"
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    return _STATUS.get(status, "other") if isinstance(status, int) else "other"


def retry_after(error: Exception) -> float | None:
    """Seconds that the server asks to wait, where it says so."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return float(headers.get("retry-after", ""))
    except ValueError:
        return None


def refusal_of(message: AIMessage) -> str | None:
    """Why the model, or a filter before it, would not answer; None where it answered."""
    facts = message.response_metadata
    stated = message.additional_kwargs.get("refusal")
    ended = str(facts.get("finish_reason") or facts.get("stop_reason") or "").casefold()
    if stated or ended in ("content_filter", "safety", "refusal", "prohibited_content"):
        return str(stated or "content filter")
    return None


def top_tokens(message: AIMessage) -> list[dict[str, object]]:
    """The most probable first tokens {token, logprob}; empty when the endpoint gave none."""
    given = message.response_metadata.get("logprobs") or []
    content = given.get("content") or [] if isinstance(given, dict) else given
    return content[0].get("top_logprobs") or [] if content else []
