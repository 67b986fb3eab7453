"""Writing files whole or not at all, hashing them, and naming disk faults (full, read-only)."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from plenary.errors import DataError


@contextmanager
def disk_faults_named(place: str) -> Iterator[None]:
    """Turn errors of a disk or a damaged file into DataError, with the place and what to do."""
    try:
        yield
    except (OSError, sqlite3.OperationalError, SafetensorError) as error:
        raise DataError(
            f"cannot read or write in {place!r}: {error}; free space or give access, then continue "
            "with --exists resume (what was recorded is kept)"
        ) from error
    except sqlite3.Error as error:
        raise DataError(
            f"a file in {place!r} is damaged: {error}; restore a copy of it, or start again with "
            "--exists replace (a checkpoints.sqlite may be deleted without losing anything)"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with staged(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends without an error."""
    handle, name = tempfile.mkstemp(f"{path.suffix}", f".{path.stem}.", path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
