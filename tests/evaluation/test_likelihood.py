"""Value, gradient and Fisher product agree with brute force, far into the tails."""

import numpy as np
import pytest
from scipy.stats import norm

from evaluation.likelihood import Answers, Objective, Prior
from evaluation.links import LINKS, logistic_tails, tails

PRIOR = Prior(2.0, 0.4, 2.0, float(np.log(0.02)), 1.0)


def _objective(seed=0, k=7, n=60, link="thurstonian"):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, k, n)
    second = (first + rng.integers(1, k, n)) % k
    trials = rng.integers(1, 20, n).astype(float)
    return Objective(
        Answers(first, second, rng.uniform(0, trials), trials), k, PRIOR, LINKS[link]
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
    p = np.exp(tails(objective.latent(theta)[0], theta[-1]).log_first)
    answers = objective.answers
    expected = Objective(answers._replace(wins=answers.trials * p), objective.outcomes, PRIOR)
    hessian = np.empty((objective.size, objective.size))
    for column, direction in enumerate(np.eye(objective.size) * 1e-5):
        hessian[:, column] = (
            expected.at(theta + direction).gradient - expected.at(theta - direction).gradient
        ) / 2e-5
    assert np.allclose(hessian, objective.fisher(objective.at(theta)).dense(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("log_lapse", [-40.0, -4.0, -0.5])
def test_tails_match_the_plain_formula_where_it_is_exact(log_lapse):
    z, lapse = np.linspace(-6, 6, 41), np.exp(log_lapse)
    p = lapse / 2 + (1 - lapse) * norm.cdf(z)
    q = lapse / 2 + (1 - lapse) * norm.sf(z)
    tail = tails(z, log_lapse)
    slope = (1 - lapse) * norm.pdf(z)
    assert np.allclose(tail.log_first, np.log(p), rtol=1e-10, atol=1e-12)
    assert np.allclose(tail.log_second, np.log(q), rtol=1e-10, atol=1e-12)
    assert np.allclose(tail.up, slope / p, rtol=1e-9)
    assert np.allclose(tail.down, slope / q, rtol=1e-9)
    assert np.allclose(tail.by_lapse, lapse * (0.5 - norm.cdf(z)), rtol=1e-9, atol=1e-25)


def test_logistic_tails_match_the_plain_formula():
    z, lapse = np.linspace(-30, 30, 41), 0.03
    p = lapse / 2 + (1 - lapse) / (1 + np.exp(-z))
    tail = logistic_tails(z, np.log(lapse))
    slope = (1 - lapse) * np.exp(-z) / (1 + np.exp(-z)) ** 2
    assert np.allclose(np.exp(tail.log_first), p, rtol=1e-12)
    assert np.allclose(tail.log_second, np.log1p(-p), rtol=1e-9)
    assert np.allclose(tail.up, slope / p, rtol=1e-9)
    assert np.allclose(tail.down, slope / (1 - p), rtol=1e-9)


def test_tails_stay_finite_and_unclamped_far_out():
    tail = tails(np.array([-1e4, -40.0, 40.0, 1e4]), -800.0)
    assert np.isfinite(np.concatenate(tail)).all()
    far = tails(np.array([-30.0, -60.0]), -1e6)
    assert np.allclose(far.log_first, norm.logcdf([-30.0, -60.0]), rtol=1e-12)
    assert np.allclose(far.up, [30.0333, 60.0167], rtol=1e-5)
