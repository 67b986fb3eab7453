"""Bradley-Terry with ties (Davidson), for questions that offered "no preference" as an answer.

With d = mu_i - mu_j + b: P(first) : P(second) : P(tie) = e^(d/2) : e^(-d/2) : nu. Parameters are
(mu [K], b, log nu). Source: docs/references.md, key davidson1970.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse

from evaluation.elicitation.comparison_graph import separated
from evaluation.utility.fisher import FisherPattern
from evaluation.utility.laplace import standardise
from evaluation.utility.thurstonian import (
    PLUG_IN,
    FitSettings,
    UtilityFit,
    central,
    fit,
    joined,
    pair_correlation,
    worth,
)
from plenary.preferences import ComparisonCounts, FloatArray, IntArray

PRIOR_MU, PRIOR_TIE, SHORTEST = 3.0, 3.0, 1e-8
PAIR_ROUNDS = 2


class TieAnswers(NamedTuple):
    """One row per cell [N]: shown first and second; answers for the first, the second, neither."""

    first: IntArray
    second: IntArray
    wins: FloatArray
    losses: FloatArray
    ties: FloatArray


class DavidsonFit(NamedTuple):
    """mu [K] mean 0 and order_bias, in log odds; sd [K] Laplace errors in that normalisation.

    covariance [K + 2, K + 2] of (mu, order bias, log nu) before centring. dispersion: how much more
    the answers vary than independent ones would (1: no more); the errors include it. tie: nu;
    P(tie) between equals is nu / (2 + nu), 0 if there are no ties.
    """

    mu: FloatArray
    sd: FloatArray
    covariance: FloatArray
    dispersion: float
    order_bias: float
    tie: float
    log_likelihood: float
    iterations: int
    converged: bool

    def probabilities(self, i: IntArray, j: IntArray) -> FloatArray:
        """P(i), P(j), P(tie) [..., 3] when i is shown first."""
        log_p = _log_p(self.mu[i] - self.mu[j] + self.order_bias, float(np.log(self.tie)))
        return np.exp(np.stack(log_p, axis=-1))


def _log_p(d: FloatArray, log_tie: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    total = np.logaddexp(np.logaddexp(d / 2, -d / 2), log_tie)
    return d / 2 - total, -d / 2 - total, log_tie - total


class DavidsonObjective:
    """Negative log posterior of theta [K + 2]; lower is better."""

    def __init__(self, answers: TieAnswers, outcomes: int, settings: FitSettings) -> None:
        """Prepare the sparse design [N, K + 1] of differences with the slot's column."""
        n, self.answers, self.outcomes = len(answers.first), answers, outcomes
        columns = np.concatenate([answers.first, answers.second, np.full(n, outcomes)])
        entries = np.repeat([1.0, -1.0, 1.0], n)
        self.design = sparse.csr_array(
            (entries, (np.tile(np.arange(n), 3), columns)), shape=(n, outcomes + 1)
        )
        # The settings give the bias in units of sigma; on the log-odds scale it is divided by root
        # two.
        bias_sd = settings.order_bias_sd / np.sqrt(2)
        sds = np.repeat([PRIOR_MU, bias_sd, PRIOR_TIE], [outcomes, 1, 1])
        self.precision = 1 / sds**2

    def log_likelihood(self, theta: FloatArray) -> float:
        """Log likelihood of all answers, nats."""
        a, (first, second, tie) = self.answers, _log_p(self.design @ theta[:-1], theta[-1])
        return float(a.wins @ first + a.losses @ second + a.ties @ tie)

    def dispersion(self, theta: FloatArray) -> float:
        """Pearson's chi-square over its degrees of freedom, at least 1."""
        a = self.answers
        p = np.exp(np.stack(_log_p(self.design @ theta[:-1], theta[-1])))
        seen = np.stack([a.wins, a.losses, a.ties])
        expected = p * seen.sum(axis=0)
        free = 2 * seen.shape[1] - len(theta)
        return max(1.0, float(np.sum((seen - expected) ** 2 / expected)) / max(free, 1))

    def value(self, theta: FloatArray) -> float:
        """Negative log posterior, without its constant."""
        return -self.log_likelihood(theta) + 0.5 * float(self.precision @ theta**2)

    def slopes(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient [K + 2] and Hessian [K + 2, K + 2]; the latter is exact and positive."""
        a = self.answers
        n = a.wins + a.losses + a.ties
        log_p = _log_p(self.design @ theta[:-1], theta[-1])
        first, second, tie = (np.exp(part) for part in log_p)
        by_d = (a.wins - a.losses - n * (first - second)) / 2
        gradient = np.append(self.design.T @ by_d, np.sum(a.ties - n * tie))
        hessian = np.empty((len(theta), len(theta)))
        own = n * (first + second - (first - second) ** 2) / 4
        cross = self.design.T @ (-n * tie * (first - second) / 2)
        weighted = self.design.multiply(own[:, None]).tocsr()
        hessian[:-1, :-1] = (self.design.T @ weighted).toarray()
        hessian[-1, :-1] = hessian[:-1, -1] = cross
        hessian[-1, -1] = np.sum(n * tie * (1 - tie))
        return self.precision * theta - gradient, hessian + np.diag(self.precision)


def fit_davidson(
    answers: TieAnswers, outcomes: int, settings: FitSettings | None = None
) -> DavidsonFit:
    """Posterior mode by damped Newton steps on the convex objective of K = `outcomes` outcomes.

    Ignores the settings link, lapses, trim and dense_limit. NotMeasured if nothing was answered or,
    unless `disconnected` is "flag", the comparisons do not connect the outcomes.
    """
    settings = settings or FitSettings()
    joined(answers.first, answers.second, outcomes, settings)
    objective, theta = DavidsonObjective(answers, outcomes, settings), np.zeros(outcomes + 2)
    converged, count = False, 0
    while not converged and count < settings.max_iterations:
        gradient, hessian = objective.slopes(theta)
        step = -linalg.solve(hessian, gradient, assume_a="pos")
        if -gradient @ step / 2 < settings.tolerance * outcomes:
            converged = True
            continue
        length, value = 1.0, objective.value(theta)
        while objective.value(theta + length * step) > value and length > SHORTEST:
            length /= 2
        theta, count = theta + length * step, count + 1
    dispersion = objective.dispersion(theta)
    covariance = dispersion * np.asarray(np.linalg.inv(objective.slopes(theta)[1]), dtype=float)
    centre = np.eye(outcomes) - 1 / outcomes
    mu = theta[:outcomes]
    return DavidsonFit(
        mu - mu.mean(),
        np.sqrt(np.diag(centre @ covariance[:outcomes, :outcomes] @ centre)),
        covariance,
        dispersion,
        float(theta[-2]),
        float(np.exp(theta[-1])),
        objective.log_likelihood(theta),
        count,
        converged,
    )


def tie_answers(cells: ComparisonCounts, exact_weight: float) -> TieAnswers:
    """The answered cells [N]; exact ones have weight `exact_weight`."""
    cells = cells.select(cells.answered)
    weight = np.where(np.isnan(cells.mass), 1.0, exact_weight)
    return TieAnswers(
        cells.first,
        cells.second,
        weight * cells.wins,
        weight * (cells.trials - cells.wins),
        weight * cells.undecided,
    )


def _effective(answers: TieAnswers, found: DavidsonFit, outcomes: int) -> tuple[TieAnswers, float]:
    """The answers reduced to the effective number of correlated ones, and that correlation."""
    pattern = FisherPattern(answers.first, answers.second, outcomes)
    first, second, _ = found.probabilities(answers.first, answers.second).T
    n, lead = answers.wins + answers.losses + answers.ties, first - second
    residual = answers.wins - answers.losses - n * lead
    rho = pair_correlation(residual, n, first + second - lead**2, pattern, outcomes + 1)
    wins, losses, ties = (worth(n, pattern, rho) * column for column in answers[2:])
    return TieAnswers(*answers[:2], wins, losses, ties), rho


def fit_answers(
    cells: ComparisonCounts,
    outcomes: int,
    settings: FitSettings | None = None,
    start: UtilityFit | None = None,
    *,
    ties: bool = False,
) -> UtilityFit:
    """Fit cells [N]: by Davidson's model if some chose neither outcome, else by thurstonian.fit.

    Davidson's is a Bradley-Terry fit, normalised as usual, with `tie` set; it has no lapse rate and
    needs no `start`. ties: use it in any case, since fits that are compared must use the same
    model. Raises NotMeasured if nothing was answered or the comparisons do not connect the
    outcomes.
    """
    if not (ties or cells.undecided.any()):
        return fit(cells, outcomes, settings, start)
    settings = (settings or FitSettings()).model_copy(update={"link": "bradley_terry"})
    answers = tie_answers(cells, settings.exact_weight)
    found, intraclass = fit_davidson(answers, outcomes, settings), 0.0
    for _ in range(PAIR_ROUNDS):
        weighted, intraclass = _effective(answers, found, outcomes)
        found = fit_davidson(weighted, outcomes, settings)
    normalisation = standardise(found.mu, central(found.mu, settings.trim))
    spread = found.covariance[:outcomes, :outcomes]
    first, second, wins, losses, _ = answers
    return UtilityFit(
        mu=normalisation.values,
        sd=PLUG_IN * normalisation.errors(spread),
        # The link divides by the root of two equal variances.
        log_sigma=np.full(outcomes, -0.5 * np.log(2) - np.log(normalisation.scale)),
        component=joined(first, second, outcomes, settings),
        separated=separated(first, second, wins, losses, outcomes),
        order_bias=found.order_bias / normalisation.scale,
        order_bias_sd=float(np.sqrt(found.covariance[outcomes, outcomes])) / normalisation.scale,
        lapse=0.0,
        intraclass=intraclass,
        tau=PRIOR_MU,
        omega=0.0,
        log_likelihood=found.log_likelihood,
        iterations=found.iterations,
        converged=found.converged,
        settings=settings,
        tie=found.tie,
    )
