"""Text for CSV files that people open in a spreadsheet: no cell of it is run as a formula."""

from __future__ import annotations

# A cell that starts so is a formula to Excel, LibreOffice or Google Sheets (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_QUOTE = "'"


def neutral(value: object) -> object:
    """`value`, behind an apostrophe where it is text that a spreadsheet would run; numbers stay."""
    if isinstance(value, str) and value.lstrip(_QUOTE).startswith(_FORMULA):
        return _QUOTE + value
    return value


def original(text: str) -> str:
    """What `neutral` was given."""
    quoted = text.startswith(_QUOTE) and text.lstrip(_QUOTE).startswith(_FORMULA)
    return text[1:] if quoted else text
