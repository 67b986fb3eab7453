"""Planted truth is recovered with errors that cover it, whatever the labels and the order shown."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from evaluation.elicitation.comparison_graph import among
from evaluation.elicitation.design import balanced_pairs, random_regular_pairs
from evaluation.elicitation.elicit import both_orders
from evaluation.utility.laplace import standardise
from evaluation.utility.thurstonian import FitSettings, UtilityFit, fit
from plenary.errors import DataError
from plenary.preferences import ComparisonCounts


@pytest.mark.parametrize(("degree", "floor"), [(3, 0.95), (6, 0.99)])
def test_recovery_from_exact_probabilities(planted, degree, floor):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        world = planted(100, rng)
        result = fit(world.answers(random_regular_pairs(100, degree, rng), rng, None), 100)
        assert result.converged
        assert spearmanr(result.mu, world.mu).statistic >= floor


@pytest.mark.parametrize(
    ("name", "count", "rest"),
    [
        ("heterogeneous", 10, {}),
        ("one answer", 1, {}),
        ("lapses and order bias", 10, {"lapse": 0.05, "bias": 0.2}),
        ("pair noise", 10, {"pair_noise": 0.25}),
        ("pair noise, exact", None, {"pair_noise": 0.25}),
    ],
)
def test_ninety_per_cent_intervals_cover(planted, name, count, rest):
    covered = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        world = planted(60, rng, **rest)
        result = fit(world.answers(balanced_pairs(60, 700, rng), rng, count), 60)
        assert result.converged
        covered.append(np.abs(result.mu - world.centred) < 1.645 * result.sd)
    assert 0.85 <= np.mean(covered) <= 0.95, name


@pytest.mark.exhaustive
@pytest.mark.parametrize("pair_noise", [0.0, 0.25])
@pytest.mark.parametrize("shape", ["exponential", "t with 3 degrees"])
def test_intervals_cover_utilities_with_long_tails(planted, shape, pair_noise):
    """A normal prior and a scale set by the extremes covered a half of these."""
    covered = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        mu = rng.exponential(size=150) if shape == "exponential" else rng.standard_t(3, 150)
        world = planted(150, rng, pair_noise=pair_noise)
        world = replace(world, mu=(mu - mu.mean()) / mu.std())
        count = None if pair_noise else 10
        result = fit(world.answers(balanced_pairs(150, 2000, rng), rng, count), 150)
        best = np.argsort(-world.mu)
        covered.append((np.abs(result.mu - world.centred) < 1.645 * result.sd)[best])
    assert 0.86 <= np.mean(covered) <= 0.95
    assert np.mean(np.stack(covered)[:, :15]) > 0.75


@pytest.mark.parametrize("bias", [0.0, 1.0, 2.0, 3.0])
def test_order_bias_on_the_probit_scale_is_recovered(planted, bias):
    rng = np.random.default_rng(int(bias))
    world = planted(80, rng, sigma=0.5, spread=0.0, bias=bias / np.sqrt(2))
    result = fit(world.answers(balanced_pairs(80, 1000, rng), rng, 10), 80)
    assert result.order_bias_probit == pytest.approx(bias, abs=0.15)
    assert spearmanr(result.mu, world.mu).statistic > 0.97


@pytest.mark.parametrize("lapse", [0.02, 0.1])
def test_lapse_is_recovered(planted, lapse):
    found = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        world = planted(100, rng, lapse=lapse)
        found.append(fit(world.answers(balanced_pairs(100, 1300, rng), rng, 10), 100).lapse)
    assert np.mean(found) == pytest.approx(lapse, rel=0.25)


def test_pair_noise_is_found_and_its_absence_too(planted):
    rng = np.random.default_rng(1)
    pairs = balanced_pairs(80, 800, rng)
    assert fit(planted(80, rng).answers(pairs, rng, 10), 80).intraclass < 0.01
    assert fit(planted(80, rng, pair_noise=0.3).answers(pairs, rng, 10), 80).intraclass > 0.04


def test_probability_predicts_unseen_pairs(planted):
    rng = np.random.default_rng(0)
    world = planted(60, rng, bias=0.15)
    result = fit(world.answers(balanced_pairs(60, 600, rng), rng, 10), 60)
    i, j = np.triu_indices(60, 1)
    shown = np.stack([i, j], axis=1)
    assert np.abs(result.shown_first(i, j) - world.p_first(shown)).mean() < 0.03
    assert np.allclose(result.probability(i, j) + result.probability(j, i), 1)


def _fitted(planted, seed=0, **rest):
    rng = np.random.default_rng(seed)
    world = planted(30, rng, **rest)
    cells = world.answers(balanced_pairs(30, 200, rng), rng, 5)
    return cells, fit(cells, 30)


def test_relabelling_outcomes_relabels_the_fit(planted):
    cells, result = _fitted(planted, bias=0.1)
    rename = np.random.default_rng(1).permutation(30)
    again = fit(replace(cells, first=rename[cells.first], second=rename[cells.second]), 30)
    assert np.allclose(again.mu[rename], result.mu, atol=2e-3)
    assert np.allclose(again.sd[rename], result.sd, atol=2e-3)
    assert again.log_likelihood == pytest.approx(result.log_likelihood, abs=0.05)


def test_swapping_the_sides_mirrors_only_the_order_bias(planted):
    cells, result = _fitted(planted, bias=0.1)
    swapped = replace(cells, first=cells.second, second=cells.first, wins=cells.trials - cells.wins)
    again = fit(swapped, 30)
    assert np.allclose(again.mu, result.mu, atol=2e-3)
    assert again.order_bias == pytest.approx(-result.order_bias, abs=2e-3)


@pytest.mark.parametrize(("trim", "cut"), [(0.8, 3), (1.0, 0)])
def test_gauge_is_mean_zero_sd_one_over_the_central_outcomes(planted, trim, cut):
    cells, _ = _fitted(planted)
    result = fit(cells, 30, FitSettings(trim=trim))
    inside = np.argsort(result.mu)[cut : 30 - cut]
    assert result.mu[inside].mean() == pytest.approx(0, abs=1e-12)
    assert result.mu[inside].std() == pytest.approx(1)


def test_standard_errors_are_the_delta_method(planted):
    rng = np.random.default_rng(0)
    mu, root = rng.standard_normal(6), 0.01 * rng.standard_normal((6, 6))
    members = np.array([1, 1, 1, 1, 0, 0], dtype=bool)
    draws = mu + rng.standard_normal((20000, 6)) @ root.T
    inside = draws[:, members]
    scaled = (draws - inside.mean(1, keepdims=True)) / inside.std(1, keepdims=True)
    assert np.allclose(standardise(mu, members).errors(root @ root.T), scaled.std(0), rtol=0.05)


def test_soft_counts_equal_sampled_counts_in_expectation(planted):
    rng = np.random.default_rng(0)
    world = planted(40, rng)
    pairs = balanced_pairs(40, 300, rng)
    exact = world.answers(pairs, rng, None)
    soft = replace(exact, wins=exact.wins * 50, trials=exact.trials * 50, mass=exact.mass * np.nan)
    by_count, by_weight = fit(soft, 40), fit(exact, 40, FitSettings(exact_weight=50))
    assert np.allclose(by_count.mu, by_weight.mu, atol=1e-6)
    assert np.abs(by_count.mu - world.centred).max() < 0.2


def test_invalid_answers_carry_nothing(planted):
    cells, result = _fitted(planted)
    zero = np.zeros(5)
    refused = ComparisonCounts(np.arange(5), np.arange(5) + 9, zero, zero, zero + 3, zero + np.nan)
    assert np.array_equal(fit(ComparisonCounts.join([cells, refused]), 30).mu, result.mu)


def test_separation_stays_finite_and_is_reported():
    shown = both_orders(np.array([[i, j] for i in range(8) for j in range(i)]))
    wins = (shown[:, 0] > shown[:, 1]) * 10.0
    zero = np.zeros(len(wins))
    result = fit(
        ComparisonCounts(shown[:, 0], shown[:, 1], wins, zero + 10, zero, zero + np.nan), 8
    )
    assert result.converged
    assert np.isfinite(result.mu).all()
    assert (np.diff(result.mu) > 0).all()
    assert result.separated.sum() == 7


def test_nothing_is_separated_in_a_noisy_world(planted):
    _, result = _fitted(planted, sigma=1.0)
    assert not result.separated.any()
    assert not result.component.any()


def test_disconnected_graph_is_an_error_that_quotes_it_or_a_flag(planted):
    rng = np.random.default_rng(0)
    pairs = np.concatenate([balanced_pairs(12, 40, rng), balanced_pairs(5, 8, rng) + 12])
    cells = planted(17, rng).answers(pairs, rng, 10)
    with pytest.raises(DataError, match=r"2 components of sizes \[12, 5\].*\[12, 13, 14, 15, 16\]"):
        fit(cells, 17)
    flagged = fit(cells, 17, FitSettings(disconnected="flag"))
    assert flagged.component.tolist() == [0] * 12 + [1] * 5
    part = fit(among(cells, np.arange(12, 17)), 5)
    assert spearmanr(part.mu, flagged.mu[12:]).statistic > 0.8


def test_case_v_and_bradley_terry_are_links_of_the_same_fit(planted):
    rng = np.random.default_rng(2)
    world = planted(40, rng, spread=0.0, bias=0.1)
    cells = world.answers(balanced_pairs(40, 400, rng), rng, 10)
    pairs = np.stack(np.triu_indices(40, 1), axis=1)
    for link in ("case_v", "bradley_terry"):
        result = fit(cells, 40, FitSettings(link=link))
        assert result.converged
        assert np.ptp(result.log_sigma) < 1e-3
        assert spearmanr(result.mu, world.mu).statistic > 0.98
        gap = np.abs(result.shown_first(*pairs.T) - world.p_first(pairs))
        assert gap.mean() < 0.03
        assert np.mean(np.abs(result.mu - world.centred) < 1.645 * result.sd) > 0.75


def test_nothing_to_fit_is_a_plain_error():
    none = ComparisonCounts(
        *(np.zeros(0, dtype=int) for _ in range(2)), *(np.zeros(0) for _ in range(4))
    )
    with pytest.raises(DataError, match="0 answered cells"):
        fit(none, 4)
    one = ComparisonCounts(
        np.array([0]), np.array([7]), np.ones(1), np.ones(1), np.zeros(1), np.ones(1)
    )
    with pytest.raises(DataError, match="outcome 7 of 4"):
        fit(one, 4)


def test_stopping_early_is_flagged(planted):
    rng = np.random.default_rng(0)
    cells = planted(20, rng).answers(balanced_pairs(20, 60, rng), rng, 5)
    assert not fit(cells, 20, FitSettings(max_iterations=1)).converged


def test_probed_errors_are_near_the_exact_ones(planted):
    cells, result = _fitted(planted)
    probed = fit(cells, 30, FitSettings(dense_limit=2))
    assert np.allclose(probed.mu, result.mu)
    assert np.allclose(probed.sd, result.sd, rtol=0.2)
    assert probed.order_bias_sd == pytest.approx(result.order_bias_sd, rel=1e-3)


def test_a_fit_comes_back_from_disk(planted, tmp_path):
    _, result = _fitted(planted)
    result.save(tmp_path / "fit")
    again = UtilityFit.load(tmp_path / "fit")
    for name in UtilityFit.__slots__:
        assert np.array_equal(getattr(again, name), getattr(result, name)), name
    (tmp_path / "fit.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="fit again"):
        UtilityFit.load(tmp_path / "fit")


def test_a_warm_start_ends_at_the_same_fit_in_fewer_steps(planted):
    rng = np.random.default_rng(11)
    world = planted(150, rng, bias=0.1)
    pairs = balanced_pairs(150, 1500, rng)
    cells = world.answers(pairs, rng, 10)
    early = fit(cells.select(np.arange(2400)), 150)
    cold, warm = fit(cells, 150), fit(cells, 150, start=early)
    assert warm.converged
    assert warm.iterations < cold.iterations
    assert (np.abs(warm.mu - cold.mu) < 0.4 * cold.sd).all()
    assert warm.log_sigma == pytest.approx(cold.log_sigma, abs=0.15)
    with pytest.raises(DataError, match="start of 150 outcomes for a fit of 151"):
        fit(cells, 151, FitSettings(disconnected="flag"), early)


def test_answers_that_are_all_even_give_equal_utilities_with_honest_errors():
    pairs = balanced_pairs(8, 16, np.random.default_rng(0))
    shown, zero = both_orders(pairs), np.zeros(32)
    for count, mass in ((10, np.nan), (1, 1.0)):
        cells = ComparisonCounts(*shown.T, zero + count / 2, zero + count, zero, zero + mass)
        result = fit(cells, 8)
        assert result.converged
        assert result.mu == pytest.approx(np.zeros(8), abs=1e-6)
        assert (result.sd > 0).all()
        assert np.isfinite(result.sd).all()
        assert result.probability(*pairs.T) == pytest.approx(np.full(16, 0.5), abs=1e-6)
