"""A local stand-in for the Census Bureau's service, with the faults that it is known for.

Shapes of answers as recorded in the notes on the service: tables as rows of text with a header, the
key pages as HTML behind a redirect, unknown variables as a text of status 400.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

KEY = "0123456789abcdef0123456789abcdef01234567"
GROUP = {
    "B21001_001E": "Estimate!!Total:",
    "B21001_002E": "Estimate!!Total:!!Veteran",
    "B21001_003E": "Estimate!!Total:!!Nonveteran",
}


class Reply(NamedTuple):
    """What the server sends: status, body, headers, seconds it waits first, bytes it leaves out."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = {}  # noqa: RUF012
    wait: float = 0.0
    cut: int = 0


INVALID_KEY = Reply(302, "", {"Location": "/data/invalid_key.html", "X-DataWebAPI-KeyError": "1"})
INVALID_PAGE = Reply(
    200, "<html><head><title>Invalid Key</title></head></html>", {"Content-Type": "text/html"}
)
MISSING_PAGE = Reply(
    200, "<html><head><title>Missing Key</title></head></html>", {"Content-Type": "text/html"}
)
HTML_PAGE = Reply(200, "<html><title>Maintenance</title></html>", {"Content-Type": "text/html"})
UNKNOWN = Reply(400, "error: error: unknown variable 'B21001_009E'")
OVERLOADED = Reply(
    400,
    "There was an error while running your query.  We've logged the error and we'll correct it "
    "ASAP.  Sorry for the inconvenience.",
)


class Bureau:
    """The server's address, the requests it saw, and replies that come before the usual ones."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.seen: list[str] = []
        self.script: list[Reply] = []
        self.files: dict[str, bytes] = {}
        self.routes: dict[str, Callable[[dict[str, list[str]]], Reply]] = {}

    def reply(self, path: str, query: dict[str, list[str]]) -> Reply:
        """The scripted reply if one is left, else what the service would say."""
        if self.script:
            return self.script.pop(0)
        for part, route in self.routes.items():
            if part in path:
                return route(query)
        if "/groups/" in path:
            facts = {
                name: {"label": label, "concept": "Veteran Status", "predicateType": "int"}
                for name, label in GROUP.items()
            }
            return Reply(200, json.dumps({"variables": facts}))
        return table(query)


def table(query: dict[str, list[str]]) -> Reply:
    """Rows of a table: state:* has two, everything else one."""
    fields = query["get"][0].split(",")
    places = [("06", "California"), ("48", "Texas")] if query["for"][0] == "state:*" else [
        ("06", "California")
    ]  # fmt: skip
    rows = [[*fields, "state"]]
    for code, name in places:
        known = {"B21001_001E": "100", "B21001_002E": "8", "B21001_003E": "92", "NAME": name}
        rows.append([*(known.get(field) for field in fields), code])
    return Reply(200, json.dumps(rows))


@contextmanager
def bureau() -> Iterator[Bureau]:
    """Run the stand-in on a free port of this machine."""
    held: list[Bureau] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            here = held[0]
            here.seen.append(self.path)
            parts = urlsplit(self.path)
            if parts.path in here.files:
                return self._file(here.files[parts.path])
            reply = here.reply(parts.path, parse_qs(parts.query))
            time.sleep(reply.wait)
            body = reply.body.encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self._send(body[: len(body) - reply.cut])
            self.close_connection = self.close_connection or bool(reply.cut)
            return None

        def _file(self, content: bytes) -> None:
            start = 0
            scripted = held[0].script.pop(0) if held[0].script else Reply()
            if self.headers.get("Range") and scripted.status == 200:
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            else:
                self.send_response(scripted.status)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self._send(content[start : len(content) - scripted.cut])
            self.close_connection = self.close_connection or bool(scripted.cut)

        def _send(self, body: bytes) -> None:
            try:
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    held.append(Bureau(f"http://127.0.0.1:{server.server_address[1]}"))
    try:
        yield held[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
