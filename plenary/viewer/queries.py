"""SQL queries behind the viewer's pages: searched, filtered and sorted lists, and ballots.

Whatever a reader types reaches a query as a bound value; names of columns come only from the tables
below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from assembly.aggregation.consensus import COUNTED, consensus
from assembly.record.ballots import AFTER, BEFORE, FOLLOW_UP, VoteRow, Votes
from assembly.record.ledger import Spoken
from plenary.preferences import BoolArray
from plenary.viewer.run_view import RunSnapshot
from plenary.viewer.store import Store, Value
from plenary.viewer.tables import ATTRIBUTES, category, ordered

PAGE = 50
MARKS = 2000


class Listing(NamedTuple):
    """A list: its source, columns, sort orders and filters.

    sorts: name -> (label, ORDER BY); the first is the default. filters:  parameter -> (label,
    value -> (label, condition)).
    """

    source: str
    columns: tuple[str, ...]
    sorts: Mapping[str, tuple[str, str]]
    filters: Mapping[str, tuple[str, Mapping[str, tuple[str, str]]]]


class ListQuery(NamedTuple):
    """What a reader asked for: search, filters, order, page."""

    search: str = ""
    sort: str = ""
    chosen: Mapping[str, str] = {}
    page: int = 1


class ListPage(NamedTuple):
    """One page of a list; `page` is within 1..pages."""

    rows: list[tuple]
    total: int
    page: int
    pages: int


_HALVES = {"train": ("training", "side = 'train'"), "held_out": ("held out", "side = 'held_out'")}

PAIRS = Listing(
    "pairs LEFT JOIN pair_tally ON pair_ = number",
    ("number", "first_text", "second_text", "topic", "side", "contested", "p_before", "p_after",
     "turned", "moved", "invalid", "votes"),
    {
        "number": ("as asked", "number"),
        "contested": ("closest to even", "abs(p_after - 0.5) NULLS LAST, number"),
        "moved": ("moved most", "moved DESC NULLS LAST, number"),
        "turned": ("most changed sides", "turned DESC NULLS LAST, number"),
        "invalid": ("most invalid", "invalid DESC NULLS LAST, number"),
        "share": ("first outcome's share", "p_after DESC NULLS LAST, number"),
    },
    {
        "side": ("Split", _HALVES),
        "contested": (
            "Decision",
            {"yes": ("contested", "contested = 1"), "no": ("decided", "contested = 0")},
        ),
        "invalid": ("Ballots", {"yes": ("some invalid", "invalid > 0")}),
    },
)  # fmt: skip
CITIZENS = Listing(
    "citizens LEFT JOIN citizen_tally ON citizen_ = number LEFT JOIN (SELECT citizen AS speaker, "
    "count(*) AS spoken FROM statements GROUP BY citizen) AS s ON speaker = number",
    ("number", "name", "age", "sex", "education", "state", "occupation", "weight", "turned",
     "moved", "invalid", "coalesce(spoken, 0)"),
    {
        "number": ("as seated", "number"),
        "moved": ("moved most", "moved DESC NULLS LAST, number"),
        "turned": ("changed sides most", "turned DESC NULLS LAST, number"),
        "spoken": ("spoke most", "coalesce(spoken, 0) DESC, number"),
        "invalid": ("most invalid", "invalid DESC NULLS LAST, number"),
        "age": ("age", "age, number"),
        "weight": ("weight", "weight DESC, number"),
    },
    {
        "sex": ("Sex", {s: (s, f"sex = '{s}'") for s in ("woman", "man")}),
        "spoke": ("Spoke", {"yes": ("yes", "spoken > 0"), "no": ("no", "spoken IS NULL")}),
        "invalid": ("Ballots", {"yes": ("some invalid", "invalid > 0")}),
    },
)  # fmt: skip
OUTCOMES = Listing(
    "outcomes",
    ("number", "text", "topic", "side", '"before"', '"after"', "target", "shift", "low", "high",
     "has_moved"),
    {
        "moved": ("moved most", "abs(shift) DESC NULLS LAST, number"),
        "target": ("most preferred by the assembly", "target DESC NULLS LAST, number"),
        "before": ("highest before", '"before" DESC NULLS LAST, number'),
        "after": ("highest after", '"after" DESC NULLS LAST, number'),
        "number": ("as in the catalogue", "number"),
    },
    {
        "side": ("Split", _HALVES),
        "moved": (
            "Moved",
            {"yes": ("beyond noise", "has_moved = 1"), "no": ("within noise", "has_moved = 0")},
        ),
    },
)  # fmt: skip


def _where(listing: Listing, asked: ListQuery) -> tuple[str, list[Value]]:
    conditions, values = ["1 = 1"], list[Value]()
    for word in asked.search.lower().split():
        conditions.append("instr(said, ?) > 0")
        values.append(word)
    for name, (_, options) in listing.filters.items():
        if asked.chosen.get(name) in options:
            conditions.append(options[asked.chosen[name]][1])
    return " AND ".join(conditions), values


def find(store: Store, listing: Listing, asked: ListQuery, size: int = PAGE) -> ListPage:
    """One page of a list."""
    where, values = _where(listing, asked)
    total = store.rows(f"SELECT count(*) FROM {listing.source} WHERE {where}", *values)[0][0]
    page, pages = _within(asked.page, total, size)
    usual = next(iter(listing.sorts))
    order = listing.sorts.get(asked.sort, listing.sorts[usual])[1]
    query = (
        f"SELECT {', '.join(listing.columns)} FROM {listing.source} WHERE {where} "
        f"ORDER BY {order} LIMIT {size} OFFSET {(page - 1) * size}"
    )
    return ListPage(store.rows(query, *values), total, page, pages)


def paged(rows: Sequence[tuple], page: int, size: int = PAGE) -> ListPage:
    """One page of rows already in memory."""
    page, pages = _within(page, len(rows), size)
    return ListPage(list(rows[(page - 1) * size : page * size]), len(rows), page, pages)


def _within(page: int, total: int, size: int) -> tuple[int, int]:
    """The page asked for, or the nearest existing one, and the number of pages."""
    pages = max(1, -(-total // size))
    return min(max(page, 1), pages), pages


def marks(store: Store, listing: Listing, asked: ListQuery) -> ListPage:
    """The rows of the figure above a list: as many as can be distinguished."""
    return find(store, listing, asked._replace(page=1), MARKS)


class Share(NamedTuple):
    """Weighted share for the pair's first outcome with its interval, and citizens by COUNTED."""

    p: float
    low: float
    high: float
    counts: tuple[int, ...]


