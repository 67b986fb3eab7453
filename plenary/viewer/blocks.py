"""Building blocks of viewer pages (tables, figures, tiles, forms), shown by one template.

Text is cleaned and escaped where it is shown; only drawings are markup, made in figures.py.
"""

from __future__ import annotations

from typing import NamedTuple

from markupsafe import Markup

from plenary.figures.page_parts import Head, Tile


class PageLink(NamedTuple):
    """A cell that leads somewhere inside the viewer."""

    text: str
    href: str


Cell = str | PageLink


class PageTable(NamedTuple):
    """A table; folded behind a line when `summary` is given."""

    caption: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    summary: str = ""
    kind: str = "table"


class Figure(NamedTuple):
    """A drawing, what it says in words, and its numbers where no table beside it has them."""

    drawing: Markup
    caption: str
    table: PageTable | None = None
    kind: str = "figure"


class Figures(NamedTuple):
    """Figures side by side where there is room."""

    figures: tuple[Figure, ...]
    kind: str = "figures"


class Tiles(NamedTuple):
    """A row of numbers; `live` ones are renewed while the run goes on."""

    tiles: tuple[Tile, ...]
    live: bool = False
    kind: str = "tiles"


class Bar(NamedTuple):
    """How much of a whole is done."""

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
    """What narrows a list; `search` None is no search field."""

    search: str | None
    placeholder: str
    choices: tuple[ChoiceField, ...]
    kind: str = "form"


class Pager(NamedTuple):
    """Where in a list one is, and the way on and back; '' is no way."""

    page: int
    pages: int
    total: int
    noun: str
    back: str
    on: str
    kind: str = "pager"


class Speech(NamedTuple):
    """One statement as it was heard; `side` names its outcome, `tone` first, second or none."""

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
    """Ways from here."""

    label: str
    links: tuple[PageLink, ...]
    kind: str = "links"


Block = PageTable | Figure | Figures | Tiles | Bar | Form | Pager | Speech | Text | Heading | Links


class Page(NamedTuple):
    """A page: `place` is the part of the menu it belongs to."""

    title: str
    place: str
    blocks: tuple[Block, ...]
