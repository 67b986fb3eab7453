import numpy as np
from support.held import votes_from

from assembly.aggregation.consensus import linearised
from assembly.analysis.variance_components import RECORDED_SOURCES, error_sources

AT = {name: k for k, name in enumerate(RECORDED_SOURCES)}


def test_parts_add_up_to_the_clustered_variance() -> None:
    rng = np.random.default_rng(0)
    shares = rng.uniform(0.1, 0.9, (2, 24, 30))
    weights, tables = rng.uniform(0.5, 2, 24), np.arange(24) // 4
    shares[1] = (shares[1] + shares[1, (tables * 4)]) / 2
    found = error_sources(votes_from(shares), 30, weights, 1, clusters=tables)
    p = np.average(shares[1], axis=0, weights=weights)
    whole = linearised(shares[1], weights, p, tables).variance
    parts = found[:, [AT["citizens"], AT["sampling"], AT["tables"]]] ** 2
    wider = found[:, AT["tables"]] > 0
    assert wider.sum() > 10
    np.testing.assert_allclose(parts.sum(axis=1)[wider], whole[wider])


def test_what_was_not_measured_is_not_zero() -> None:
    shares = np.full((2, 6, 2), 0.7)
    found = error_sources(votes_from(shares, mass=np.nan), 2, np.ones(6), 1)
    assert np.isnan(found[:, [AT["sampling"], AT["tables"], AT["template"]]]).all()
    exact = error_sources(votes_from(shares, order_bias=0.1), 2, np.ones(6), 1)
    assert (exact[:, AT["sampling"]] == 0).all()
    np.testing.assert_allclose(exact[:, AT["order"]], 0.1)


def test_sampling_error_is_that_of_repeated_answers() -> None:
    """Citizens with known p answer 8 times in each order; the sd of the share is known."""
    rng = np.random.default_rng(1)
    p, samples = rng.uniform(0.2, 0.8, (40, 200)), 8
    order = rng.binomial(samples, np.stack([p, 1 - p])) / samples
    votes = votes_from(np.stack([p, p]), mass=np.nan)
    flat = votes.phase == 1
    share = votes.share_first.copy()
    share[flat] = order[votes.order[flat], votes.citizen[flat], votes.pair[flat]]
    sampled = type(votes)(
        votes.pair, votes.citizen, votes.phase, votes.order, share, votes.state, votes.mass
    )
    found = error_sources(sampled, 200, np.ones(40), 1, samples=samples)
    true = np.sqrt((p * (1 - p) / samples / 2).mean(axis=0) / 40)
    np.testing.assert_allclose(found[:, AT["sampling"]].mean(), true.mean(), rtol=0.03)
    # The citizens' part is what is left of the spread, that of the true p.
    spread = np.sqrt(p.var(axis=0, ddof=1) / 40)
    np.testing.assert_allclose(found[:, AT["citizens"]].mean(), spread.mean(), rtol=0.1)


def test_other_wordings_give_the_template_part() -> None:
    shares = np.full((2, 6, 1), 0.7)
    templates = np.array([[0.6], [0.7], [0.8]])
    found = error_sources(votes_from(shares), 1, np.ones(6), 1, templates=templates)
    np.testing.assert_allclose(found[0, AT["template"]], 0.1 / np.sqrt(3))
