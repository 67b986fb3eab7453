"""Who sits where, which pairs a table takes up together, and whose turn it is to speak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from assembly.settings import AssemblySettings
from plenary.errors import ConfigError
from plenary.preferences import IntArray
from plenary.seeding import generator


class Shard(NamedTuple):
    """The unit of work: one table with one block of pairs."""

    table: int
    block: int


@dataclass(frozen=True, slots=True)
class Seating:
    """Tables of citizens (positions 0..C-1) and blocks of pairs (positions 0..P-1)."""

    tables: tuple[tuple[int, ...], ...]
    pairs: int
    block: int

    @property
    def blocks(self) -> int:
        """Number of blocks; the last may be shorter."""
        return -(-self.pairs // self.block)

    def shards(self) -> list[Shard]:
        """All shards, block by block, so that a stopped assembly has whole blocks behind it."""
        return [Shard(t, b) for b in range(self.blocks) for t in range(len(self.tables))]

    def members(self, shard: Shard) -> tuple[int, ...]:
        """Citizens of the shard's table, in seat order."""
        return self.tables[shard.table]

    def positions(self, shard: Shard) -> range:
        """Pair positions of the shard's block."""
        return range(shard.block * self.block, min((shard.block + 1) * self.block, self.pairs))

    def speakers(self, table: int, pair: int, turn: int, count: int) -> tuple[int, ...]:
        """Seats that speak on a pair in round `turn`; the floor moves on by pair and by round."""
        seats = len(self.tables[table])
        count = min(count, seats)
        return tuple((count * (pair + turn) + k) % seats for k in range(count))

    def table_of(self) -> IntArray:
        """Table of each citizen [C]: the clusters within which votes after discussion depend."""
        table_of = np.zeros(sum(map(len, self.tables)), dtype=np.int64)
        for number, members in enumerate(self.tables):
            table_of[list(members)] = number
        return table_of


def seat(citizens: int, pairs: int, settings: AssemblySettings, seed: int) -> Seating:
    """Seat the citizens at random at tables whose sizes differ by at most one."""
    if citizens < 2 or pairs < 1:
        raise ConfigError(
            f"{citizens!r} citizens and {pairs!r} pairs; seat 2 citizens and 1 pair or more"
        )
    order = generator(seed, "assembly", "seating").permutation(citizens)
    count = -(-citizens // settings.table_size)
    tables = tuple(tuple(part.tolist()) for part in np.array_split(order, count))
    return Seating(tables, pairs, settings.block)
