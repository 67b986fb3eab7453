"""Downloading large files with resumption after a broken connection."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import requests

from census_data.sources.session import CensusError, Patience

BLOCK = 2**20
OK, PARTIAL, ABSENT, BEYOND = 200, 206, 404, 416


def download(
    url: str, path: Path, patience: Patience, sleep: Callable[[float], None] = time.sleep
) -> Path:
    """Fetch a zip archive to `path`, resuming what an earlier call left in `path`.part.

    Raises CensusError if the file does not exist, if the connection breaks more often than the
    patience allows without progress, or if the result is not a complete archive.
    """
    if path.exists() and zipfile.is_zipfile(path):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        fault = _fetch(url, part, patience)
        if fault is None:
            break
        progress = part.exists() and part.stat().st_size > before
        failures = 0 if progress else failures + 1
        if failures >= patience.attempts:
            raise CensusError(f"{url!r} cannot be fetched: {fault}; run again to resume from here")
        sleep(min(patience.pause * 2**failures, patience.longest_pause))
    if not zipfile.is_zipfile(part):
        part.unlink()
        raise CensusError(f"{url!r} is not a complete zip archive; fetch it again")
    part.replace(path)
    return path


def _fetch(url: str, part: Path, patience: Patience) -> str | None:
    """Append what is missing; None if complete, else the temporary fault."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        with requests.get(
            url, headers=headers, stream=True, timeout=(patience.connect, patience.read)
        ) as answer:
            if answer.status_code == BEYOND:
                return None
            if answer.status_code == ABSENT:
                raise CensusError(f"{url!r} does not exist; check year, survey and state")
            if answer.status_code not in (OK, PARTIAL):
                return f"status {answer.status_code}"
            with part.open("ab" if answer.status_code == PARTIAL else "wb") as file:
                for block in answer.iter_content(BLOCK):
                    file.write(block)
    except (requests.exceptions.RequestException, OSError) as error:
        return type(error).__name__
    return None
