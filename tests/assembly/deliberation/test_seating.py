from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from assembly.deliberation.seating import Seating, Shard, seat
from assembly.record.settings import AssemblySettings
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


def meetings(rounds) -> Counter:
    return Counter(
        pair for tables in rounds for table in tables for pair in combinations(sorted(table), 2)
    )


def test_a_group_of_seven_tables_meets_anew_in_every_round() -> None:
    settings = AssemblySettings(table_size=7, tables_per_group=7, rounds=7)
    seating = seat(98, 4, settings, seed=2)
    assert seating.groups == 2
    rounds = [seating.seated(turn) for turn in range(7)]
    assert max(meetings(rounds).values()) == 1
    for tables in rounds:
        assert sorted(c for table in tables for c in table) == list(range(98))
    groups = seating.group_of()
    for turn in range(7):
        assert all(len(set(groups[list(table)])) == 1 for table in seating.seated(turn))
        np.testing.assert_array_equal(seating.table_of(turn)[list(rounds[turn][3])], 3)


@pytest.mark.parametrize(("citizens", "size", "group"), [(23, 4, 6), (36, 6, 6), (30, 7, 5)])
def test_other_groups_meet_again_less_than_by_lot(citizens, size, group) -> None:
    settings = AssemblySettings(table_size=size, tables_per_group=group, rounds=3)
    seating = seat(citizens, 4, settings, seed=0)
    rounds = [seating.seated(turn) for turn in range(3)]
    assert {len(t) for tables in rounds for t in tables} <= {size, size - 1}
    rng = np.random.default_rng(0)
    lots = [
        len(meetings([np.array_split(rng.permutation(citizens), len(rounds[0])) for _ in range(3)]))
        for _ in range(20)
    ]
    assert len(meetings(rounds)) > max(lots)


def test_one_table_a_group_stays_seated() -> None:
    seating = seat(30, 4, AssemblySettings(rounds=3), seed=0)
    assert seating.seated(2) == seating.tables
    np.testing.assert_array_equal(seating.group_of(), seating.table_of())


@pytest.mark.parametrize(("citizens", "pairs"), [(1, 4), (4, 0)])
def test_an_empty_room_is_an_error(citizens: int, pairs: int) -> None:
    with pytest.raises(ConfigError, match=f"{citizens} citizens and {pairs} pairs"):
        seat(citizens, pairs, AssemblySettings(), seed=0)
