"""Parts of a page that report and viewer share: column heads and figures in large type."""

from __future__ import annotations

from typing import NamedTuple


class Head(NamedTuple):
    """A column head; numbers are set flush right."""

    name: str
    number: bool = False


class Tile(NamedTuple):
    """One figure in large type; the keys name value and note in the viewer's live record."""

    name: str
    value: str
    note: str = ""
    key: str = ""
    note_key: str = ""
