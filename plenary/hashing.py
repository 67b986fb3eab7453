"""The content hash (SHA-256) of texts, bytes, files and folders."""

from __future__ import annotations

import hashlib
from pathlib import Path


def content_hash(content: Path | str | bytes) -> str:
    """SHA-256 in hexadecimal.

    Of a folder: that of the names and hashes of its files; of a path where nothing is: ''.
    """
    if isinstance(content, str):
        content = content.encode()
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    if content.is_dir():
        files = sorted(path for path in content.rglob("*") if path.is_file())
        lines = (f"{path.relative_to(content)}\0{content_hash(path)}\n" for path in files)
        return content_hash("".join(lines))
    if not content.is_file():
        return ""
    with content.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
