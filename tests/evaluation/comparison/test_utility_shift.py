"""Re-asking noise, sharpening and slot preference move no outcome; planted shifts are found."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from evaluation.comparison.compare import ComparisonSettings
from evaluation.comparison.utility_shift import (
    UtilityShift,
    anchor_places,
    null_distribution,
    on_scale,
    utility_shift,
)
from evaluation.elicitation.design import balanced_pairs
from evaluation.utility.thurstonian import fit
from plenary.errors import ConfigError, DataError

K, PAIRS, ANSWERS = 100, 1000, 10
SETTINGS = ComparisonSettings()


def _ask(world, pairs, rng):
    return fit(world.answers(pairs, rng, ANSWERS), len(world.mu))


def _retest(planted, seed, k, pairs, change):
    rng = np.random.default_rng(seed)
    world = planted(k, rng, bias=0.1, lapse=0.01)
    asked = balanced_pairs(k, pairs, rng)
    before, again = (_ask(world, asked, rng) for _ in range(2))
    return utility_shift(
        before, _ask(change(world), asked, rng), before, SETTINGS, retest=[(before, again)]
    )


def _sharper(factor):
    return lambda world: replace(world, sigma=world.sigma / factor)


@pytest.mark.exhaustive
@pytest.mark.parametrize("factor", [1.0, 2.0, 0.5])
def test_the_same_model_asked_twice_moves_no_outcome_in_95_of_100_seeds(planted, factor):
    clean = []
    for seed in range(100):
        result = _retest(planted, seed, 60, 400, _sharper(factor))
        clean.append(not result.moved.any())
        assert result.anchored > 0.75
    assert np.mean(clean) >= 0.95


@pytest.mark.parametrize("factor", [1.0, 2.0, 0.5])
def test_a_model_that_only_sharpens_moves_nothing_and_says_so(planted, factor):
    ratios = []
    for seed in range(8):
        result = _retest(planted, 1000 + seed, 60, 400, _sharper(factor))
        assert not result.moved.any()
        ratios.append(result.spread_ratio)
    assert np.mean(ratios) == pytest.approx(factor, rel=0.15)


def test_a_model_that_only_favours_a_slot_moves_nothing_and_says_so(planted):
    result = _retest(planted, 7, 60, 400, lambda world: replace(world, bias=0.6))
    assert not result.moved.any()
    assert result.order_bias_after > result.order_bias_before + 0.7
    assert result.spread_ratio == pytest.approx(1, rel=0.15)


def _moved(planted, seed, count, size=0.8):
    rng = np.random.default_rng(seed)
    world = planted(K, rng)
    chosen = np.isin(np.arange(K), rng.choice(K, count, replace=False))
    pairs = balanced_pairs(K, PAIRS, rng)
    before, again = (_ask(world, pairs, rng) for _ in range(2))
    after = _ask(replace(world, mu=world.mu + size * chosen), pairs, rng)
    return before, again, after, chosen


@pytest.mark.slow
def test_a_planted_shift_is_found_with_few_false_discoveries(planted):
    power, false = [], []
    for seed in range(12):
        before, again, after, truth = _moved(planted, seed, 20)
        result = utility_shift(before, after, after, SETTINGS, retest=[(before, again)])
        power.append(result.moved[truth].mean())
        false.append((result.moved & ~truth).sum() / max(1, result.moved.sum()))
        assert result.correlation_after == pytest.approx(1)
        assert 0.7 < result.inflation < 1.4
        assert (np.abs(result.shift)[result.moved] > result.threshold[result.moved]).all()
    assert np.mean(power) >= 0.85
    assert np.mean(false) <= 0.12


def test_anchors_named_in_advance_keep_the_scale_when_most_outcomes_move(planted):
    before, again, after, truth = _moved(planted, 3, 75)
    free = utility_shift(before, after, after, SETTINGS, retest=[(before, again)])
    anchors = np.flatnonzero(~truth)[:15]
    held = utility_shift(before, after, after, SETTINGS, retest=[(before, again)], anchors=anchors)
    assert free.moved[~truth].mean() > 0.3
    assert held.scale_holds
    assert held.moved[truth].mean() > 0.7
    assert held.moved[~truth].mean() < 0.1
    assert held.shift[truth].mean() / before.mu.std() == pytest.approx(0.8, abs=0.25)


def test_anchors_are_named_by_id():
    settings = ComparisonSettings(anchors=("b", "d", "x"))
    assert anchor_places(settings, ["d", "a", "b"], ["a", "b", "d", "x"]).tolist() == [0, 2]
    assert anchor_places(SETTINGS, ["a"], ["a"]) is None
    with pytest.raises(ConfigError, match="names 'x', which is not among the 2"):
        anchor_places(settings, ["b"], ["b", "d"])


def test_when_most_outcomes_move_apart_no_row_is_to_be_trusted_and_it_says_so(planted):
    rng = np.random.default_rng(5)
    world, pairs = planted(K, rng), balanced_pairs(K, PAIRS, rng)
    stirred = replace(world, mu=np.where(np.arange(K) < 80, rng.permutation(world.mu), world.mu))
    before, again, after = (_ask(w, pairs, rng) for w in (world, world, stirred))
    assert utility_shift(before, again, before, SETTINGS, retest=[(before, again)]).scale_holds
    assert not utility_shift(before, after, before, SETTINGS, retest=[(before, again)]).scale_holds


def test_noise_that_the_errors_do_not_know_is_learnt_from_the_test_retest(planted):
    rng = np.random.default_rng(0)
    world = planted(60, rng)
    pairs = balanced_pairs(60, 400, rng)
    before, again = (_ask(world, pairs, rng) for _ in range(2))
    proud = [replace(f, sd=f.sd / 3) for f in (before, again, _ask(world, pairs, rng))]
    with_retest = utility_shift(
        proud[0], proud[2], proud[0], SETTINGS, retest=[(proud[0], proud[1])]
    )
    assert utility_shift(proud[0], proud[2], proud[0], SETTINGS).moved.any()
    assert not with_retest.moved.any()
    assert with_retest.inflation > 2


def test_the_null_bound_is_the_quantile_of_the_largest_of_k_shifts(planted):
    rng = np.random.default_rng(1)
    world = planted(40, rng)
    pairs = balanced_pairs(40, 200, rng)
    before, again = (_ask(world, pairs, rng) for _ in range(2))
    null = null_distribution([(before, again)], None, 0.95)
    draws = null.inflation * np.abs(rng.standard_normal((20000, 40))).max(axis=1)
    assert null.largest == pytest.approx(np.quantile(draws, 0.95), rel=0.02)
    same = null_distribution([(before, before)], None, 0.95)
    assert same.inflation == pytest.approx(0, abs=1e-6)


def test_laying_a_fit_on_a_stretched_copy_returns_it(planted):
    rng = np.random.default_rng(2)
    before = _ask(planted(30, rng), balanced_pairs(30, 150, rng), rng)
    stretched = replace(before, mu=1.7 * before.mu + 0.4, sd=1.7 * before.sd)
    placed = on_scale(before, stretched)
    assert placed.values == pytest.approx(before.mu, abs=1e-6)
    assert placed.sd == pytest.approx(before.sd)
    assert placed.slope == pytest.approx(1.7)


def test_a_shift_comes_back_from_disk(planted, tmp_path):
    before, again, after, _ = _moved(planted, 0, 20)
    result = utility_shift(before, after, after, SETTINGS, retest=[(before, again)])
    result.write(tmp_path / "shift.parquet")
    loaded = UtilityShift.read(tmp_path / "shift.parquet")
    for name in UtilityShift.__slots__:
        assert np.array_equal(getattr(loaded, name), getattr(result, name), equal_nan=True), name
    small = fit(
        planted(4, np.random.default_rng(0)).answers(
            np.array([[0, 1], [1, 2], [2, 3]]), np.random.default_rng(0), 5
        ),
        4,
    )
    with pytest.raises(DataError, match=r"\[100, 100, 4\]"):
        utility_shift(before, after, small, SETTINGS)
    with pytest.raises(DataError, match="2 anchors"):
        utility_shift(before, after, after, SETTINGS, anchors=np.array([0, 1]))
    with pytest.raises(DataError, match="do not differ"):
        utility_shift(before, replace(after, mu=np.zeros(K)), after, SETTINGS)


def test_answer_mass_is_a_column_of_its_own(planted):
    before, _, after, _ = _moved(planted, 0, 20)
    rng = np.random.default_rng(0)
    cells = planted(K, rng).answers(balanced_pairs(K, PAIRS, rng), rng, None)
    shy = replace(cells, mass=np.where((cells.first == 3) | (cells.second == 3), 0.25, 1.0))
    plain, asked = (
        utility_shift(before, after, after, SETTINGS, asked=asked) for asked in (None, (cells, shy))
    )
    assert np.array_equal(plain.shift, asked.shift)
    assert np.isnan(plain.mass_after).all()
    assert asked.mass_before == pytest.approx(np.ones(K))
    assert asked.mass_after[3] == pytest.approx(0.25)
    expected = np.mean([
        mass for i, j, mass in zip(shy.first, shy.second, shy.mass, strict=True) if 7 in (i, j)
    ])  # fmt: skip
    assert asked.mass_after[7] == pytest.approx(expected)


def _order_table(planted, bias):
    """One row of the table: MAE of p by the averaged and by the explicit fit, discordance, b."""
    rng = np.random.default_rng(int(bias) + 10)
    world = planted(80, rng, sigma=0.5, spread=0.0, bias=bias / np.sqrt(2))
    pairs = balanced_pairs(80, 1200, rng)
    cells = world.answers(pairs, rng, 10)
    share = (cells.wins / cells.trials).reshape(-1, 2)
    discordant = np.mean((share[:, 0] > 0.5) == (share[:, 1] > 0.5))
    wins = np.repeat((share[:, 0] + 1 - share[:, 1]) * 5, 2)
    averaged = replace(cells, wins=np.where(np.arange(len(wins)) % 2, 10 - wins, wins))
    i, j = np.triu_indices(80, 1)
    truth = ndtr((world.mu[i] - world.mu[j]) / np.hypot(world.sigma[i], world.sigma[j]))
    errors = []
    for data in (averaged, cells):
        result = fit(data, 80)
        z = (result.mu[i] - result.mu[j]) / np.sqrt(
            np.exp(2 * result.log_sigma[i]) + np.exp(2 * result.log_sigma[j])
        )
        errors.append(np.abs(ndtr(z) - truth).mean())
    return (*errors, discordant, result.order_bias_probit)


def test_order_bias_table_of_the_paper_notes(planted):
    rows = [_order_table(planted, bias) for bias in (0.0, 1.0, 2.0, 3.0)]
    averaged, explicit, discordant, found = np.array(rows).T
    assert found == pytest.approx([0, 1, 2, 3], abs=0.15)
    assert (explicit < [0.03, 0.03, 0.035, 0.06]).all()
    assert (np.diff(averaged) > 0.02).all()
    assert averaged[2] > 0.1
    assert averaged[3] > 0.18
    assert discordant == pytest.approx([0.09, 0.38, 0.69, 0.88], abs=0.12)
