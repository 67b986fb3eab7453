"""An OpenAI-like server on loopback that refuses what a test says, and counts every request."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Body = dict[str, object]
# Status and body of an error; None to answer.
Refuse = Callable[[Body], tuple[int, object] | None]


@dataclass
class Stern:
    """Requests as they came, in order, and the address."""

    url: str = ""
    requests: list[Body] = field(default_factory=list)


def _answer(body: Body, text: str, tokens: tuple[int, int] | None) -> Body:
    top = [{"token": t, "logprob": p, "bytes": None} for t, p in (("B", -0.1), ("A", -2.4))]
    scored = {"content": [{**top[0], "top_logprobs": top}]} if body.get("logprobs") else None
    message = {"role": "assistant", "content": text}
    used = tokens and dict(
        zip(("prompt_tokens", "completion_tokens"), tokens, strict=True), total_tokens=sum(tokens)
    )
    return {
        "id": "x", "object": "chat.completion", "created": 1, "model": "mock", "usage": used,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": scored}],
    }  # fmt: skip


@contextmanager
def stern(
    refuse: Refuse = lambda body: None,
    text: str = "B",
    *,
    delay: float = 0.0,
    tokens: tuple[int, int] | None = (20, 5),
) -> Iterator[Stern]:
    """A running server."""
    record = Stern()
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                record.requests.append(body)
                refused = refuse(body)
            time.sleep(delay)
            status, answer = refused or (200, _answer(body, text, tokens))
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        record.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield record
        finally:
            server.shutdown()
            thread.join()
