"""Serving the viewer on the loopback address."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Callable
from pathlib import Path

from plenary.errors import ConfigError

try:
    import uvicorn

    from plenary.app.viewer.web import application
except ModuleNotFoundError as error:
    raise ConfigError(
        f"plenary view needs {error.name!r}, which is not installed; pip install 'plenary[view]'"
    ) from error

LOOPBACK = "127.0.0.1"


def serve(run: Path, port: int, tell: Callable[[str], None], *, browser: bool = False) -> None:
    """Serve a run until interrupted; `tell` hears the address once it can be asked."""
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
