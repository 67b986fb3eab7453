"""Making text that models and users wrote safe to show."""

from __future__ import annotations

import unicodedata

# Control, format (bidi marks, zero width), surrogate and private-use characters.
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co"})


def visible(text: str, limit: int = 400) -> str:
    """Text without control, bidi and other hidden characters, on one line, at most `limit` long."""
    kept = "".join(
        " " if character in "\t\r\n" else character
        for character in text
        if character in "\t\r\n" or unicodedata.category(character) not in HIDDEN
    )
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