class Standing(NamedTuple):
    """A stratum on a pair: before, after, and in the follow-up ballot if there is one."""

    category: str
    citizens: int
    before: Share | None
    after: Share | None
    follow_up: Share | None


def votes_on(store: Store, pair: int) -> Votes:
    """Every ballot on a pair, numbered as pair 0."""
    query = (
        'SELECT 0, citizen, phase, "order", share_first, state, mass FROM votes WHERE pair = ? '
        'ORDER BY citizen, phase, "order"'
    )
    return Votes.of(VoteRow(*row) for row in store.rows(query, pair))


def standings(room: RunSnapshot, pair: int, attribute: str, level: float) -> tuple[Standing, ...]:
    """All citizens, then every category of an attribute, on a pair."""
    votes = votes_on(room.store, pair)
    everybody = np.ones(len(room.panel), dtype=bool)
    found = [_standing(room, votes, "everybody", everybody, level)]
    if attribute in ATTRIBUTES:
        own = [category(person, attribute) for person in room.panel]
        for name in ordered(attribute, own):
            members = np.array([label == name for label in own])
            found.append(_standing(room, votes, name, members, level))
    return tuple(found)


def _standing(
    room: RunSnapshot, votes: Votes, name: str, members: BoolArray, level: float
) -> Standing:
    before, after, later = (
        _share(room, votes, members, phase, level) for phase in (BEFORE, AFTER, FOLLOW_UP)
    )
    return Standing(name, int(members.sum()), before, after, later)


def _share(
    room: RunSnapshot, votes: Votes, members: BoolArray, phase: int, level: float
) -> Share | None:
    """Counted like the labels, over members whose ballots have arrived; None before the first."""
    in_phase = votes.phase == phase
    cast = np.bincount(votes.citizen[in_phase], minlength=len(members))
    there = np.flatnonzero(members & (cast == 2))
    if not len(there):
        return None
    kept = in_phase & np.isin(votes.citizen, there)
    found = votes.select(kept)
    clusters = there if phase == BEFORE else room.seating.group_of()[there]
    decided = consensus(
        replace(found, citizen=np.searchsorted(there, found.citizen)),
        np.array([[0, 1]]),
        room.panel.weight[there],
        phase,
        level=level,
        clusters=clusters,
    )
    counts = tuple(decided.counts[0].tolist())
    p, low, high = (float(getattr(decided, name)[0]) for name in ("p", "low", "high"))
    return Share(p, low, high, counts)


def counted(share: Share) -> str:
    """Number of citizens by their choice, without choices that nobody made."""
    parts = zip(COUNTED, share.counts, strict=True)
    return ", ".join(f"{count} {name}" for name, count in parts if count)


_SAID = 'pair, "table", round, seat, citizen, side, state, text'


def heard_at(store: Store, pair: int, table: int) -> list[Spoken]:
    """What a table said about a pair, in order."""
    query = f'SELECT {_SAID} FROM statements WHERE pair = ? AND "table" = ? ORDER BY round, seat'
    return [Spoken(*row) for row in store.rows(query, pair, table)]


def said_by(store: Store, citizen: int) -> list[Spoken]:
    """What a citizen said, pair by pair."""
    query = f"SELECT {_SAID} FROM statements WHERE citizen = ? ORDER BY pair, round, seat"
    return [Spoken(*row) for row in store.rows(query, citizen)]


class CitizenMove(NamedTuple):
    """A citizen's probability for a pair's first outcome, before and after; None if not valid.

    turned: 1 if the side changed, also from or to a tie; None without both ballots.
    """

    pair: int
    citizen: int
    before: float | None
    after: float | None
    turned: float | None
    invalid: int

    @property
    def change(self) -> float | None:
        """After minus before."""
        if self.before is None or self.after is None:
            return None
        return self.after - self.before


_MOVE = "pair, citizen, p_before, p_after, turned, invalid"


def moves_on(store: Store, pair: int, citizens: Sequence[int]) -> list[CitizenMove]:
    """How some citizens moved on a pair, largest movement first."""
    places = ", ".join("?" * len(citizens))
    query = (
        f"SELECT {_MOVE} FROM moves WHERE pair = ? AND citizen IN ({places}) "
        "ORDER BY abs(p_after - p_before) DESC NULLS LAST, citizen"
    )
    return [CitizenMove(*row) for row in store.rows(query, pair, *citizens)]


def journey(store: Store, citizen: int) -> list[CitizenMove]:
    """A citizen's movement on every pair, largest first."""
    query = (
        f"SELECT {_MOVE} FROM moves WHERE citizen = ? "
        "ORDER BY abs(p_after - p_before) DESC NULLS LAST, pair"
    )
    return [CitizenMove(*row) for row in store.rows(query, citizen)]
