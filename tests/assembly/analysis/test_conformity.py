import numpy as np
import pytest
from scipy.special import expit
from support.held import votes_from

from assembly.analysis.conformity import conformity
from assembly.analysis.movement import others_lean
from assembly.record.ballots import REFUSED
from plenary.errors import DataError, NotMeasured

CITIZENS, PAIRS = 24, 150
TABLES = np.arange(CITIZENS) // 6
ONES = np.ones(CITIZENS)


def crowd(rng, pull, noise=0.5):
    """Ballots with noise of their own before and after; `pull` [C] toward the others' lean."""
    common = rng.normal(0, 1, PAIRS)
    mind = common + rng.normal(0, 1, (CITIZENS, PAIRS))
    before = expit(mind + rng.normal(0, noise, mind.shape))
    side = np.sign(others_lean(before, ONES, TABLES))
    after = expit(mind + pull[:, None] * side + rng.normal(0, noise, mind.shape))
    return votes_from(np.stack([before, after]))


def test_planted_conformists_are_flagged_and_nobody_else() -> None:
    pull = np.zeros(CITIZENS)
    pull[[2, 9, 20]] = 0.8
    found = conformity(crowd(np.random.default_rng(0), pull), PAIRS, ONES, TABLES)
    assert set(np.flatnonzero(found.flagged)) >= {2, 9, 20}
    assert found.flagged.sum() <= 5
    assert found.conforms[[2, 9, 20]].min() > 0.4 > np.delete(found.conforms, [2, 9, 20]).max()


def test_noise_that_falls_back_to_the_mean_is_not_conformity() -> None:
    """Citizens share opinions with their table and answer with noise: no direction, few flags."""
    rng = np.random.default_rng(1)
    runs = [
        conformity(crowd(rng, np.zeros(CITIZENS), noise=1.0), PAIRS, ONES, TABLES)
        for _ in range(10)
    ]
    assert abs(np.mean([run.panel for run in runs])) < 0.02
    assert sum(run.flagged.sum() for run in runs) <= 5
    assert np.mean([run.toward_share for run in runs]) == pytest.approx(0.5, abs=0.02)


def test_contrarians_move_away_and_the_unmoved_have_no_index() -> None:
    pull = np.full(CITIZENS, -1.0)
    found = conformity(crowd(np.random.default_rng(2), pull, noise=0.0), PAIRS, ONES, TABLES)
    np.testing.assert_allclose(found.conforms, -1)
    assert found.panel == -1
    assert not found.flagged.any()
    still = conformity(
        crowd(np.random.default_rng(2), np.zeros(CITIZENS), noise=0.0), PAIRS, ONES, TABLES
    )
    assert np.isnan(still.conforms).all()
    assert not still.flagged.any()


def test_what_happens_without_discussion_is_taken_off() -> None:
    rng = np.random.default_rng(3)
    before = expit(rng.normal(0, 1, (CITIZENS, PAIRS)))
    drift = 0.02 * np.sign(others_lean(before, ONES, TABLES))
    votes = votes_from(np.stack([before, before + drift]))
    assert conformity(votes, PAIRS, ONES, TABLES).flagged.all()
    assert not conformity(votes, PAIRS, ONES, TABLES, expected=drift).flagged.any()


def test_conformists_stand_out_from_what_they_would_do_at_any_table() -> None:
    """Everybody drifts toward the common opinion; three go with their own table besides."""
    pull = np.zeros(CITIZENS)
    pull[[2, 9, 20]] = 0.8
    flagged, drifting = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        common = rng.normal(0, 1, PAIRS)
        mind = common + rng.normal(0, 1, (CITIZENS, PAIRS))
        before = expit(mind + rng.normal(0, 0.3, mind.shape))
        side = np.sign(others_lean(before, ONES, TABLES))
        after = expit(mind + pull[:, None] * side + 0.5 * np.sign(common))
        votes = votes_from(np.stack([before, after]))
        found = conformity(votes, PAIRS, ONES, TABLES, groups=TABLES)
        flagged.append(found.flagged)
        drifting.append(conformity(votes, PAIRS, ONES, TABLES).flagged.mean())
        assert found.panel > found.strangers > 0.2
    assert np.mean(drifting) > 0.9
    assert np.sum(flagged, axis=0)[[2, 9, 20]].min() >= 5
    assert np.delete(np.sum(flagged, axis=0), [2, 9, 20]).sum() <= 10


def test_tables_never_met_are_those_of_other_groups() -> None:
    """Tables 0 and 1 are one group, 2 and 3 the other; only the other group's majorities count."""
    before = np.repeat([0.9, 0.9, 0.9, 0.1], 2)[:, None]
    after = before.copy()
    after[0] = 0.95
    groups = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    votes = votes_from(np.stack([np.tile(before, 2), np.tile(after, 2)]))
    found = conformity(votes, 2, np.ones(8), np.arange(8) // 2, groups=groups)
    assert found.toward[0] == pytest.approx(0.05)
    assert found.excess[0] == pytest.approx(0.05)
    assert found.strangers == pytest.approx(0)


def test_refused_ballots_are_left_out() -> None:
    shares = np.full((2, 4, 2), 0.7)
    state = np.full((2, 2, 4, 2), REFUSED)
    with pytest.raises(DataError, match="invalid ballots"):
        conformity(votes_from(shares, state=state), 2, np.ones(4), np.zeros(4, dtype=int))


def test_tables_that_are_split_blame_no_ballot() -> None:
    votes = votes_from(np.full((2, 4, 1), 0.5))
    with pytest.raises(NotMeasured, match="evenly split"):
        conformity(votes, 1, np.ones(4), np.zeros(4, dtype=int))
