"""How providers ask and answer on the wire, in their own words: requests read, answers written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

Body = Mapping[str, object]
TopTokens = Sequence[Mapping[str, object]]


class Dialect(NamedTuple):
    """The last message of a request; an answer (text, log-probabilities, refusal); an error."""

    prompt: Callable[[Body], str]
    answer: Callable[[str | None, TopTokens | None, str | None], dict[str, object]]
    error: Callable[[int, str], dict[str, object]]


def _last(body: Body) -> str:
    content = cast("list[dict[str, object]]", body["messages"])[-1]["content"]
    return content if isinstance(content, str) else str(content)


def _openai(text: str | None, top: TopTokens | None, refusal: str | None) -> dict[str, object]:
    content = top and {"content": [{**top[0], "bytes": None, "top_logprobs": top}]}
    message = {"role": "assistant", "content": text, "refusal": refusal}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "tiny",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": content}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
    }


def _anthropic(text: str | None, top: TopTokens | None, refusal: str | None) -> dict[str, object]:
    return {
        "id": "x",
        "type": "message",
        "role": "assistant",
        "model": "tiny",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": "refusal" if refusal else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 3},
    }


def _google(text: str | None, top: TopTokens | None, refusal: str | None) -> dict[str, object]:
    content = {"role": "model", "parts": [{"text": text}] if text else []}
    return {
        "candidates": [
            {"content": content, "finishReason": "SAFETY" if refusal else "STOP", "index": 0}
        ],
        "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 3, "totalTokenCount": 14},
        "modelVersion": "tiny",
    }


def _ollama(text: str | None, top: TopTokens | None, refusal: str | None) -> dict[str, object]:
    scored = {"logprobs": [{**top[0], "top_logprobs": top}]} if top else {}
    return {
        "model": "tiny",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": text or refusal or ""},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 11,
        "eval_count": 3,
        **scored,
    }


def cut_short(answer: dict[str, object]) -> dict[str, object]:
    """The answer as each provider gives it when the room for it is used up."""
    words = {
        "finish_reason": "length",
        "stop_reason": "max_tokens",
        "finishReason": "MAX_TOKENS",
        "done_reason": "length",
    }

    def ended(node: object) -> object:
        if isinstance(node, dict):
            return {k: words[k] if k in words else ended(v) for k, v in node.items()}
        return [ended(part) for part in node] if isinstance(node, list) else node

    return cast("dict[str, object]", ended(answer))


def _google_prompt(body: Body) -> str:
    turns = cast("list[dict[str, list[dict[str, str]]]]", body["contents"])
    return turns[-1]["parts"][0]["text"]


OPENAI = Dialect(_last, _openai, lambda s, text: {"error": {"message": text, "type": "error"}})
# path of the request -> its dialect
DIALECTS: dict[str, Dialect] = {
    "/v1/chat/completions": OPENAI,
    "/v1/messages": Dialect(
        _last,
        _anthropic,
        lambda s, text: {"type": "error", "error": {"type": "api_error", "message": text}},
    ),
    "/v1/models/tiny:generateContent": Dialect(
        _google_prompt,
        _google,
        lambda s, text: {"error": {"code": s, "message": text, "status": "UNKNOWN"}},
    ),
    "/api/chat": Dialect(_last, _ollama, lambda s, text: {"error": text}),
}
