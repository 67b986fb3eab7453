"""Strata fitted together recover planted utilities better than pooled or separate fits."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr
from support.electorates import all_pairs, planted, rmse, standardised

import assembly.aggregation.multilevel as multilevel
from assembly.aggregation.electorate import Electorate
from assembly.aggregation.multilevel import fit_strata
from assembly.aggregation.rules import multilevel_thurstonian, pooled_thurstonian
from plenary.errors import ConvergenceError, DataError

NAN = float("nan")


def separate(electorate: Electorate) -> np.ndarray:
    """Utilities [G, K] from a pooled fit to each stratum by itself, 0 where it is silent."""
    found = []
    for stratum in range(len(electorate.strata_shares)):
        of = electorate.strata == stratum
        alone = Electorate.unstratified(
            electorate.shares[of], electorate.pairs, electorate.weights[of], electorate.outcomes
        )
        found.append(np.nan_to_num(pooled_thurstonian(alone).scores))
    return np.array(found)


@pytest.mark.slow
def test_recovery_beats_pooled_and_separate_fits_under_unequal_sampling() -> None:
    """Mean over four worlds; docs/references.md, fitting: Kendall .834 to .808, .72 to .65."""
    errors = []
    for seed in range(4):
        world = planted(np.random.default_rng(seed), outcomes=40)
        truth, electorate = standardised(world.population), world.electorate
        fitted, alone = fit_strata(electorate), separate(electorate)
        errors.append(
            [
                rmse(standardised(fitted.mean), truth),
                rmse(pooled_thurstonian(electorate).scores, truth),
                rmse(standardised(electorate.strata_shares @ alone), truth),
                rmse(standardised(fitted.utilities), standardised(world.strata)),
                rmse(alone, standardised(world.strata)),
            ]
        )
    together, pooled, apart, strata_together, strata_apart = np.mean(errors, axis=0)
    assert together < 0.95 * pooled
    assert together < 0.95 * apart
    assert strata_together < 0.93 * strata_apart


def test_pairs_never_voted_on_are_predicted_better_than_pooled() -> None:
    errors = []
    for seed in range(3):
        world = planted(np.random.default_rng(seed), outcomes=40, pairs=700, silent=350)
        unvoted, electorate = slice(350, None), world.electorate
        assert np.isnan(electorate.shares[:, unvoted]).all()
        truth = world.share(electorate.pairs)[unvoted]
        errors.append(
            [
                rmse(rule(electorate).p[unvoted], truth)
                for rule in (multilevel_thurstonian, pooled_thurstonian)
            ]
        )
    fitted, pooled = np.mean(errors, axis=0)
    assert fitted < 0.95 * pooled
    assert fitted < 0.06


@pytest.mark.parametrize(("apart", "low", "high"), [(0.0, 0.0, 0.2), (0.6, 0.4, 0.9)])
def test_how_far_strata_are_apart_is_estimated(apart, low, high) -> None:
    """In probits of a citizen's choice against another's: 0.6 / sqrt(.5) at most."""
    world = planted(np.random.default_rng(1), outcomes=20, votes=100, apart=apart)
    assert low < fit_strata(world.electorate).tau_strata < high


def test_lapses_are_estimated() -> None:
    world = planted(np.random.default_rng(2), outcomes=12, votes=60, strata=3)
    rng, shares = np.random.default_rng(3), world.electorate.shares
    at_random = np.where(np.isnan(shares), NAN, rng.integers(0, 2, shares.shape))
    spoiled = np.where(rng.uniform(size=shares.shape) < 0.2, at_random, shares)
    assert fit_strata(world.electorate).lapse < 0.03
    assert 0.1 < fit_strata(replace(world.electorate, shares=spoiled)).lapse < 0.3


def test_probabilities_are_the_mean_of_the_strata() -> None:
    world = planted(np.random.default_rng(3), outcomes=6, strata=2, votes=10, pairs=15)
    fitted, pairs = fit_strata(world.electorate), all_pairs(6)
    lead = fitted.utilities[1, 0] - fitted.utilities[1, 1]
    expected = fitted.lapse / 2 + (1 - fitted.lapse) * ndtr(lead)
    strata = fitted.strata_probability(pairs)
    assert strata[1, 0] == pytest.approx(expected)
    np.testing.assert_allclose(fitted.probability(pairs), world.electorate.strata_shares @ strata)


def test_a_stratum_without_citizens_gets_what_all_have_in_common() -> None:
    world = planted(np.random.default_rng(4), outcomes=10, strata=3, votes=30).electorate
    share = np.append(world.strata_shares * 0.9, 0.1)
    fitted = fit_strata(replace(world, strata_shares=share))
    known = fit_strata(world)
    np.testing.assert_allclose(fitted.utilities[:3], known.utilities, atol=0.05)
    gap = fitted.utilities[3] - fitted.utilities[:3].mean(axis=0)
    assert np.abs(gap).max() < 0.5
    assert np.isfinite(gap).all()


def test_many_outcomes_by_conjugate_gradients_as_exactly(monkeypatch) -> None:
    electorate = planted(np.random.default_rng(6), outcomes=40, strata=4).electorate
    exact = fit_strata(electorate)
    monkeypatch.setattr(multilevel, "DENSE", 10)
    iterated = fit_strata(electorate)
    assert iterated.tau_strata == pytest.approx(exact.tau_strata, rel=0.1)
    assert np.abs(iterated.utilities - exact.utilities).max() < 0.1


def test_priors_that_do_not_settle_are_an_error(monkeypatch) -> None:
    monkeypatch.setattr(multilevel, "ROUNDS", 2)
    with pytest.raises(ConvergenceError, match="after 2 rounds"):
        fit_strata(planted(np.random.default_rng(0), outcomes=8, votes=20).electorate)


@pytest.mark.parametrize("rule", [multilevel_thurstonian, pooled_thurstonian])
def test_no_ballot_is_an_error(rule) -> None:
    electorate = planted(np.random.default_rng(0), outcomes=5, votes=0, pairs=10).electorate
    with pytest.raises(DataError, match="no valid ballot on any of 10 pairs"):
        rule(electorate)


@pytest.mark.parametrize("rule", [multilevel_thurstonian, pooled_thurstonian])
def test_outcomes_that_the_votes_do_not_join_are_not_compared(rule) -> None:
    """Votes join 0, 1, 2 and apart from them 3, 4: nothing is said across, or on the smaller."""
    pairs = np.array([[0, 1], [1, 2], [3, 4], [0, 2], [0, 3]])
    shares = np.tile([0.8, 0.7, 0.6, NAN, NAN], (10, 1))
    found = rule(Electorate.unstratified(shares, pairs, np.ones(10), 5))
    assert np.isfinite(found.p[[0, 1, 3]]).all()
    assert np.isnan(found.p[[2, 4]]).all()
    np.testing.assert_array_equal(found.ranks, [1, 2, 3, 0, 0])
    np.testing.assert_array_equal(found.order, [0, 1, 2])
