"""Lists in the viewer: the search and filter form, paging, and how cells are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from plenary.viewer.blocks import ChoiceField, Form, Page, Pager, Text
from plenary.viewer.queries import Listing, ListPage, ListQuery

Query = Mapping[str, str]
ANY = ("", "any")
LONGEST_SEARCH = 200


class Around(NamedTuple):
    """Form and pager of a list."""

    form: Form
    pager: Pager


def asked_of(listing: Listing, query: Query) -> ListQuery:
    """What the address of a page asks of a list; unknown parameters are ignored."""
    chosen = {
        name: query[name]
        for name, (_, options) in listing.filters.items()
        if query.get(name) in options
    }
    sort = query.get("sort", "")
    return ListQuery(
        query.get("search", "")[:LONGEST_SEARCH],
        sort if sort in listing.sorts else "",
        chosen,
        page_of(query),
    )


def page_of(query: Query) -> int:
    """Number of the page asked for; the first if it is not a number."""
    text = query.get("page", "1")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def around(
    listing: Listing, asked: ListQuery, found: ListPage, path: str, noun: str, hint: str
) -> Around:
    """Form and pager of one page of a list."""
    choices = [
        ChoiceField(name, label, (ANY, *((k, text) for k, (text, _) in options.items())),
               asked.chosen.get(name, ""))
        for name, (label, options) in listing.filters.items()
    ]  # fmt: skip
    orders = tuple((name, label) for name, (label, _) in listing.sorts.items())
    choices.append(ChoiceField("sort", "Order", orders, asked.sort or orders[0][0]))
    kept = {"search": asked.search, "sort": asked.sort, **asked.chosen}
    return Around(
        Form(asked.search, hint, tuple(choices)),
        pager(found, path, {k: v for k, v in kept.items() if v}, noun),
    )


def pager(found: ListPage, path: str, kept: Query, noun: str) -> Pager:
    """The position in a list, with links."""

    def way(page: int) -> str:
        if not 1 <= page <= found.pages:
            return ""
        return f"{path}?{urlencode({**kept, 'page': page})}"

    back, on = way(found.page - 1), way(found.page + 1)
    return Pager(found.page, found.pages, found.total, noun, back, on)


def waiting(title: str, place: str, what: str) -> Page:
    """A page for what the run has not reached yet."""
    line = f"{what} The page fills once the run gets that far; reload it then."
    return Page(title, place, (Text(line),))


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return "none" if value is None or value != value else f"{value:.1%}"


def signed(value: float | None) -> str:
    """A number with its sign."""
    return "none" if value is None or value != value else f"{value:+.2f}"


def plain(name: str) -> str:
    """The name of a column in plain words."""
    return name.replace("_", " ")
