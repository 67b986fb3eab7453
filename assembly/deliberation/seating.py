"""Seating: who sits at which table in each round, groups of tables, and blocks of pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from assembly.record.settings import AssemblySettings
from plenary.errors import ConfigError
from plenary.preferences import IntArray
from plenary.seeding import generator

Tables = tuple[tuple[int, ...], ...]


class Shard(NamedTuple):
    """The unit of work: one group (by default one table) with one block of pairs."""

    group: int
    block: int


@dataclass(frozen=True, slots=True)
class Seating:
    """Tables of citizens (positions 0..C-1) and blocks of pairs (positions 0..P-1).

    tables: who sits where in the first round. tables_per_group: number of tables whose citizens
    rotate among them.
    moves: tables of the later rounds; () if nobody moves.
    """

    tables: Tables
    pairs: int
    block: int
    tables_per_group: int = 1
    moves: tuple[Tables, ...] = ()

    @property
    def blocks(self) -> int:
        """Number of blocks; the last may be shorter."""
        return -(-self.pairs // self.block)

    @property
    def groups(self) -> int:
        """Number of groups; their numbers of tables differ by at most one."""
        return -(-len(self.tables) // self.tables_per_group)

    def shards(self) -> list[Shard]:
        """All shards, block by block, so that a stopped assembly has completed whole blocks."""
        return [Shard(h, b) for b in range(self.blocks) for h in range(self.groups)]

    def tables_in(self, group: int) -> range:
        """Numbers of a group's tables."""
        count = len(self.tables)
        return range(count * group // self.groups, count * (group + 1) // self.groups)

    def seated(self, turn: int) -> Tables:
        """Citizens of every table in round `turn`, in seat order."""
        return self.moves[turn - 1] if turn and self.moves else self.tables

    def members(self, shard: Shard) -> tuple[int, ...]:
        """Citizens of the shard's group, by first table and seat."""
        return tuple(c for t in self.tables_in(shard.group) for c in self.tables[t])

    def positions(self, shard: Shard) -> range:
        """Pair positions of the shard's block."""
        return range(shard.block * self.block, min((shard.block + 1) * self.block, self.pairs))

    def table_of(self, turn: int = 0) -> IntArray:
        """Table of each citizen [C] in a round."""
        table_of = np.zeros(sum(map(len, self.tables)), dtype=np.int64)
        for number, members in enumerate(self.seated(turn)):
            table_of[list(members)] = number
        return table_of

    def group_of(self) -> IntArray:
        """Group of each citizen [C]: the clusters of dependent votes after discussion."""
        groups = np.array([h for h in range(self.groups) for _ in self.tables_in(h)])
        return groups[self.table_of()]


def seat(citizens: int, pairs: int, settings: AssemblySettings, seed: int) -> Seating:
    """Seat the citizens at random at tables whose sizes differ by at most one."""
    if citizens < 2 or pairs < 1:
        raise ConfigError(
            f"{citizens!r} citizens and {pairs!r} pairs; give at least 2 citizens and 1 pair"
        )
    order = generator(seed, "assembly", "seating").permutation(citizens)
    count = -(-citizens // settings.table_size)
    tables = tuple(tuple(part.tolist()) for part in np.array_split(order, count))
    still = Seating(tables, pairs, settings.block, settings.tables_per_group)
    if settings.tables_per_group == 1 or settings.rounds < 2:
        return still
    parts = [
        rotated([tables[t] for t in still.tables_in(group)], settings.rounds)
        for group in range(still.groups)
    ]
    moves = tuple(sum((part[turn] for part in parts), ()) for turn in range(settings.rounds - 1))
    return Seating(tables, pairs, settings.block, settings.tables_per_group, moves)


def rotated(tables: Sequence[Sequence[int]], rounds: int) -> tuple[Tables, ...]:
    """Tables of the rounds after the first, with as few repeated meetings as possible.

    In round r, seat s moves on by s * r tables: if the number of tables is prime and at least the
    number of seats, no two citizens meet twice (lines of an affine plane). Otherwise citizens in
    equal seats are swapped as long as that avoids a repeated meeting.
    """
    met: Counter[tuple[int, int]] = Counter()
    _note(met, tables)
    moves: list[Tables] = []
    for turn in range(1, rounds):
        seated: list[dict[int, int]] = [{} for _ in tables]
        for table, members in enumerate(tables):
            for place, citizen in enumerate(members):
                seated[(table + place * turn) % len(tables)][place] = citizen
        _swap(seated, met)
        moves.append(tuple(tuple(at[place] for place in sorted(at)) for at in seated))
        _note(met, moves[-1])
    return tuple(moves)


def _note(met: Counter[tuple[int, int]], tables: Sequence[Sequence[int]]) -> None:
    for members in tables:
        met.update(combinations(sorted(members), 2))


def _again(met: Counter[tuple[int, int]], citizen: int, others: dict[int, int], place: int) -> int:
    """Earlier meetings of a citizen with those at a table, except the one in `place`."""
    return sum(
        met[min(citizen, other), max(citizen, other)] for s, other in others.items() if s != place
    )


def _swap(seated: list[dict[int, int]], met: Counter[tuple[int, int]]) -> None:
    """Swap citizens in equal seats while that reduces repeated meetings."""
    better = True
    while better:
        better = False
        for one, two in combinations(seated, 2):
            for place in one.keys() & two.keys():
                a, b = one[place], two[place]
                now = _again(met, a, one, place) + _again(met, b, two, place)
                if now and _again(met, a, two, place) + _again(met, b, one, place) < now:
                    one[place], two[place], better = b, a, True
