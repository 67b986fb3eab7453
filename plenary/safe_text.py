"""Making text safe to show or write: without hidden characters, spreadsheet formulas or secrets."""

from __future__ import annotations

import os
import re
import unicodedata

# Control, format (bidi marks, zero width), surrogate and private-use characters.
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co"})


def strip_hidden(text: str, limit: int = 400) -> str:
    """Text without control, bidi and other hidden characters, on one line, at most `limit` long."""
    kept = "".join(
        " " if character in "\t\r\n" else character
        for character in text
        if character in "\t\r\n" or unicodedata.category(character) not in HIDDEN
    )
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


# A cell that starts like this is a formula to Excel, LibreOffice or Google Sheets (OWASP, CSV
# injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_QUOTE = "'"


def escape_formula(value: object) -> object:
    """`value`, with an apostrophe before text that a spreadsheet would run; numbers stay."""
    if isinstance(value, str) and value.lstrip(_QUOTE).startswith(_FORMULA):
        return _QUOTE + value
    return value


def unescape_formula(text: str) -> str:
    """The text that `escape_formula` was given."""
    quoted = text.startswith(_QUOTE) and text.lstrip(_QUOTE).startswith(_FORMULA)
    return text[1:] if quoted else text


_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$")

_SHORTEST = 8

_LOGIN = re.compile(r"(?<=://)[^/\s@]+@")


def redacted(text: str) -> str:
    """`text` without values of secret environment variables and without logins in addresses.

    An endpoint may quote the key that it was sent in an error message. A secret is the value, 8
    characters or more, of a variable whose name ends in KEY, TOKEN, SECRET, PASSWORD or
    CREDENTIAL(S).
    """
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name.upper()) and len(value) >= _SHORTEST and value in text:
            text = text.replace(value, f"[{name}]")
    return _LOGIN.sub("", text)
