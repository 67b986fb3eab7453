"""The log posterior of utilities with order bias and lapses: value, gradient, information.

P(first shown chosen) = lapse / 2 + (1 - lapse) * F((mu_i - mu_j + b) / sqrt(sigma_i^2 +
sigma_j^2)), F the link's distribution. The parameter vector theta [2K + 2] is (mu [K], log sigma
[K], b, log lapse), in the raw gauge in which the prior of log sigma is centred at 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from evaluation.fisher import Fisher, Pattern, Rows
from evaluation.links import LINKS, Link, Tails
from plenary.preferences import FloatArray, IntArray

HELD = 1e8


class Answers(NamedTuple):
    """Weighted answers, one row a cell [N]: shown first and second, wins of the first, trials."""

    first: IntArray
    second: IntArray
    wins: FloatArray
    trials: FloatArray

    def weighted(self, factor: FloatArray) -> Answers:
        """The same answers with wins and trials [N] multiplied by `factor` [N]."""
        return self._replace(wins=self.wins * factor, trials=self.trials * factor)


class Prior(NamedTuple):
    """Normal priors: sd of mu (tau), of log sigma (omega), of b; centre and sd of the log lapse."""

    tau: float
    omega: float
    order_bias: float
    log_lapse: float
    log_lapse_sd: float


class Point(NamedTuple):
    """The posterior at one theta.

    Negative log posterior, log likelihood, gradient [2K + 2], P(first) [N] and the rows of the
    expected Fisher information.
    """

    value: float
    log_likelihood: float
    gradient: FloatArray
    p_first: FloatArray
    rows: Rows


class Objective:
    """Negative log posterior of theta [2K + 2] given answers [N]; lower is better."""

    def __init__(
        self,
        answers: Answers,
        outcomes: int,
        prior: Prior,
        link: Link = LINKS["thurstonian"],
        pattern: Pattern | None = None,
    ) -> None:
        """Lay the priors on K = `outcomes` outcomes out as a mean and a precision vector."""
        k = outcomes
        self.answers, self.outcomes, self.prior, self.link = answers, k, prior, link
        self.pattern = pattern or Pattern(answers.first, answers.second, k)
        self.size = 2 * k + 2
        self.centre = np.concatenate([np.zeros(2 * k + 1), [prior.log_lapse]])
        sds = [prior.tau, prior.omega, prior.order_bias, prior.log_lapse_sd]
        self.precision = 1 / np.repeat(sds, [k, k, 1, 1]) ** 2
        if not link.own_spread:
            self.precision[k : 2 * k] = HELD

    def least_squares(self) -> tuple[Fisher, FloatArray]:
        """Matrix and right side [2K + 2] of the step from the prior's centre to start from.

        Smoothed shares, as probits, are regressed on the differences of utilities.
        """
        wins, trials = self.answers.wins, self.answers.trials
        share = (wins + 0.5) / (trials + 1)
        goal = ndtri(share)
        density = np.exp(-goal * goal / 2) / np.sqrt(2 * np.pi)
        weight = trials * density**2 / (share * (1 - share)) / 2
        nothing = np.zeros(len(wins))
        rows = Rows(np.sqrt(weight), nothing, nothing, nothing)
        pull = weight * goal * np.sqrt(2)
        fisher = self.pattern.fisher(rows, self.precision)
        return fisher, self._scatter(pull, nothing, nothing, nothing)

    def latent(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Per cell [N]: z, 1/d, and d's shares sigma_first^2/d^2 and sigma_second^2/d^2."""
        k, (first, second, _, _) = self.outcomes, self.answers
        mu, variance = theta[:k], np.exp(2 * theta[k : 2 * k])
        from_first, from_second = variance[first], variance[second]
        total = from_first + from_second
        inverse = 1 / np.sqrt(total)
        z = (mu[first] - mu[second] + theta[2 * k]) * inverse
        return z, inverse, from_first / total, from_second / total

    def log_prior(self, theta: FloatArray) -> float:
        """Log prior density, constants included (they matter when priors are compared)."""
        away = theta - self.centre
        return float(
            -0.5 * (self.precision @ away**2) + 0.5 * np.log(self.precision / (2 * np.pi)).sum()
        )

    def allowed(self, theta: FloatArray) -> bool:
        """Whether the posterior is defined: finite, and the lapse rate below 1."""
        return bool(theta[-1] < 0 and np.isfinite(theta).all())

    def value(self, theta: FloatArray) -> float:
        """Negative log posterior alone; infinite where it is not defined."""
        return self.at(theta).value if self.allowed(theta) else np.inf

    def log_likelihood(self, tail: Tails) -> float:
        """Sum over cells of wins * log P(first) + losses * log P(second)."""
        wins, trials = self.answers.wins, self.answers.trials
        return float(wins @ tail.log_first + (trials - wins) @ tail.log_second)

    def at(self, theta: FloatArray) -> Point:
        """Value, gradient and Fisher rows at theta."""
        wins, trials = self.answers.wins, self.answers.trials
        z, inverse, share_first, share_second = self.latent(theta)
        tail = self.link.tails(z, theta[-1])
        likelihood, losses = self.log_likelihood(tail), trials - wins
        p_first, p_second = np.exp(tail.log_first), np.exp(tail.log_second)
        score, root = wins * tail.up - losses * tail.down, np.sqrt(trials * tail.up * tail.down)
        by_lapse = (wins / p_first - losses / p_second) * tail.by_lapse
        lapse_row = np.sqrt(trials / (p_first * p_second)) * tail.by_lapse
        if self.link.own_spread:
            by_first, by_second = -z * share_first, -z * share_second
        else:
            by_first = by_second = np.zeros(len(z))
        slopes = self._scatter(score * inverse, score * by_first, score * by_second, by_lapse)
        return Point(
            -likelihood - self.log_prior(theta),
            likelihood,
            self.precision * (theta - self.centre) - slopes,
            p_first,
            Rows(root * inverse, root * by_first, root * by_second, lapse_row),
        )

    def _scatter(
        self, mu: FloatArray, first: FloatArray, second: FloatArray, lapse: FloatArray
    ) -> FloatArray:
        """Sum per-cell contributions [N] into a vector [2K + 2]: the transpose of the rows."""
        k, (i, j, _, _) = self.outcomes, self.answers
        by_mu = np.bincount(i, mu, k) - np.bincount(j, mu, k)
        by_sigma = np.bincount(i, first, k) + np.bincount(j, second, k)
        return np.concatenate([by_mu, by_sigma, [mu.sum(), lapse.sum()]])

    def fisher(self, point: Point) -> Fisher:
        """Expected Fisher information plus prior precision."""
        return self.pattern.fisher(point.rows, self.precision)
