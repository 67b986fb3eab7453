"""A real PostgreSQL server in a temporary folder, with a password."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

BINARIES = [Path(p) for p in sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")))]
PASSWORD = "not-a-secret"


class Server(NamedTuple):
    """Where a server listens; the password goes into PGPASSWORD."""

    address: str
    stop_now: Callable[[], object]


def binaries() -> Path | None:
    """Folder of initdb and pg_ctl; Debian keeps them off the PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else BINARIES[::-1]
    return next((f for f in folders if (f / "pg_ctl").exists()), None)


@contextmanager
def running() -> Iterator[Server]:
    """A server on a free loopback port; PostgreSQL refuses to run as root."""
    place, user = binaries(), "postgres" if os.getuid() == 0 else None
    assert place is not None
    folder = Path(tempfile.mkdtemp(prefix="plenary-pg-"))
    if user:
        shutil.chown(folder, user)

    def run(*command: str | Path) -> None:
        subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    secret = folder / "password"
    secret.write_text(PASSWORD)
    if user:
        shutil.chown(secret, user)
    data = folder / "data"
    run(place / "initdb", "-D", data, "-U", "citizen", "-A", "scram-sha-256", "--pwfile", secret,
        "--no-sync", "-E", "UTF8", "--locale=C")  # fmt: skip
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
    run(place / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")

    def stop_now() -> None:
        stop = (place / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        subprocess.run(stop, check=False, user=user, cwd=folder, capture_output=True)

    try:
        yield Server(f"postgresql://citizen@127.0.0.1:{port}/postgres", stop_now)
    finally:
        stop_now()
        shutil.rmtree(folder)
