from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenary.errors import DataError
from plenary.preferences import Cells, pair_shares


def cells(rows: list[tuple[int, int, float, float]]) -> Cells:
    first, second, wins, trials = (np.array(column) for column in zip(*rows, strict=True))
    nothing = np.zeros(len(rows))
    return Cells(
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


def test_cells_survive_a_file(tmp_path: Path) -> None:
    answers = cells([(0, 1, 0.25, 1), (1, 0, 0.5, 1)])
    answers.write(tmp_path / "cells.parquet")
    again = Cells.read(tmp_path / "cells.parquet")
    assert np.array_equal(again.wins, answers.wins)
    assert len(Cells.join([answers, again])) == 4
    assert len(again.select(again.first == 0)) == 1


def test_columns_of_different_length_are_refused() -> None:
    one, two = np.zeros(1), np.zeros(2)
    with pytest.raises(DataError, match="different length"):
        Cells(np.zeros(1, dtype=np.int64), np.ones(2, dtype=np.int64), one, one, one, two)


def test_more_wins_than_trials_are_refused() -> None:
    with pytest.raises(DataError, match="wins outside"):
        cells([(0, 1, 2, 1)])


@pytest.mark.parametrize("content", [None, b"not parquet"])
def test_unreadable_cells_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "cells.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"cells\.parquet"):
        Cells.read(path)


def test_a_missing_column_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"first": [1]}), tmp_path / "cells.parquet")
    with pytest.raises(DataError, match="export them again"):
        Cells.read(tmp_path / "cells.parquet")
