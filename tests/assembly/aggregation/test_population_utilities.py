"""The assembly's utilities: recovered, covered by their errors, blind to names and order."""

from dataclasses import replace

import numpy as np
import pytest
from support.electorates import all_pairs, planted, rmse

from assembly.aggregation.electorate import Electorate, stratum_shares
from assembly.aggregation.multilevel import fit_strata
from assembly.aggregation.population_utilities import mean_covariance, population_utilities
from evaluation.comparison.compare import target_cells
from evaluation.utility.laplace import standardise
from evaluation.utility.thurstonian import FitSettings, UtilityFit, central, fit
from plenary.errors import DataError
from plenary.preferences import Targets


def pooled(electorate: Electorate) -> UtilityFit:
    everybody = np.zeros(len(electorate.weights), dtype=np.int64)
    p, n = stratum_shares(electorate, everybody, 1)
    voted = n[0] > 0
    targets = Targets(electorate.pairs[voted], p[0][voted], n[0][voted])
    return fit(target_cells(targets), electorate.outcomes)


@pytest.mark.slow
def test_planted_utilities_are_recovered_and_covered() -> None:
    z, errors = [], []
    for seed in range(12):
        world = planted(np.random.default_rng(seed), outcomes=20, citizens=120, strata=4, votes=40)
        truth = standardise(world.population, central(world.population, 0.8)).values
        found, plain = population_utilities(world.electorate), pooled(world.electorate)
        z.append((found.mu - truth) / found.sd)
        errors.append([rmse(found.mu, truth), rmse(plain.mu, truth)])
    assert 0.8 < np.std(z) < 1.3
    assert 0.85 < np.mean(np.abs(z) < 1.96) <= 1
    together, alone = np.mean(errors, axis=0)
    assert together < 0.95 * alone


@pytest.mark.exhaustive
@pytest.mark.parametrize(("citizens", "degrees"), [(30, None), (60, 3.0)])
def test_intervals_cover_where_few_citizens_stand_for_a_stratum(citizens, degrees) -> None:
    """And where the tails of the utilities are long."""
    inside = []
    for seed in range(30):
        world = planted(
            np.random.default_rng(seed),
            outcomes=20,
            citizens=citizens,
            strata=6,
            degrees=degrees,
        )
        truth = standardise(world.population, central(world.population, 0.8)).values
        found = population_utilities(world.electorate)
        inside.append(np.abs(found.mu - truth) < 1.645 * found.sd)
    assert 0.87 < np.mean(inside) < 0.95


def test_pairs_never_voted_on_are_answered_for_the_population() -> None:
    """By one spread an outcome, nearly as well as by the strata themselves."""
    errors = []
    for seed in range(3):
        world = planted(np.random.default_rng(seed), outcomes=24, pairs=276, silent=130, strata=4)
        unvoted = world.electorate.pairs[-130:]
        truth = world.share(unvoted)
        by_fit = population_utilities(world.electorate).probability(*unvoted.T)
        by_strata = fit_strata(world.electorate).probability(unvoted)
        by_pooling = pooled(world.electorate).probability(*unvoted.T)
        errors.append([rmse(p, truth) for p in (by_fit, by_strata, by_pooling)])
    by_fit, by_strata, by_pooling = np.mean(errors, axis=0)
    assert by_fit < by_strata + 0.02
    assert by_fit < by_pooling


def test_one_stratum_agrees_with_the_pooled_fit() -> None:
    world = planted(np.random.default_rng(0), outcomes=16, citizens=100, strata=1, apart=0.0)
    found, plain = population_utilities(world.electorate), pooled(world.electorate)
    assert np.corrcoef(found.mu, plain.mu)[0, 1] > 0.995
    assert np.median(found.sd / plain.sd) == pytest.approx(1.0, abs=0.3)
    pairs = all_pairs(16)
    assert np.abs(found.probability(*pairs.T) - plain.probability(*pairs.T)).mean() < 0.03


def test_names_of_strata_outcomes_and_sides_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    held = planted(rng, outcomes=10, citizens=60, strata=3, votes=30).electorate
    strata, outcomes = rng.permutation(3), rng.permutation(10)
    flipped = rng.uniform(size=len(held.pairs)) < 0.5
    named = outcomes[held.pairs]
    other = Electorate(
        np.where(flipped, 1 - held.shares, held.shares),
        np.where(flipped[:, None], named[:, ::-1], named),
        7.0 * held.weights,
        10,
        strata[held.strata],
        held.strata_shares[np.argsort(strata)],
    )
    one, two = population_utilities(held), population_utilities(other)
    for name in ("mu", "sd", "log_sigma"):
        np.testing.assert_allclose(getattr(two, name)[outcomes], getattr(one, name), atol=2e-3)
    assert two.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-4)


def test_votes_that_hang_together_widen_the_errors() -> None:
    """Groups of ten that vote as one are worth a tenth of their citizens."""
    world = planted(np.random.default_rng(6), outcomes=8, citizens=20, strata=1, votes=28, apart=0)
    alone = world.electorate
    each = np.repeat(np.arange(20), 10)
    groups = replace(
        alone, shares=alone.shares[each], weights=np.ones(200), strata=np.zeros(200, dtype=int)
    )
    as_citizens = population_utilities(groups)
    as_groups = population_utilities(groups, clusters=each)
    assert np.median(as_groups.sd / as_citizens.sd) > 2
    assert as_citizens.mu == pytest.approx(as_groups.mu)
    fitted = fit_strata(groups)
    one_group = mean_covariance(groups, fitted, np.zeros(200, dtype=int))
    np.testing.assert_allclose(one_group, mean_covariance(groups, fitted))


def test_a_fit_like_any_other(tmp_path) -> None:
    world = planted(np.random.default_rng(7), outcomes=8, citizens=40, strata=2, votes=20)
    settings = FitSettings(link="bradley_terry", trim=1)
    found = population_utilities(world.electorate, settings)
    found.save(tmp_path / "fit")
    again = UtilityFit.load(tmp_path / "fit")
    np.testing.assert_array_equal(again.mu, found.mu)
    assert again.settings.link == "thurstonian"
    assert found.mu.mean() == pytest.approx(0)
    assert found.mu.std() == pytest.approx(1)
    one, other = np.array([0]), np.array([1])
    np.testing.assert_allclose(found.shown_first(one, other), found.probability(one, other))


def test_outcomes_that_votes_do_not_join_are_an_error() -> None:
    pairs = np.array([[0, 1], [2, 3]])
    held = Electorate.unstratified(np.full((5, 2), 0.7), pairs, np.ones(5), 4)
    with pytest.raises(DataError, match="2 of 4 outcomes"):
        population_utilities(held)
