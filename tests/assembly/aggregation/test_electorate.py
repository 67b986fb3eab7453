import numpy as np
import pytest
from support.electorates import voters

from assembly.aggregation.electorate import Electorate, hard, stratum_shares, verdict
from plenary.errors import DataError

NAN = float("nan")
PAIR = np.array([[0, 1]])


def test_weak_ranking_keeps_ties_and_strict_order_breaks_them_by_index() -> None:
    found = verdict(np.array([]), np.array([0.5, 0.8, 0.5, NAN, 0.1]))
    np.testing.assert_array_equal(found.ranks, [2, 1, 2, 0, 4])
    np.testing.assert_array_equal(found.order, [1, 0, 2, 4])


def test_sums_in_another_order_are_still_tied() -> None:
    found = verdict(np.array([]), np.array([0.3, 0.1 + 0.2, 0.1]))
    np.testing.assert_array_equal(found.ranks, [1, 1, 3])
    np.testing.assert_array_equal(found.order, [0, 1, 2])


def test_cast_votes_keep_even_and_absent_apart() -> None:
    np.testing.assert_array_equal(hard(np.array([0.9, 0.5, 0.2, NAN])), [1, 0.5, 0, NAN])


def test_stratum_shares_by_hand() -> None:
    """Weights 1 and 3 on shares 1 and 0: share 1/4, Kish's n = 16 / 10."""
    electorate = voters(
        [[1.0], [0.0], [1.0], [NAN]], [1, 3, 2, 9], strata=[0, 0, 1, 1], strata_shares=[0.5, 0.5]
    )
    found = stratum_shares(electorate, electorate.strata, 3)
    np.testing.assert_allclose(found.p[:, 0], [0.25, 1.0, NAN])
    np.testing.assert_allclose(found.n[:, 0], [1.6, 1.0, 0.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.ones(3)}, r"\(3, 2, 1\)"),
        ({"weights": np.array([1.0, -1.0])}, r"lowest weight .*-1"),
        ({"weights": np.array([1.0, NAN])}, "finite weights"),
        ({"pairs": np.array([[0, 2]])}, "outcome 2"),
        ({"strata": np.array([0, 1])}, "stratum 1"),
        ({"strata_shares": np.array([0.4])}, "sum to 1"),
        ({"shares": np.array([[1.2], [NAN]])}, "1.2"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, message) -> None:
    plain = {
        "shares": np.array([[1.0], [NAN]]), "pairs": PAIR, "weights": np.ones(2),
        "outcomes": 2, "strata": np.zeros(2, dtype=np.int64), "strata_shares": np.ones(1),
    }  # fmt: skip
    Electorate(**plain)
    with pytest.raises(DataError, match=message):
        Electorate(**plain | change)
