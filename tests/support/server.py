"""A small OpenAI-compatible chat server on loopback, well or badly behaved on request."""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Mood = Literal[
    "logprobs",  # gives log-probabilities when asked
    "plain",  # ignores the request for them, as `transformers serve` does
    "strict",  # answers 400 to the request for them
    "limited",  # answers 429 with Retry-After once a prompt, then as plain
    "jammed",  # always 429
    "malformed",  # 200 with text that is no JSON
    "slow",  # takes longer than any patience
    "refusing",  # a refusal in the OpenAI form
    "chatty",  # text that names no label
    "odd",  # fails with 500 for prompts that hold "odd", else as plain
    "locked",  # 401
    "telltale",  # 401 with the caller's key in its text
    "absent",  # 404: no such model
    "truncated",  # 200 with the first half of an answer
    "cut",  # the connection ends before the answer does
]


@dataclass
class ChatServer:
    """Every request is on record. P(A) is `p`, or follows `scores` where it knows both outcomes."""

    mood: Mood
    p: float = 0.75
    scores: Mapping[str, float] = field(default_factory=dict)
    url: str = ""
    requests: list[dict[str, object]] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    async def answer(self, request: Request) -> Response:
        """One chat completion."""
        body = await request.json()
        self.requests.append(body)
        if self.mood == "telltale":
            return _error(401, f"wrong key {request.headers.get('authorization')}")
        fault = await self._fault(body)
        if fault is not None:
            return fault
        prompt = str(body["messages"][-1]["content"])
        p = self._first(prompt)
        if self.mood == "logprobs" and body.get("logprobs"):
            return _completion("A", logprobs=_top(p))
        if self.mood == "refusing":
            return _completion(None, refusal="I cannot take sides")
        if self.mood == "chatty":
            return _completion("What a difficult question.")
        first = random.Random(f"{body.get('seed')}{prompt if self.scores else ''}").random() < p
        return _completion(f"Option **{'A' if first else 'B'}**.")

    def _first(self, prompt: str) -> float:
        shown = re.findall(r"Option [AB]: (.+)", prompt)
        if len(shown) != 2 or not all(text in self.scores for text in shown):
            return self.p
        return 1 / (1 + math.exp(self.scores[shown[1]] - self.scores[shown[0]]))

    async def _fault(self, body: dict[str, object]) -> Response | None:
        prompt = json.dumps(body["messages"])
        if self.mood == "strict" and body.get("logprobs"):
            return _error(400, "logprobs are not supported")
        if self.mood == "malformed":
            return Response("<html>gateway</html>", media_type="text/html")
        if self.mood == "slow":
            await asyncio.sleep(5)
        if self.mood == "locked":
            return _error(401, "wrong key")
        if self.mood == "absent":
            return _error(404, "no such model")
        if self.mood in ("truncated", "cut"):
            whole = bytes(_completion("A").body)
            length = {"content-length": str(len(whole))} if self.mood == "cut" else None
            return Response(whole[: len(whole) // 2], 200, length, "application/json")
        if self.mood == "odd" and "odd" in prompt:
            return _error(500, "out of memory")
        if self.mood == "jammed" or (self.mood == "limited" and prompt not in self._seen):
            self._seen.add(prompt)
            return _error(429, "too many requests", {"retry-after": "0.1"})
        return None


def _error(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": {"message": text, "type": "error"}}, status, headers)


def _top(p: float) -> list[dict[str, object]]:
    """Half of A's probability on " A", a tenth of B's on "b", .04 elsewhere."""
    spelled = {"A": p / 2, " A": p / 2, "B": 0.9 * (1 - p), "b": 0.1 * (1 - p)}
    tokens = {token: 0.96 * share for token, share in spelled.items()} | {"The": 0.04}
    return [{"token": token, "logprob": math.log(share)} for token, share in tokens.items()]


def _completion(
    text: str | None, *, logprobs: list[dict[str, object]] | None = None, refusal: str | None = None
) -> Response:
    content = logprobs and {"content": [{**logprobs[0], "bytes": None, "top_logprobs": logprobs}]}
    message = {"role": "assistant", "content": text, "refusal": refusal}
    return JSONResponse(
        {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "tiny",
            "choices": [
                {"index": 0, "message": message, "finish_reason": "stop", "logprobs": content}
            ],
            "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
        }
    )


@contextmanager
def serve(
    mood: Mood, p: float = 0.75, scores: Mapping[str, float] | None = None
) -> Iterator[ChatServer]:
    """A running server; its address is `url`."""
    chat = ChatServer(mood, p, scores or {})
    routes = [Route("/v1/chat/completions", chat.answer, methods=["POST"])]
    config = uvicorn.Config(
        Starlette(routes=routes),
        host="127.0.0.1",
        port=0,
        log_level="critical",
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    chat.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    try:
        yield chat
    finally:
        server.should_exit = True
        thread.join(timeout=10)
