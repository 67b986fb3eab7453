from collections import Counter

import numpy as np
import pytest

from assembly.seating import Seating, Shard, seat
from assembly.settings import AssemblySettings
from plenary.errors import ConfigError


def test_everybody_sits_once_and_tables_are_even() -> None:
    seating = seat(60, 180, AssemblySettings(table_size=7), seed=0)
    assert sorted(c for table in seating.tables for c in table) == list(range(60))
    assert {len(table) for table in seating.tables} == {6, 7}
    assert seating == seat(60, 180, AssemblySettings(table_size=7), seed=0)
    assert seating != seat(60, 180, AssemblySettings(table_size=7), seed=1)


def test_table_of_names_the_table_of_each_citizen() -> None:
    seating = Seating(((2, 0), (1, 3)), pairs=4, block=2)
    np.testing.assert_array_equal(seating.table_of(), [0, 1, 0, 1])


def test_blocks_cover_the_pairs_in_order() -> None:
    seating = Seating(((0, 1), (2, 3)), pairs=7, block=3)
    assert seating.shards() == [Shard(t, b) for b in range(3) for t in range(2)]
    covered = [p for b in range(seating.blocks) for p in seating.positions(Shard(0, b))]
    assert covered == list(range(7))


def test_the_floor_rotates_over_seats_by_pair_and_round() -> None:
    seating = Seating((tuple(range(6)),), pairs=12, block=12)
    spoken = Counter(s for pair in range(12) for s in seating.speakers(0, pair, 0, 2))
    assert set(spoken.values()) == {4}
    assert seating.speakers(0, 0, 0, 2) == (0, 1)
    assert seating.speakers(0, 0, 1, 2) == (2, 3)


def test_nobody_speaks_twice_in_a_round_of_a_small_table() -> None:
    assert sorted(Seating(((0, 1),), 1, 1).speakers(0, 3, 1, 5)) == [0, 1]


@pytest.mark.parametrize(("citizens", "pairs"), [(1, 4), (4, 0)])
def test_an_empty_room_is_an_error(citizens: int, pairs: int) -> None:
    with pytest.raises(ConfigError, match=f"{citizens} citizens and {pairs} pairs"):
        seat(citizens, pairs, AssemblySettings(), seed=0)
