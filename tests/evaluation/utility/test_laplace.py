"""Probed standard errors agree with inverted information, normalisation with brute force."""

import numpy as np

from evaluation.elicitation.design import balanced_pairs
from evaluation.utility.fisher import FisherPattern, Information
from evaluation.utility.laplace import exact_errors, mean_variance, probed_errors, standardise


def _information(k, degree, seed=0):
    rng = np.random.default_rng(seed)
    pairs = balanced_pairs(k, k * degree // 2, rng)
    first, second = np.concatenate([pairs, pairs[:, ::-1]]).T
    n = len(first)
    z = rng.normal(0, 1.0, n)
    on_z, by_lapse = rng.uniform(1, 9, n), 0.05 * rng.standard_normal(n)
    half, one = np.full(n // 2, 0.5), np.ones(n // 2)
    said = Information(z, on_z, on_z * by_lapse, float(on_z @ by_lapse**2), one, half, half)
    precision = np.repeat([1 / 5.0, 1 / 0.16, 0.25, 1.0], [k, k, 1, 1])
    return FisherPattern(first, second, k).fisher(said, precision), rng.standard_normal(k)


def test_the_gauge_written_out_equals_the_delta_method_by_matrices():
    rng = np.random.default_rng(1)
    mu, root = rng.standard_normal(9), rng.standard_normal((9, 9))
    normalisation = standardise(mu, np.arange(9) > 2)
    covariance = root @ root.T
    fast = normalisation.diagonal(
        np.diag(covariance),
        covariance @ normalisation.inside,
        covariance @ (normalisation.values * normalisation.inside),
    )
    assert np.allclose(np.sqrt(fast), normalisation.errors(covariance))
    x, y = rng.standard_normal((2, 9))
    assert np.isclose(normalisation.transpose(x) @ y, x @ normalisation.forward(y))


def test_probes_are_close_to_exact_outcome_by_outcome():
    for degree, tolerance in ((20, 0.03), (6, 0.12)):
        fisher, mu = _information(260, degree)
        central = (mu > np.quantile(mu, 0.1)) & (mu < np.quantile(mu, 0.9))
        for members in (np.ones(260, dtype=bool), central):
            normalisation = standardise(mu, members)
            exact, probed = (
                exact_errors(fisher, normalisation),
                probed_errors(fisher, normalisation),
            )
            ratio = probed.utilities / exact.utilities
            assert np.sqrt(np.mean((ratio - 1) ** 2)) < tolerance, (degree, members.sum())
            assert abs(np.mean(ratio) - 1) < tolerance / 3
            assert abs(probed.order_bias / exact.order_bias - 1) < 1e-3


def test_mean_variance_by_probes():
    fisher, _ = _information(300, 10)
    exact, probed = mean_variance(fisher, True), mean_variance(fisher, False)
    assert abs(probed.log_sigma / exact.log_sigma - 1) < 0.08
