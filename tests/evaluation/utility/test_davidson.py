"""Ties are modelled, not halved; the slopes are right; without ties it is Bradley-Terry."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from evaluation.elicitation.answer_table import AnswerTable, Origin, answer_table
from evaluation.elicitation.design import balanced_pairs
from evaluation.elicitation.elicit import ElicitationSettings, both_orders, elicit
from evaluation.utility.davidson import DavidsonObjective, TieAnswers, fit_answers, fit_davidson
from evaluation.utility.fitting import fit_table
from evaluation.utility.laplace import standardise
from evaluation.utility.likelihood import DEGREES, WIDTH
from evaluation.utility.thurstonian import FitSettings, central, fit
from plenary.errors import DataError
from plenary.models.planted import PlantedBackend, PlantedWorld
from plenary.outcomes import Outcome
from plenary.preferences import ComparisonCounts


def _planted(tie, seed=0, k=30, count=20, bias=0.3):
    rng = np.random.default_rng(seed)
    mu = 1.5 * rng.standard_normal(k)
    shown = both_orders(balanced_pairs(k, 250, rng))
    d = mu[shown[:, 0]] - mu[shown[:, 1]] + bias
    p = np.stack([np.exp(d / 2), np.exp(-d / 2), np.full(len(d), tie)], axis=1)
    answers = rng.multinomial(count, p / p.sum(axis=1, keepdims=True)).astype(float)
    return TieAnswers(*shown.T, *answers.T), mu - mu.mean()


@pytest.mark.parametrize("tie", [0.5, 2.0])
def test_planted_ties_bias_and_utilities_are_recovered(tie):
    answers, mu = _planted(tie)
    found = fit_davidson(answers, 30)
    assert found.converged
    assert found.tie == pytest.approx(tie, rel=0.1)
    assert found.order_bias == pytest.approx(0.3, abs=0.1)
    assert 0.75 < np.mean(np.abs(found.mu - mu) < 1.645 * found.sd) <= 1
    p = found.probabilities(np.array([0, 1]), np.array([1, 0]))
    assert p.sum(axis=-1) == pytest.approx([1, 1])


@pytest.mark.parametrize("scale", np.logspace(-3, 1, 10))
def test_gradient_and_hessian_against_finite_differences(scale):
    answers, _ = _planted(1.0)
    objective = DavidsonObjective(answers, 30, FitSettings())
    theta = scale * np.random.default_rng(0).standard_normal(32)
    gradient, hessian = objective.slopes(theta)
    for at in (0, 5, 30, 31):
        step = np.zeros(32)
        step[at] = 1e-5
        ends = [objective.slopes(theta + s * step)[0] for s in (1, -1)]
        slope = (objective.value(theta + step) - objective.value(theta - step)) / 2e-5
        assert slope == pytest.approx(gradient[at], rel=1e-4, abs=1e-3)
        numeric = (ends[0] - ends[1]) / 2e-5
        assert np.allclose(numeric, hessian[at], rtol=1e-4, atol=1e-3)


def test_without_ties_it_ranks_as_bradley_terry():
    answers, _ = _planted(1e-9)
    zero = np.zeros(len(answers.wins))
    cells = ComparisonCounts(*answers[:3], answers.wins + answers.losses, zero, zero + np.nan)
    other = fit(cells, 30, FitSettings(link="bradley_terry"))
    assert spearmanr(fit_davidson(answers, 30).mu, other.mu).statistic > 0.999


def test_bradley_terry_agrees_with_scikit_learn():
    answers, _ = _planted(1e-9, seed=1)
    n, zero = len(answers.wins), np.zeros(len(answers.wins))
    cells = ComparisonCounts(*answers[:3], answers.wins + answers.losses, zero, zero + np.nan)
    no_lapses = FitSettings(
        link="bradley_terry", lapse_median=1e-6, lapse_spread=1e-3, tolerance=1e-9
    )
    ours = fit(cells, 30, no_lapses)
    design = np.zeros((n, 31))
    design[np.arange(n), answers.first] = 1
    design[np.arange(n), answers.second] = -1
    design[:, 30] = 1
    # Ours divides by the root of two equal variances; columns are scaled to our prior at the mode.
    raw, reach = ours.mu / np.exp(ours.log_sigma[0]), DEGREES * (WIDTH * ours.tau) ** 2
    low, high = raw.min(), raw.max()
    middle = brentq(lambda c: float(np.sum((raw - c) / (reach + (raw - c) ** 2))), low, high)
    spread = np.sqrt((reach + (raw - middle) ** 2) / (DEGREES + 1) / 2)
    design[:, :30] *= spread
    model = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-9, max_iter=5000)
    model.fit(
        np.concatenate([design, design]),
        np.repeat([1, 0], n),
        sample_weight=np.concatenate([answers.wins, answers.losses]),
    )
    theirs = model.coef_[0, :30] * spread
    theirs = standardise(theirs, central(theirs, ours.settings.trim)).values
    assert ours.intraclass == 0
    assert ours.mu == pytest.approx(theirs, abs=1e-3)


@pytest.mark.parametrize("exact", [True, False])
def test_a_third_answer_reaches_the_fit_of_what_was_elicited(exact):
    rng, tie = np.random.default_rng(3), 0.8
    utilities = 1.2 * rng.standard_normal(40)
    outcomes = tuple(
        Outcome(
            id=f"o{k}",
            text=f"outcome {k:02d}",
            topic="t",
            ladder=None,
            quantity=None,
            direction=None,
        )
        for k in range(40)
    )
    texts = [outcome.text for outcome in outcomes]
    world = PlantedWorld(
        utilities=dict(zip(texts, utilities.tolist(), strict=True)),
        sigma=1.0,
        order_bias=0.2,
        indifference=tie,
        exact=exact,
    )
    settings = ElicitationSettings(templates=("plain+none",), samples=20)
    pairs = balanced_pairs(40, 320, rng)
    answers = asyncio.run(elicit(PlantedBackend(world), texts, pairs, settings, seed=1))
    assert answers.cells.undecided.sum() > 0.1 * answers.cells.trials.sum()
    found = fit_table(answer_table(answers, outcomes, "planted", {}, 1))
    assert found.converged
    assert found.tie == pytest.approx(tie, rel=0.25)
    assert found.settings.link == "bradley_terry"
    assert np.corrcoef(found.mu, utilities)[0, 1] > 0.985
    assert found.order_bias > 0
    i, j = pairs.T
    truth = ndtr((utilities[i] - utilities[j]) / np.sqrt(2))
    assert np.abs(found.probability(i, j) - truth).mean() < 0.05
    forced = replace(answers.cells, undecided=0 * answers.cells.undecided)
    assert fit_answers(forced, 40).mu == pytest.approx(fit(forced, 40).mu)
    with pytest.raises(DataError, match=r"no preference.*fit_answers"):
        fit(answers.cells, 40)


def test_errors_grow_where_answers_vary_more_than_independent_ones():
    answers, _ = _planted(0.5)
    calm = fit_davidson(answers, 30)
    shared = TieAnswers(*answers[:2], *(9 * column for column in answers[2:]))
    assert calm.dispersion == pytest.approx(1, abs=0.2)
    assert fit_davidson(shared, 30).dispersion == pytest.approx(9 * calm.dispersion, rel=0.25)


def test_nothing_answered_and_a_split_graph_are_plain_errors():
    none = TieAnswers(*(np.zeros(0, dtype=int),) * 2, *(np.zeros(0),) * 3)
    with pytest.raises(DataError, match="at least one answered pair"):
        fit_davidson(none, 3)
    apart = TieAnswers(np.array([0, 2]), np.array([1, 3]), *(np.ones(2),) * 3)
    with pytest.raises(DataError, match="2 components"):
        fit_davidson(apart, 4)
    with pytest.raises(DataError, match="names outcome 3 of 3"):
        fit_davidson(apart, 3)


def _with_ties(cells):
    """Cells [N] of counts, half of whose losses become answers for neither."""
    lost = np.floor((cells.trials - cells.wins) / 2)
    return replace(cells, trials=cells.trials - lost, undecided=lost)


def test_a_split_graph_is_flagged_where_the_settings_say_so(planted):
    rng = np.random.default_rng(0)
    pairs = balanced_pairs(20, 80, rng)
    pairs = pairs[(pairs < 10).all(axis=1) | (pairs >= 10).all(axis=1)]
    cells = _with_ties(planted(20, rng).answers(pairs, rng, 10))
    with pytest.raises(DataError, match="2 components"):
        fit_answers(cells, 20)
    found = fit_answers(cells, 20, FitSettings(disconnected="flag"))
    assert found.converged
    assert np.bincount(found.component).tolist() == [10, 10]
    assert found.tie > 0


def test_an_excluded_cell_beside_an_undecided_one_is_no_answer():
    cells = ComparisonCounts(
        np.array([0, 1, 1, 2]), np.array([1, 0, 2, 1]), np.array([3.0, 1, 2, 0]),
        np.array([4.0, 3, 3, 2]), np.zeros(4), np.full(4, np.nan), np.array([1.0, 0, 2, 3]),
    )  # fmt: skip
    outcomes = tuple(
        Outcome(id=x, text=x, topic="t", ladder=None, quantity=None, direction=None) for x in "abc"
    )
    origin = Origin(source="x", outcomes=outcomes, templates=("plain+none",))
    left = np.array([False, True, False, False])
    table = AnswerTable(cells, left, np.zeros(4, dtype=np.int64), origin)
    assert table.accepted.answered.tolist() == [True, False, True, True]
    assert fit_table(table).mu == pytest.approx(fit_answers(cells.select(~left), 3).mu)


@pytest.mark.parametrize(
    ("changed", "moves"),
    [
        ({"order_bias_sd": 0.01}, lambda a, b: abs(b.order_bias) < 0.1 * abs(a.order_bias)),
        ({"max_iterations": 1}, lambda a, b: a.converged and not b.converged),
        ({"tolerance": 1e-12}, lambda a, b: b.iterations > a.iterations),
        ({"trim": 0.4}, lambda a, b: not np.allclose(a.mu, b.mu)),
    ],
)
def test_the_settings_of_a_fit_are_obeyed_with_ties_too(planted, changed, moves):
    rng = np.random.default_rng(1)
    cells = _with_ties(planted(20, rng, bias=0.4).answers(balanced_pairs(20, 120, rng), rng, 10))
    assert moves(fit_answers(cells, 20), fit_answers(cells, 20, FitSettings(**changed)))


def test_what_is_compared_may_share_the_model_with_ties(planted):
    rng = np.random.default_rng(2)
    cells = planted(20, rng).answers(balanced_pairs(20, 120, rng), rng, 10)
    assert fit_answers(cells, 20).tie == 0
    assert fit_answers(cells, 20).settings.link == "thurstonian"
    shared = fit_answers(cells, 20, ties=True)
    assert shared.converged
    assert shared.settings.link == "bradley_terry"
    assert 0 < shared.tie < 0.05


def test_a_subject_that_never_prefers_anything_has_equal_utilities():
    shown = both_orders(balanced_pairs(8, 20, np.random.default_rng(0)))
    zero = np.zeros(len(shown))
    found = fit_answers(ComparisonCounts(*shown.T, zero, zero, zero, zero + np.nan, zero + 10), 8)
    assert found.converged
    assert np.allclose(found.mu, 0)
    assert found.tie > 10


@pytest.mark.exhaustive
def test_intervals_cover_where_pairs_have_their_own_effects_beside_ties():
    covered = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        mu = 3.0 * rng.standard_normal(80)
        pairs = balanced_pairs(80, 800, rng)
        first, second = both_orders(pairs).T
        own = np.repeat(0.9 * rng.standard_normal(len(pairs)), 2) * np.tile([1, -1], len(pairs))
        lead = mu[first] - mu[second] + own + 0.3
        weights = np.stack([np.exp(lead / 2), np.exp(-lead / 2), np.full(len(lead), 0.5)], axis=1)
        drawn = rng.multinomial(10, weights / weights.sum(axis=1, keepdims=True)).astype(float)
        wins, losses, ties = drawn.T
        zero = np.zeros(len(wins))
        cells = ComparisonCounts(first, second, wins, wins + losses, zero, zero + np.nan, ties)
        found = fit_answers(cells, 80)
        assert found.intraclass > 0.02
        truth = standardise(mu, central(mu, found.settings.trim)).values
        covered.append(np.abs(found.mu - truth) < 1.645 * found.sd)
    assert 0.83 <= np.mean(covered) <= 0.97
