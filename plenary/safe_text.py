"""Text shown or written safely: no hidden characters, no formulas, no secrets."""

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


# A cell that starts so is a formula to Excel, LibreOffice or Google Sheets (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_QUOTE = "'"


def escape_formula(value: object) -> object:
    """`value`, behind an apostrophe where it is text that a spreadsheet would run; numbers stay."""
    if isinstance(value, str) and value.lstrip(_QUOTE).startswith(_FORMULA):
        return _QUOTE + value
    return value


def unescape_formula(text: str) -> str:
    """What `neutral` was given."""
    quoted = text.startswith(_QUOTE) and text.lstrip(_QUOTE).startswith(_FORMULA)
    return text[1:] if quoted else text


_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$")

_SHORTEST = 8

_LOGIN = re.compile(r"(?<=://)[^/\s@]+@")


def redacted(text: str) -> str:
    """`text` without values of secret environment variables and without logins in addresses.

    An endpoint may send the key it was given back in an error. A secret is the value, 8 characters
    or more, of a variable whose name ends in KEY, TOKEN, SECRET, PASSWORD or CREDENTIAL(S).
    """
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name.upper()) and len(value) >= _SHORTEST and value in text:
            text = text.replace(value, f"[{name}]")
    return _LOGIN.sub("", text)
