"""The viewer's web application: nine read-only pages, and what is refused for safety.

Every response allows the browser only our own style sheet and script. Requests under other names
than this machine's are refused, so that no web page can read a run through a name that it controls.
"""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Callable
from functools import cache, partial
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import plenary
from plenary.errors import ConfigError, PlenaryError
from plenary.runs import filenames
from plenary.safe_text import strip_hidden
from plenary.viewer.blocks import Page, PageLink, Text
from plenary.viewer.lists import Query
from plenary.viewer.pair_pages import pair, pairs, table
from plenary.viewer.panel_pages import citizen, citizens, panel
from plenary.viewer.run_pages import cost, live, overview
from plenary.viewer.run_view import RunView
from plenary.viewer.utility_pages import utilities

HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})

MENU = (
    PageLink("Overview", "/"),
    PageLink("Panel", "/panel"),
    PageLink("Citizens", "/citizens"),
    PageLink("Pairs", "/pairs"),
    PageLink("Utilities", "/utilities"),
    PageLink("Cost and time", "/cost"),
)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

# The report contains its own style and needs no script; its own policy is stricter still.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"

GUARDS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

ASSETS = {"viewer.css": "text/css", "viewer.js": "text/javascript"}

LONGEST = 2000

Maker = Callable[[RunView, Request], Page | None]


class Guard:
    """Refuses foreign host names and sets the headers of every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("content-security-policy", POLICY)
                headers.update(GUARDS)
            await send(message)

        host = Headers(scope=scope).get("host", "")
        known = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if known.lower() in HOSTS:
            await self._app(scope, receive, guarded)
            return
        refusal = PlainTextResponse(
            f"this page can be opened as localhost only, not as {host!r}\n", status_code=421
        )
        await refusal(scope, receive, guarded)


def application(run: Path) -> Starlette:
    """The viewer of a run directory; DataError if it is not a run directory."""
    viewed = RunView(run)
    number = "{number:int}"
    makers: dict[str, Maker] = {
        "/": lambda v, r: overview(v),
        "/panel": lambda v, r: panel(v),
        "/citizens": lambda v, r: citizens(v, _query(r)),
        f"/citizens/{number}": lambda v, r: citizen(v, r.path_params["number"], _query(r)),
        "/pairs": lambda v, r: pairs(v, _query(r)),
        f"/pairs/{number}": lambda v, r: pair(v, r.path_params["number"], _query(r)),
        f"/pairs/{number}/tables/{{place:int}}": lambda v, r: table(
            v, r.path_params["number"], r.path_params["place"]
        ),
        "/utilities": lambda v, r: utilities(v, _query(r)),
        "/cost": lambda v, r: cost(v),
    }
    routes = [Route(path, partial(_page, viewed, maker)) for path, maker in makers.items()]
    routes += [
        Route("/live.json", partial(_live, viewed)),
        Route("/report", partial(_report, viewed)),
        *(Route(f"/static/{name}", partial(_static, name)) for name in ASSETS),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard)],
        exception_handlers={
            HTTPException: partial(_refused, viewed),
            PlenaryError: partial(_refused, viewed),
        },
    )
    app.state.viewed = viewed
    return app


def render(page: Page, name: str) -> str:
    """The HTML of a page; all text is escaped and stripped of hidden characters."""
    return _template().render(page=page, name=name, menu=MENU, version=plenary.__version__)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda v: v if isinstance(v, Markup) else strip_hidden(str(v), LONGEST),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(_asset("templates/page.html.j2"))


def _query(request: Request) -> Query:
    return dict(request.query_params)


def _page(viewed: RunView, maker: Maker, request: Request) -> Response:
    made = maker(viewed, request)
    if made is None:
        raise HTTPException(404, "This run has no such page.")
    return HTMLResponse(render(made, viewed.manifest.name))


def _live(viewed: RunView, request: Request) -> Response:
    return Response(live(viewed).model_dump_json(), media_type="application/json")


def _report(viewed: RunView, request: Request) -> Response:
    path = viewed.path / filenames.REPORT
    if not path.is_file() or path.is_symlink():
        raise HTTPException(404, "The report of this run has not been written yet.")
    return HTMLResponse(path.read_bytes(), headers={"content-security-policy": REPORT_POLICY})


def _static(name: str, request: Request) -> Response:
    return Response(_asset(f"static/{name}"), media_type=ASSETS[name])


def _refused(viewed: RunView, request: Request, error: Exception) -> Response:
    known = isinstance(error, HTTPException)
    status = error.status_code if known else 500
    said = error.detail if known else str(error)
    page = Page("This cannot be shown", "", (Text(said),))
    return HTMLResponse(render(page, viewed.path.name), status_code=status)


def _asset(name: str) -> str:
    return (resources.files("plenary.viewer") / name).read_text(encoding="utf-8")


try:
    import uvicorn

    pass
except ModuleNotFoundError as error:
    raise ConfigError(
        f"plenary view needs {error.name!r}, which is not installed; pip install 'plenary[view]'"
    ) from error

LOOPBACK = "127.0.0.1"


def serve(run: Path, port: int, tell: Callable[[str], None], *, browser: bool = False) -> None:
    """Serve a run until interrupted; `tell` gets the address once the server answers."""
    app = application(run)
    with _listening(port) as sock:
        address = f"http://{LOOPBACK}:{sock.getsockname()[1]}/"
        tell(address)
        if browser:
            webbrowser.open(address)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, lifespan="off"
        )
        try:
            uvicorn.Server(config).run(sockets=[sock])
        finally:
            app.state.viewed.close()


def _listening(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOOPBACK, port))
        sock.listen(128)
    except OSError as error:
        sock.close()
        raise ConfigError(
            f"cannot listen on port {port!r}: {error.strerror}; use --port 0 for a free one"
        ) from error
    return sock
