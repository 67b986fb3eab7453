"""Differences between LangChain's providers: parameter names, retries, kinds of errors."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
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

from plenary.models.adapting import Manner, Refusal, Wanted
from plenary.models.settings import EndpointSettings
from plenary.safe_text import redacted

Parameters = dict[str, object]
Fault = Literal[
    "refused", "timeout", "rate limit", "unreached", "denied", "server", "invalid", "other"
]
_LONGEST = 400
_LARGEST_SEED = 2**31 - 1


class Provider(NamedTuple):
    """The parameters of one integration.

    most, seed: its parameters for the longest answer in tokens and for the seed (None: it has
    none).
    other: a parameter to try if a server refuses `most`, with the parameter that contains it before
    a point. inside: the parameter that contains these and the temperature, if any. logprobs:
    whether it can be asked for log-probabilities. key: environment variable of the key. client:
    arguments that set the timeout and leave retries to plenary.
    """

    most: str = "max_tokens"
    other: str | None = None
    seed: str | None = None
    inside: str | None = None
    logprobs: bool = False
    key: str | None = None
    client: Callable[[EndpointSettings], Parameters] = lambda chosen: {"timeout": chosen.timeout}

    def parameters(self, wanted: Wanted, manner: Manner) -> Parameters:
        """Call parameters of a request, as the endpoint accepts them."""
        chosen: Parameters = {}
        if manner.temperature:
            chosen["temperature"] = max(wanted.temperature, manner.coldest)
        if self.seed is not None and manner.seed and not wanted.scored:
            chosen[self.seed] = wanted.seed & _LARGEST_SEED
        longest = max(wanted.tokens, manner.least)
        words = [word for word in (self.most, self.other) if word is not None]
        for word in words[manner.length : manner.length + 1]:
            holder, _, name = word.rpartition(".")
            value = longest if manner.most is None else min(longest, manner.most)
            chosen |= {holder: {name: value}} if holder else {name: value}
        bound: Parameters = {self.inside: chosen} if self.inside else chosen
        return bound | {"logprobs": True, "top_logprobs": manner.top} if wanted.scored else bound

    def opening(self, base_url: str | None, chosen: EndpointSettings) -> Parameters:
        """Arguments of the chat model; your own server needs no key."""
        arguments = self.client(chosen)
        if base_url:
            arguments["base_url"] = base_url
            if self.key and not os.environ.get(self.key):
                arguments["api_key"] = "none"
        return arguments


def _once(chosen: EndpointSettings) -> Parameters:
    return {"timeout": chosen.timeout, "max_retries": 0}


_opened = itertools.count()


def _never_cached(chosen: EndpointSettings) -> Parameters:
    """langchain-anthropic keeps a client per timeout, bound to an event loop that may be closed."""
    return {**_once(chosen), "timeout": chosen.timeout + 1e-9 * next(_opened)}


PROVIDERS: dict[str, Provider] = {
    "openai": Provider(
        # LangChain sends max_tokens as max_completion_tokens, which older servers refuse.
        other="extra_body.max_tokens",
        seed="seed",
        logprobs=True,
        key="OPENAI_API_KEY",
        client=_once,
    ),
    "anthropic": Provider(key="ANTHROPIC_API_KEY", client=_never_cached),
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
OTHER = Provider(other="max_completion_tokens", logprobs=True, client=_once)

_KINDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Fault], ...] = (
    (ModelRefusalError, "refused"),
    (ModelTimeoutError, "timeout"),
    (ModelRateLimitError, "rate limit"),
    (ModelConnectionError, "unreached"),
    ((ModelAuthenticationError, ModelNotFoundError, ModelPermissionDeniedError), "denied"),
    (ModelInvalidRequestError, "invalid"),
)
_STATUS: dict[int, Fault] = {
    400: "invalid", 401: "denied", 402: "denied", 403: "denied", 404: "denied", 408: "timeout",
    409: "server", 422: "invalid", 429: "rate limit",
}  # fmt: skip
# Statuses with which servers refuse a parameter or a role; some answer with 500.
_REFUSING = (400, 422, 500, 501)
_SPENT = re.compile(
    r"insufficient_quota|insufficient (credit|balance|fund)|billing hard limit|balance is too low"
)


def fault_of(error: Exception) -> Fault:
    """The kind of fault, whichever library reports it."""
    if _SPENT.search(told(error).casefold()):
        return "denied"
    for kind, fault in _KINDS:
        if isinstance(error, kind):
            return fault
    # Some integrations pass on what their HTTP library raises; its classes are not all importable.
    names = [kind.__name__ for kind in type(error).__mro__]
    if any("Timeout" in name for name in names):
        return "timeout"
    if any(name in ("TransportError", "ConnectionError") for name in names):
        return "unreached"
    status = status_of(error)
    if status is None:
        return "invalid" if isinstance(error, TypeError) else "other"
    return _STATUS.get(status, "server" if status >= 500 else "other")


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error; None where there is none."""
    response = getattr(error, "response", None)
    for source, name in ((error, "status_code"), (response, "status_code"), (error, "code")):
        status = getattr(source, name, None)
        if isinstance(status, int):
            return status
    return None if error.__cause__ is None else status_of(error.__cause__)


def told(error: Exception) -> str:
    """The server's message after its status, or the library's message; without secrets."""
    status, said = status_of(error), _said(error)
    words = "; ".join(dict.fromkeys(one.text for one in said)) or str(error)
    return redacted(f"{type(error).__name__ if status is None else status}: {words}")[:_LONGEST]


def refusals_of(error: Exception) -> list[Refusal]:
    """The server's refusals of the request; empty for another kind of fault."""
    status = status_of(error)
    if status not in _REFUSING and not isinstance(error, (ModelInvalidRequestError, TypeError)):
        return []
    return _said(error) or [Refusal(str(error))]


def _said(error: BaseException) -> list[Refusal]:
    for source in (error, error.__cause__):
        response = getattr(source, "response", None)
        given = [getattr(source, "body", None), getattr(source, "details", None)]
        with suppress(RuntimeError):  # a body that was not read
            given.append(getattr(response, "text", None))
        given.append(getattr(source, "error", None))
        for body in given:
            found = list(_walk(body))
            if found:
                return found
    return []


def _walk(node: object) -> Iterator[Refusal]:
    """Every message in a server's answer with its parameter, without echoes of the input."""
    if isinstance(node, str):
        try:
            tree = json.loads(node)
        except ValueError:
            tree = None
        if isinstance(tree, (dict, list)):
            yield from _walk(tree)
        elif node.strip():
            yield Refusal(node.strip())
        return
    for part in node if isinstance(node, list) else [node]:
        if not isinstance(part, dict):
            continue
        place = part.get("param") or part.get("loc") or ""
        name = ".".join(map(str, place)) if isinstance(place, list) else str(place)
        for key in ("message", "msg", "error", "detail", "details", "metadata", "raw"):
            for found in _walk(part.get(key)) if part.get(key) else ():
                yield found if found.parameter or not name else found._replace(parameter=name)


def retry_after(error: Exception) -> float | None:
    """Seconds that the server asks to wait, if it says so."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return float(headers.get("retry-after", ""))
    except ValueError:
        return None


def refusal_of(message: AIMessage) -> str | None:
    """Why the model, or a filter before it, refused to answer; None if it answered."""
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
