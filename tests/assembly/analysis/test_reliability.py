import numpy as np
import pytest
from scipy.special import ndtr
from support.held import votes_from

from assembly.analysis.reliability import compare_panels, size_curve
from plenary.errors import ConfigError, DataError

SIZES = (5, 10, 20, 40, 80, 400)


def pairs_of(count, rng):
    return rng.permuted(np.tile(np.arange(60), (count, 1)), axis=1)[:, :2]


def drawn(rng, p, citizens, sd=0.15):
    """Citizens whose shares scatter about the population's p [P] with a known sd."""
    return p + rng.normal(0, sd, (citizens, len(p)))


@pytest.mark.parametrize("weighted", [False, True])
def test_curve_matches_its_closed_form(weighted) -> None:
    """Signal .05^2, noise .15^2 a citizen (times the weights' design effect)."""
    rng = np.random.default_rng(0)
    p = 0.5 + rng.normal(0, 0.05, 2000)
    weights = rng.uniform(0.2, 2.0, 80) if weighted else np.ones(80)
    effect = 80 * (weights**2).sum() / weights.sum() ** 2
    shares = drawn(rng, p, 80)
    found = size_curve(votes_from(shares[None]), 2000, weights, 0, SIZES, rng, draws=20)
    n, noise = np.array(SIZES), 0.15**2 * effect
    np.testing.assert_allclose(found.signal, 0.05**2, rtol=0.15)
    np.testing.assert_allclose(found.noise, noise, rtol=0.1)
    np.testing.assert_allclose(found.reliability, 0.05**2 / (0.05**2 + noise / n), atol=0.03)
    q = ndtr(np.abs(p - 0.5) / np.sqrt(noise / n[:, None]))
    np.testing.assert_allclose(found.with_everybody, q.mean(axis=1), atol=0.02)
    np.testing.assert_allclose(found.agreement, (q**2 + (1 - q) ** 2).mean(axis=1), atol=0.02)
    # Disjoint parts of the panel itself lie on the same curve, as far as they reach.
    np.testing.assert_allclose(found.halves_reliability[:4], found.reliability[:4], atol=0.03)
    np.testing.assert_allclose(found.halves_agreement[:4], found.agreement[:4], atol=0.03)
    assert np.isnan(found.halves_agreement[4:]).all()


def test_a_model_that_knows_the_population_agrees_more_than_another_panel() -> None:
    rng = np.random.default_rng(1)
    p = 0.5 + rng.normal(0, 0.08, 3000)
    panel = drawn(rng, p, 40)
    curve = size_curve(votes_from(panel[None]), 3000, np.ones(40), 0, [40], rng, draws=2)
    fresh = drawn(rng, p, 40).mean(axis=0)
    assert np.mean((fresh > 0.5) == (p > 0.5)) == pytest.approx(curve.with_everybody[0], abs=0.02)
    assert curve.agreement[0] < curve.with_everybody[0]


def test_dependence_at_tables_lowers_the_curve() -> None:
    rng = np.random.default_rng(2)
    p = 0.5 + rng.normal(0, 0.05, 800)
    tables = np.arange(60) // 6
    shares = p + rng.normal(0, 0.1, (10, 800))[tables] + rng.normal(0, 0.1, (60, 800))
    votes = votes_from(shares[None])
    alone = size_curve(votes, 800, np.ones(60), 0, [60], rng, draws=2)
    known = size_curve(votes, 800, np.ones(60), 0, [60], rng, clusters=tables, draws=2)
    true = 0.05**2 / (0.05**2 + 0.1**2 / 10 + 0.1**2 / 60)
    assert known.reliability[0] == pytest.approx(true, abs=0.06)
    assert alone.reliability[0] > known.reliability[0] + 0.05


def test_two_panels_are_compared_whichever_outcome_is_first() -> None:
    rng = np.random.default_rng(3)
    p = 0.5 + rng.normal(0, 0.1, 400)
    one, two = (drawn(rng, p, 30).mean(axis=0) for _ in range(2))
    found = compare_panels(one, two, pairs_of(400, rng), np.random.default_rng(0))
    assert found.reliability.value == pytest.approx(0.1**2 / (0.1**2 + 0.15**2 / 30), abs=0.03)
    assert found.difference.value == pytest.approx(0.15 * np.sqrt(2 / 30), rel=0.15)
    for measure in found:
        assert measure.low < measure.value < measure.high
    turned = rng.random(400) < 0.5
    swapped = [np.where(turned, 1 - panel, panel) for panel in (one, two)]
    again = compare_panels(*swapped, pairs_of(400, rng), np.random.default_rng(0))
    assert again.reliability.value == pytest.approx(found.reliability.value)
    with pytest.raises(DataError, match="voted on by both panels"):
        compare_panels(one, np.full(400, np.nan), pairs_of(400, rng), rng)


def test_one_table_tells_nothing_of_others() -> None:
    votes = votes_from(np.full((1, 4, 2), 0.7))
    with pytest.raises(ConfigError, match="seat more tables"):
        size_curve(
            votes, 2, np.ones(4), 0, [4], np.random.default_rng(0), clusters=np.zeros(4, dtype=int)
        )
