"""Value, gradient and Fisher product agree with brute force, far into the tails."""

import numpy as np
import pytest
from scipy.stats import logistic, norm

from evaluation.utility.likelihood import (
    DEGREES,
    LINKS,
    LikelihoodObjective,
    Observations,
    Prior,
    logistic_tails,
    normal_tails,
)

PRIOR = Prior(2.0, 0.4, 2.0, float(np.log(0.02)), 1.0)


def _objective(seed=0, k=7, n=60, link="thurstonian"):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, k, n)
    second = (first + rng.integers(1, k, n)) % k
    trials = rng.integers(1, 20, n).astype(float)
    return LikelihoodObjective(
        Observations(first, second, rng.uniform(0, trials), trials), k, PRIOR, LINKS[link]
    ), rng


@pytest.mark.parametrize("link", ["thurstonian", "bradley_terry"])
@pytest.mark.parametrize("scale", np.logspace(-3, 1.5, 10))
def test_gradient_against_finite_differences_at_ten_scales(scale, link):
    objective, rng = _objective(link=link)
    theta = objective.centre.copy()
    theta[:-1] += np.minimum(scale, 3.0) * rng.standard_normal(objective.size - 1)
    theta[:7] *= scale
    if not LINKS[link].own_spread:
        theta[7:14] = 0
    gradient = objective.at(theta).gradient
    free = objective.precision < 1e6
    for direction in np.eye(objective.size)[free]:
        step = 1e-5 * max(1.0, abs(theta @ direction))
        slope = (
            objective.value(theta + step * direction) - objective.value(theta - step * direction)
        ) / (2 * step)
        assert slope == pytest.approx(
            gradient @ direction, rel=2e-5, abs=2e-5 * np.abs(gradient[free]).max()
        )


def test_value_agrees_with_its_two_forms():
    objective, rng = _objective()
    theta = objective.centre.copy() + 0.3 * rng.standard_normal(objective.size)
    assert objective.at(theta).value == pytest.approx(objective.value(theta), rel=1e-14)
    assert objective.value(np.append(theta[:-1], 0.1)) == np.inf


def test_fisher_is_the_expected_hessian():
    objective, rng = _objective(4, k=4)
    theta = objective.centre.copy() + 0.4 * rng.standard_normal(objective.size)
    p = objective.at(theta).p_first
    answers = objective.answers
    expected = LikelihoodObjective(
        answers._replace(wins=answers.trials * p), objective.outcomes, PRIOR
    )
    hessian = np.empty((objective.size, objective.size))
    for column, direction in enumerate(np.eye(objective.size) * 1e-5):
        hessian[:, column] = (
            expected.at(theta + direction).gradient - expected.at(theta - direction).gradient
        ) / 2e-5
    # What is used for the prior of mu touches it from below: its curvature lies above the prior's.
    mu, reach = theta[:4], objective.reach
    hessian[range(4), range(4)] += 2 * (DEGREES + 1) * mu**2 / (reach + mu**2) ** 2
    assert np.allclose(hessian, objective.fisher(objective.at(theta)).dense(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("log_lapse", [-40.0, -4.0, -0.5])
@pytest.mark.parametrize(("tails", "law"), [(normal_tails, norm), (logistic_tails, logistic)])
def test_tails_match_the_plain_formula_where_it_is_exact(log_lapse, tails, law):
    size, lapse = np.linspace(0, 6, 41), np.exp(log_lapse)
    small = lapse / 2 + (1 - lapse) * law.sf(size)
    large = lapse / 2 + (1 - lapse) * law.cdf(size)
    tail, slope = tails(size, log_lapse), (1 - lapse) * law.pdf(size)
    assert np.allclose(tail.small, small, rtol=1e-10)
    assert np.allclose(tail.log_small, np.log(small), rtol=1e-10, atol=1e-12)
    assert np.allclose(tail.log_large, np.log(large), rtol=1e-10, atol=1e-12)
    assert np.allclose(tail.slope_small, slope / small, rtol=1e-9)
    assert np.allclose(tail.slope_large, slope / large, rtol=1e-9)
    assert np.allclose(tail.by_lapse, lapse * (0.5 - law.sf(size)), rtol=1e-9, atol=1e-25)


@pytest.mark.parametrize("tails", [normal_tails, logistic_tails])
def test_tails_stay_finite_and_unclamped_far_out(tails):
    sizes = np.array([0.0, 30.0, 40.0, 1e4])
    for log_lapse in (-1e6, -800.0, -4.0):
        assert np.isfinite(np.concatenate(tails(sizes, log_lapse))).all()


def test_far_tails_without_lapses_are_those_of_the_links():
    far = normal_tails(np.array([30.0, 60.0]), -1e6)
    assert np.allclose(far.log_small, norm.logcdf([-30.0, -60.0]), rtol=1e-12)
    assert np.allclose(far.slope_small, [30.0333, 60.0167], rtol=1e-5)
    lapsing = normal_tails(np.array([30.0, 60.0]), -4.0)
    assert np.allclose(lapsing.log_small, -4 - np.log(2), rtol=1e-12)
    assert np.allclose(lapsing.slope_small, 0, atol=1e-100)
