"""The Thurstonian log posterior with order bias and lapses: value, gradient, Fisher product.

P(first shown chosen) = lapse / 2 + (1 - lapse) * Phi((mu_i - mu_j + b) / sqrt(sigma_i^2 +
sigma_j^2)). The parameter vector theta [2K + 2] is (mu [K], log sigma [K], b, log lapse), in the
raw gauge in which the prior of log sigma is centred at 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse, special

from plenary.preferences import FloatArray, IntArray

LOG_2 = float(np.log(2.0))


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


class Tails(NamedTuple):
    """Per cell [N], without clamping: log P(first), log P(second) and their slopes.

    up = d log P(first) / dz >= 0 and down = -d log P(second) / dz >= 0; by_lapse = d P(first) / d
    log lapse.
    """

    log_first: FloatArray
    log_second: FloatArray
    up: FloatArray
    down: FloatArray
    by_lapse: FloatArray


class Point(NamedTuple):
    """The posterior at one theta: negative log, log likelihood, gradient [2K + 2] and the rows.

    The rows are the square root of the expected Fisher information: one row a cell, its entries
    by_mu (first outcome; the second has the opposite sign; also that of b), by_first and by_second
    (log sigma), by_lapse, all [N].
    """

    value: float
    log_likelihood: float
    gradient: FloatArray
    by_mu: FloatArray
    by_first: FloatArray
    by_second: FloatArray
    by_lapse: FloatArray


def tails(z: FloatArray, log_lapse: float) -> Tails:
    """Both log tails and their slopes from one erfcx, exact for any finite z."""
    scaled = special.erfcx(np.abs(z) / np.sqrt(2.0))
    log_small = np.log(scaled) - LOG_2 - z * z / 2
    small = np.exp(log_small)
    log_large = np.log1p(-small)
    hazard = np.sqrt(2 / np.pi) / scaled
    rest = hazard * np.exp(log_small - log_large)
    positive = z > 0
    log_phi, log_upper = (
        np.where(positive, log_large, log_small),
        np.where(positive, log_small, log_large),
    )
    slope, slope_upper = np.where(positive, rest, hazard), np.where(positive, hazard, rest)
    half, keep = log_lapse - LOG_2, np.log1p(-np.exp(log_lapse))
    log_first, log_second = np.logaddexp(half, keep + log_phi), np.logaddexp(half, keep + log_upper)
    up = slope * np.exp(keep + log_phi - log_first)
    down = slope_upper * np.exp(keep + log_upper - log_second)
    by_lapse = np.exp(log_lapse) * np.where(positive, small - 0.5, 0.5 - small)
    return Tails(log_first, log_second, up, down, by_lapse)


class ThurstoneObjective:
    """Negative log posterior of theta [2K + 2] given answers [N]; lower is better."""

    def __init__(self, answers: Answers, outcomes: int, prior: Prior) -> None:
        """Lay the priors on K = `outcomes` outcomes out as a mean and a precision vector."""
        k = outcomes
        self.answers, self.outcomes, self.prior = answers, k, prior
        self.size = 2 * k + 2
        self.centre = np.concatenate([np.zeros(2 * k + 1), [prior.log_lapse]])
        sds = np.repeat(
            [prior.tau, prior.omega, prior.order_bias, prior.log_lapse_sd], [k, k, 1, 1]
        )
        self.precision = 1 / sds**2

    def start(self) -> FloatArray:
        """Theta [2K + 2] at the prior's centre."""
        return self.centre.copy()

    def latent(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Per cell [N]: z, 1/d, and d's shares sigma_first^2/d^2 and sigma_second^2/d^2."""
        k, (first, second, _, _) = self.outcomes, self.answers
        mu, variance = theta[:k], np.exp(2 * theta[k : 2 * k])
        total = variance[first] + variance[second]
        inverse = 1 / np.sqrt(total)
        z = (mu[first] - mu[second] + theta[2 * k]) * inverse
        return z, inverse, variance[first] / total, variance[second] / total

    def log_prior(self, theta: FloatArray) -> float:
        """Log prior density, constants included (they matter when priors are compared)."""
        away = theta - self.centre
        return float(
            -0.5 * (self.precision @ away**2) + 0.5 * np.log(self.precision / (2 * np.pi)).sum()
        )

    def value(self, theta: FloatArray) -> float:
        """Negative log posterior alone; infinite where the lapse rate would reach 1."""
        if theta[-1] >= 0 or not np.isfinite(theta).all():
            return np.inf
        with np.errstate(over="ignore", invalid="ignore"):
            tail = tails(self.latent(theta)[0], theta[-1])
            total = -self.log_likelihood(tail) - self.log_prior(theta)
        return total if np.isfinite(total) else np.inf

    def log_likelihood(self, tail: Tails) -> float:
        """Sum over cells of wins * log P(first) + losses * log P(second)."""
        wins, trials = self.answers.wins, self.answers.trials
        return float(wins @ tail.log_first + (trials - wins) @ tail.log_second)

    def at(self, theta: FloatArray) -> Point:
        """Value, gradient and Fisher rows at theta."""
        wins, trials = self.answers.wins, self.answers.trials
        z, inverse, share_first, share_second = self.latent(theta)
        tail = tails(z, theta[-1])
        likelihood = self.log_likelihood(tail)
        score = wins * tail.up - (trials - wins) * tail.down
        by_lapse = wins * np.exp(-tail.log_first) - (trials - wins) * np.exp(-tail.log_second)
        columns = (inverse, -z * share_first, -z * share_second)
        by_mu, by_first, by_second = (score * column for column in columns)
        slopes = self._scatter(by_mu, by_first, by_second, by_lapse * tail.by_lapse)
        root = np.sqrt(trials * tail.up * tail.down)
        lapse_row = (
            np.sqrt(trials) * tail.by_lapse * np.exp(-0.5 * (tail.log_first + tail.log_second))
        )
        return Point(
            -likelihood - self.log_prior(theta),
            likelihood,
            self.precision * (theta - self.centre) - slopes,
            by_mu=root * inverse,
            by_first=root * columns[1],
            by_second=root * columns[2],
            by_lapse=lapse_row,
        )

    def _scatter(
        self, mu: FloatArray, first: FloatArray, second: FloatArray, lapse: FloatArray
    ) -> FloatArray:
        """Sum per-cell contributions [N] into a vector [2K + 2]: the transpose of the rows."""
        k, (i, j, _, _) = self.outcomes, self.answers
        by_mu = np.bincount(i, mu, k) - np.bincount(j, mu, k)
        by_sigma = np.bincount(i, first, k) + np.bincount(j, second, k)
        return np.concatenate([by_mu, by_sigma, [mu.sum(), lapse.sum()]])

    def fisher_product(self, point: Point, x: FloatArray) -> FloatArray:
        """(Expected Fisher information + prior precision) times x [2K + 2]."""
        k, (i, j, _, _) = self.outcomes, self.answers
        mu, spread = x[:k], x[k : 2 * k]
        along = point.by_mu * (mu[i] - mu[j] + x[2 * k]) + point.by_lapse * x[2 * k + 1]
        along += point.by_first * spread[i] + point.by_second * spread[j]
        parts = (point.by_mu, point.by_first, point.by_second, point.by_lapse)
        return self._scatter(*(part * along for part in parts)) + self.precision * x

    def fisher_diagonal(self, point: Point) -> FloatArray:
        """Diagonal [2K + 2] of the same matrix: the preconditioner."""
        k, (i, j, _, _) = self.outcomes, self.answers
        mu, first, second = point.by_mu**2, point.by_first**2, point.by_second**2
        by_mu = np.bincount(i, mu, k) + np.bincount(j, mu, k)
        by_sigma = np.bincount(i, first, k) + np.bincount(j, second, k)
        return (
            np.concatenate([by_mu, by_sigma, [mu.sum(), (point.by_lapse**2).sum()]])
            + self.precision
        )

    def fisher_dense(self, point: Point) -> FloatArray:
        """The same matrix, dense [2K + 2, 2K + 2]."""
        k, (i, j, _, _) = self.outcomes, self.answers
        last = np.full(len(i), 2 * k)
        columns = np.concatenate([i, j, last, k + i, k + j, last + 1])
        entries = np.concatenate(
            [
                point.by_mu,
                -point.by_mu,
                point.by_mu,
                point.by_first,
                point.by_second,
                point.by_lapse,
            ]
        )
        rows = sparse.csr_array(
            (entries, (np.tile(np.arange(len(i)), 6), columns)), shape=(len(i), self.size)
        )
        return (rows.T @ rows).toarray() + np.diag(self.precision)
