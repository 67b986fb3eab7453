"""Building blocks of viewer pages (tables, figures, tiles, forms), shown by one template.

Text is cleaned and escaped where it is shown; only drawings are markup, made in plenary/figures.
"""

from __future__ import annotations

from typing import NamedTuple

from markupsafe import Markup

from plenary.figures.page_parts import Head, Tile


class PageLink(NamedTuple):
    """A cell that links to a page of the viewer."""

    text: str
    href: str


Cell = str | PageLink


class PageTable(NamedTuple):
    """A table, folded behind a summary line if `summary` is given."""

    caption: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    summary: str = ""
    kind: str = "table"


class Figure(NamedTuple):
    """A drawing, its finding in words, and its numbers unless a table beside it has them."""

    drawing: Markup
    caption: str
    table: PageTable | None = None
    kind: str = "figure"


class Figures(NamedTuple):
    """Figures side by side if there is space."""

    figures: tuple[Figure, ...]
    kind: str = "figures"


class Tiles(NamedTuple):
    """A row of numbers; `live` ones are updated while the run is under way."""

    tiles: tuple[Tile, ...]
    live: bool = False
    kind: str = "tiles"


class Bar(NamedTuple):
    """A progress bar."""

    label: str
    share: float
    key: str
    kind: str = "bar"


class ChoiceField(NamedTuple):
    """A field that offers a few values."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...]
    chosen: str


class Form(NamedTuple):
    """Search and filters of a list; if `search` is None, there is no search field."""

    search: str | None
    placeholder: str
    choices: tuple[ChoiceField, ...]
    kind: str = "form"


class Pager(NamedTuple):
    """The position in a list, and links to the next and previous page ('' for none)."""

    page: int
    pages: int
    total: int
    noun: str
    back: str
    on: str
    kind: str = "pager"


class Speech(NamedTuple):
    """One statement as it was heard; `side` names its outcome, `tone` is first, second or none."""

    text: str
    speaker: Cell
    side: str
    tone: str
    kind: str = "speech"


class Text(NamedTuple):
    """A paragraph; `soft` ones are notes."""

    text: str
    soft: bool = False
    kind: str = "text"


class Heading(NamedTuple):
    """A heading inside a page."""

    text: str
    kind: str = "heading"


class Links(NamedTuple):
    """Links to other pages."""

    label: str
    links: tuple[PageLink, ...]
    kind: str = "links"


Block = PageTable | Figure | Figures | Tiles | Bar | Form | Pager | Speech | Text | Heading | Links


class Page(NamedTuple):
    """A page; `place` is the entry of the menu to which it belongs."""

    title: str
    place: str
    blocks: tuple[Block, ...]
