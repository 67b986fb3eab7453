import numpy as np
import pytest

from assembly.record.ballots import (
    ABSTAINED,
    FAILED,
    INVALID,
    REFUSED,
    STATES,
    VALID,
    VoteRow,
    Votes,
    citizen_shares,
    mark,
)
from plenary.errors import DataError
from plenary.models.base import Choice, no_choice

NAN = float("nan")


@pytest.mark.parametrize(
    ("choice", "state"),
    [
        (Choice((0.7, 0.3), 0.98, 1, 1), VALID),
        (Choice((0.7, 0.3), None, 5, 3), VALID),
        (Choice((0.4, 0.2, 0.4), 0.98, 1, 1), VALID),
        (Choice((0.3, 0.2, 0.5), 0.98, 1, 1), ABSTAINED),
        (Choice((0.3, 0.2, 0.5), 0.2, 1, 1), INVALID),
        (Choice((0.0, 0.0), 0.9, 1, 1), INVALID),
        (Choice((float("nan"), 1.0), 0.9, 1, 1), INVALID),
        (Choice((0.7, 0.3), 0.2, 1, 1), INVALID),
        (Choice((), None, 1, 0), INVALID),
        (no_choice(1, "invalid"), INVALID),
        (no_choice(1, "unreadable answer: 'C'"), INVALID),
        (no_choice(1, "refused"), REFUSED),
        (no_choice(1, "failed: timeout"), FAILED),
        (no_choice(1, "timeout"), FAILED),
    ],
)
def test_every_answer_has_a_state(choice: Choice, state: int) -> None:
    marked = mark(choice, min_mass=0.5)
    assert marked.state == state
    assert np.isnan(marked.share) == (state != VALID)


def test_mass_is_kept_when_it_makes_a_ballot_invalid() -> None:
    assert mark(Choice((0.7, 0.3), 0.2, 1, 1), 0.5).mass == 0.2


def ballots(*shares: tuple[float, float]) -> Votes:
    """One pair, one phase: (share in order 0, share in order 1) a citizen."""
    rows = [
        VoteRow(0, c, 0, order, share, INVALID if np.isnan(share) else VALID, 1.0)
        for c, both in enumerate(shares)
        for order, share in enumerate(both)
    ]
    return Votes.of(rows)


def test_shares_average_both_orders_toward_the_first_outcome() -> None:
    votes = ballots((0.9, 0.3), (0.6, NAN))
    np.testing.assert_allclose(citizen_shares(votes, 0, 2, 1), [[0.8], [np.nan]])
    assert votes.counted(0) == dict.fromkeys(STATES, 0) | {"valid": 3, "invalid": 1}


def test_missing_ballots_are_an_error_and_not_a_gap() -> None:
    with pytest.raises(DataError, match="2 of 6 ballots are missing; resume"):
        citizen_shares(ballots((0.9, 0.3), (0.6, 0.5)), 0, 3, 1)


def test_written_votes_read_back(tmp_path) -> None:
    votes = ballots((0.9, 0.3), (0.6, NAN))
    votes.write(tmp_path / "votes.parquet")
    again = Votes.read(tmp_path / "votes.parquet")
    for name in Votes.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again, name), getattr(votes, name))
    with pytest.raises(DataError, match="cannot read votes"):
        Votes.read(tmp_path / "none.parquet")


def test_no_votes_are_empty_columns() -> None:
    assert len(Votes.of([])) == 0
