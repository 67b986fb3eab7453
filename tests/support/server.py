"""A small chat server on loopback in several dialects, well or badly behaved on request."""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from support.dialects import DIALECTS, Dialect, cut_short

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
    "thinking",  # thinks aloud between tags; cut short before it has done so for 60 words
    "pondering",  # thinks aloud without tags, and is cut short
    "odd",  # fails with 500 for prompts that hold "odd", else as plain
    "locked",  # 401
    "telltale",  # 401 with the caller's key in its text
    "gossip",  # answers with the caller's key
    "absent",  # 404: no such model
    "truncated",  # 200 with the first half of an answer
    "cut",  # the connection ends before the answer does
]


@dataclass
class ChatServer:
    """Every request is on record. P(A) is `p`, or follows `scores` where it knows both outcomes.

    gate: prompts that are answered only once `opened` is set; `reached` tells of the first.
    """

    mood: Mood
    p: float = 0.75
    scores: Mapping[str, float] = field(default_factory=dict)
    url: str = ""
    gate: Callable[[str], bool] = lambda prompt: False
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)
    requests: list[dict[str, object]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)

    async def answer(self, request: Request) -> Response:
        """One answer, in the dialect of the path."""
        dialect, body = DIALECTS[request.url.path], await request.json()
        self.requests.append(body)
        prompt = dialect.prompt(body)
        if self.gate(prompt):
            self.reached.set()
            await asyncio.to_thread(self.opened.wait)
        key = request.headers.get("authorization", "")
        self.keys.add(key)
        if self.mood == "telltale":
            return _error(dialect, 401, f"wrong key {key}")
        if self.mood == "gossip":
            return JSONResponse(dialect.answer(f"I was given {key}", None, None))
        fault = await self._fault(dialect, body, prompt)
        if fault is not None:
            return fault
        p = self._first(prompt)
        if self.mood == "logprobs" and body.get("logprobs"):
            return JSONResponse(dialect.answer("A", _top(p), None))
        if self.mood == "refusing":
            return JSONResponse(dialect.answer(None, None, "I cannot take sides"))
        if self.mood == "chatty":
            return JSONResponse(dialect.answer("What a difficult question.", None, None))
        if self.mood in ("thinking", "pondering"):
            return JSONResponse(_thought(self.mood, body, dialect))
        first = random.Random(f"{body.get('seed')}{prompt if self.scores else ''}").random() < p
        return JSONResponse(dialect.answer(f"Option **{'A' if first else 'B'}**.", None, None))

    def _first(self, prompt: str) -> float:
        shown = re.findall(r"Option [AB]: (.+)", prompt)
        if len(shown) != 2 or not all(text in self.scores for text in shown):
            return self.p
        return 1 / (1 + math.exp(self.scores[shown[1]] - self.scores[shown[0]]))

    async def _fault(
        self, dialect: Dialect, body: dict[str, object], prompt: str
    ) -> Response | None:
        if self.mood == "strict" and body.get("logprobs"):
            return _error(dialect, 400, "logprobs are not supported")
        if self.mood == "malformed":
            return Response("<html>gateway</html>", media_type="text/html")
        if self.mood == "slow":
            await asyncio.sleep(5)
        if self.mood in STATUS:
            return _error(dialect, *STATUS[self.mood])
        if self.mood in ("truncated", "cut"):
            whole = json.dumps(dialect.answer("A", None, None)).encode()
            length = {"content-length": str(len(whole))} if self.mood == "cut" else None
            return Response(whole[: len(whole) // 2], 200, length, "application/json")
        if self.mood == "odd" and "odd" in prompt:
            return _error(dialect, 500, "out of memory")
        if self.mood == "jammed" or (self.mood == "limited" and prompt not in self._seen):
            self._seen.add(prompt)
            return _error(dialect, 429, "too many requests", {"retry-after": "0.1"})
        return None


STATUS = {"locked": (401, "wrong key"), "absent": (404, "no such model")}


def _thought(mood: Mood, body: dict[str, object], dialect: Dialect) -> dict[str, object]:
    """Words up to the longest answer asked for; a thought of 60 words and the answer B."""
    asked = re.search(r"'(?:max_\w*tokens|num_predict|maxOutputTokens)': (\d+)", str(body))
    most = int(asked.group(1)) if asked else 1000
    thought = ["Okay,", "let", "me", "look", "at", "option", "A", "first."] + ["so"] * 52
    words = ["<think>", *thought, "</think>", "B"] if mood == "thinking" else thought
    answer = dialect.answer(" ".join(words[:most]), None, None)
    return cut_short(answer) if most < len(words) or mood == "pondering" else answer


def _error(
    dialect: Dialect, status: int, text: str, headers: dict[str, str] | None = None
) -> Response:
    return JSONResponse(dialect.error(status, text), status, headers)


def _top(p: float) -> list[dict[str, object]]:
    """Half of A's probability on " A", a tenth of B's on "b", .04 elsewhere."""
    spelled = {"A": p / 2, " A": p / 2, "B": 0.9 * (1 - p), "b": 0.1 * (1 - p)}
    tokens = {token: 0.96 * share for token, share in spelled.items()} | {"The": 0.04}
    return [{"token": token, "logprob": math.log(share)} for token, share in tokens.items()]


@contextmanager
def serve(
    mood: Mood, p: float = 0.75, scores: Mapping[str, float] | None = None
) -> Iterator[ChatServer]:
    """A running server; its address is `url`."""
    chat = ChatServer(mood, p, scores or {})
    routes = [Route(path, chat.answer, methods=["POST"]) for path in DIALECTS]
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
