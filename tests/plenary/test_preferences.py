from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenary.errors import DataError
from plenary.preferences import ComparisonCounts, pair_shares


def cells(rows: list[tuple[int, int, float, float]]) -> ComparisonCounts:
    first, second, wins, trials = (np.array(column) for column in zip(*rows, strict=True))
    nothing = np.zeros(len(rows))
    return ComparisonCounts(
        first.astype(np.int64), second.astype(np.int64), wins * 1.0, trials * 1.0, nothing, nothing
    )


def test_pair_share_is_the_mean_over_both_orders() -> None:
    answers = cells([(0, 1, 0.9, 1), (1, 0, 0.3, 1)])
    shares = pair_shares(answers, np.array([[0, 1]]))
    assert shares.p == pytest.approx([(0.9 + 0.7) / 2])
    assert shares.order_gap == pytest.approx([(0.9 - 0.7) / 2])
    assert shares.trials == pytest.approx([2])


def test_orders_weigh_one_half_whatever_their_trials() -> None:
    answers = cells([(0, 1, 90, 100), (1, 0, 1, 1)])
    assert pair_shares(answers, np.array([[0, 1]])).p == pytest.approx([0.45])


def test_pair_without_an_answer_in_one_order_is_nan() -> None:
    answers = cells([(0, 1, 1, 1), (1, 0, 0, 0), (2, 3, 1, 1)])
    assert np.isnan(pair_shares(answers, np.array([[0, 1], [2, 3]])).p).all()


def test_other_pairs_are_left_alone() -> None:
    answers = cells([(0, 1, 1, 1), (1, 0, 0, 1), (5, 6, 1, 1)])
    shares = pair_shares(answers, np.array([[0, 1], [0, 2]]))
    assert shares.p[0] == 1
    assert np.isnan(shares.p[1])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_swapping_a_pair_mirrors_its_share(p: list[float]) -> None:
    answers = cells([(0, 1, p[0], 1), (1, 0, p[1], 1)])
    there = pair_shares(answers, np.array([[0, 1]]))
    back = pair_shares(answers, np.array([[1, 0]]))
    assert there.p[0] == pytest.approx(1 - back.p[0])
    assert there.order_gap == pytest.approx(back.order_gap)


def test_cells_are_joined_and_selected_with_every_column() -> None:
    answers = replace(cells([(0, 1, 0.25, 1), (1, 0, 0.5, 1)]), undecided=np.array([0.0, 2]))
    twice = ComparisonCounts.join([answers, answers])
    assert len(twice) == 4
    assert twice.select(twice.first == 1).undecided.tolist() == [2, 2]
    assert answers.undecided_share == pytest.approx(0.5)


def test_no_preference_gives_one_half_to_each_outcome() -> None:
    answers = replace(
        cells([(0, 1, 1, 1), (1, 0, 0, 0), (2, 3, 0, 0), (3, 2, 0, 0)]),
        undecided=np.array([3.0, 4, 0, 5]),
    )
    shares = pair_shares(answers, np.array([[0, 1], [2, 3]]))
    assert shares.p[0] == pytest.approx((2.5 / 4 + 0.5) / 2)
    assert np.isnan(shares.p[1])  # one order was not answered at all
    assert shares.trials.tolist() == [8, 5]


def test_emptied_cells_keep_their_mass_and_count_all_their_answers_invalid() -> None:
    answers = replace(cells([(0, 1, 2, 3), (1, 0, 1, 3)]), undecided=np.array([2.0, 2]))
    left = answers.emptied(np.array([True, False]))
    assert left.answered.tolist() == [False, True]
    assert left.invalid.tolist() == [5, 0]
    assert (left.wins[0], left.undecided[0]) == (0, 0)
    assert np.array_equal(left.mass, answers.mass, equal_nan=True)


def test_no_pairs_have_no_shares() -> None:
    for answers in (cells([(0, 1, 0.25, 1)]), cells([(0, 1, 0.25, 1)]).select(np.array([], int))):
        assert [len(column) for column in pair_shares(answers, np.zeros((0, 2), int))] == [0, 0, 0]


def test_fewer_than_no_answers_for_no_preference_are_refused() -> None:
    with pytest.raises(DataError, match="below 0"):
        replace(cells([(0, 1, 0, 1)]), undecided=np.array([-1.0]))


def test_columns_of_different_length_are_refused() -> None:
    one, two = np.zeros(1), np.zeros(2)
    with pytest.raises(DataError, match="different length"):
        ComparisonCounts(
            np.zeros(1, dtype=np.int64), np.ones(2, dtype=np.int64), one, one, one, two
        )


def test_more_wins_than_trials_are_refused() -> None:
    with pytest.raises(DataError, match="wins outside"):
        cells([(0, 1, 2, 1)])
