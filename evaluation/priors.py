"""What the data say about the priors: their sds, and how alike the answers to one pair err."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evaluation.fisher import Pattern
from evaluation.laplace import mean_variance
from evaluation.likelihood import Answers, Objective
from evaluation.newton import Optimum
from plenary.preferences import FloatArray

TAU_BOUNDS, OMEGA_BOUNDS = (0.2, 20.0), (0.1, 0.6)
RELATIVE, ABSOLUTE = 0.02, 1e-3


class Hyper(NamedTuple):
    """Spreads of mu (tau) and log sigma (omega), raw gauge; correlation of errors in a pair."""

    tau: float
    omega: float
    intraclass: float


def effective(answers: Answers, pattern: Pattern, intraclass: float) -> Answers:
    """Answers shrunk to what n correlated ones of a pair are worth, n / (1 + (n - 1) rho)."""
    if not intraclass:
        return answers
    return answers.weighted(worth(answers.trials, pattern, intraclass))


def worth(trials: FloatArray, pattern: Pattern, intraclass: float) -> FloatArray:
    """What each answer of a cell [N] counts for where n of a pair, all cells, are correlated."""
    total = pattern.by_pair(trials)
    return (1 / (1 + np.maximum(total - 1, 0) * intraclass))[pattern.pair]


def intraclass_correlation(
    answers: Answers, pattern: Pattern, p: FloatArray, parameters: float
) -> float:
    """Moment estimate of the correlation of errors within a pair at fitted p [N]."""
    n = answers.trials
    return pair_correlation(answers.wins - n * p, n, p * (1 - p), pattern, parameters)


def pair_correlation(
    residual: FloatArray, n: FloatArray, spread: FloatArray, pattern: Pattern, parameters: float
) -> float:
    """Correlation within a pair of the errors of n [N] answers, each of variance spread [N].

    residual [N]: their sum in favour of the outcome shown first. `parameters` is the effective
    number fitted: residuals are inflated for what the fit has absorbed.
    """
    residual = pattern.by_pair(pattern.sign * residual)
    variance = pattern.by_pair(n * spread)
    within = pattern.by_pair(n * np.sqrt(spread)) ** 2 - variance
    free = max(1 - parameters / len(variance), 0.1)
    if within.sum() <= 0:
        return 0.0
    return float(np.clip((residual @ residual / free - variance.sum()) / within.sum(), 0.0, 1.0))


def update(objective: Objective, optimum: Optimum, answers: Answers, exact: bool) -> Hyper:
    """Spreads from second moments of the posterior; intraclass correlation of raw answers."""
    k, theta = objective.outcomes, optimum.theta
    variance = mean_variance(optimum.fisher, exact)
    tau = np.sqrt(np.mean(theta[:k] ** 2) + variance.mu)
    omega = np.sqrt(np.mean(theta[k : 2 * k] ** 2) + variance.log_sigma)
    absorbed = k * (2 - optimum.point.precision[:k].mean() * variance.mu)
    absorbed -= k * objective.precision[k] * variance.log_sigma
    rho = intraclass_correlation(answers, objective.pattern, optimum.point.p_first, absorbed)
    return Hyper(float(np.clip(tau, *TAU_BOUNDS)), float(np.clip(omega, *OMEGA_BOUNDS)), rho)


def close(old: Hyper, new: Hyper) -> bool:
    """Whether another round of priors would change next to nothing."""
    return bool(np.allclose(old, new, rtol=RELATIVE, atol=ABSOLUTE))
