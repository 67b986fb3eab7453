"""The utility model's log posterior: likelihood, priors, and links, where a link is added.

P(first shown chosen) = lapse / 2 + (1 - lapse) * F((mu_i - mu_j + b) / sqrt(sigma_i^2 +
sigma_j^2)), F the link's distribution. The parameter vector theta [2K + 2] is (mu [K], log sigma
[K], b, log lapse), in the raw normalisation in which the prior of log sigma is centred at 0.

The prior of mu is Student's t [lange1989]: a normal one pulls extreme utilities inward, and those
near them too, since the likelihood hardly changes when mu and sigma of a region shrink together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from scipy import special
from scipy.special import ndtri

from evaluation.utility.fisher import Fisher, FisherPattern, Information
from plenary.preferences import FloatArray, IntArray

HELD = 1e8

DEGREES, WIDTH = 3.0, 0.7


class Observations(NamedTuple):
    """Weighted answers, one row per cell [N]: shown first and second, wins of the first, trials."""

    first: IntArray
    second: IntArray
    wins: FloatArray
    trials: FloatArray

    def weighted(self, factor: FloatArray) -> Observations:
        """The same answers with wins and trials [N] multiplied by `factor` [N]."""
        return self._replace(wins=self.wins * factor, trials=self.trials * factor)


class Prior(NamedTuple):
    """Prior spread of mu (tau), of log sigma (omega), of b; centre and sd of the log lapse.

    mu follows a t distribution of DEGREES degrees and scale WIDTH * tau, the others normal ones.
    """

    tau: float
    omega: float
    order_bias: float
    log_lapse: float
    log_lapse_sd: float


class Latent(NamedTuple):
    """z [N] of the outcome shown first; 1 / d and the shares of d^2 by pair [P] (Information)."""

    z: FloatArray
    inverse: FloatArray
    low_share: FloatArray
    high_share: FloatArray


class PosteriorPoint(NamedTuple):
    """The posterior at one theta.

    Negative log posterior, log likelihood, gradient [2K + 2], P(first) [N], and what enters the
    expected Fisher information: that of the answers, and the priors' precision [2K + 2] here.
    """

    value: float
    log_likelihood: float
    gradient: FloatArray
    p_first: FloatArray
    information: Information
    precision: FloatArray


LOG_2 = float(np.log(2.0))

LARGEST = 700.0


class Tails(NamedTuple):
    """Per cell [N], without clamping: the less likely choice (small) and the other (large).

    log_small, log_large: log probabilities; small: the probability itself. slope_small =
    -d log_small / d size and slope_large = d log_large / d size, both >= 0. by_lapse = d small / d
    log lapse >= 0.
    """

    log_small: FloatArray
    log_large: FloatArray
    small: FloatArray
    slope_small: FloatArray
    slope_large: FloatArray
    by_lapse: FloatArray


def _with_lapses(
    decay: FloatArray, tail: FloatArray, density: FloatArray | float, log_lapse: float
) -> Tails:
    """Mix a link with random answers: P = lapse / 2 + (1 - lapse) * link.

    The link's smaller tail is `tail` * exp(-`decay`), its density `density` * exp(-`decay`); in
    units of the exponential neither underflows.
    """
    lapse, keep = np.exp(log_lapse), -np.expm1(log_lapse)
    floor = log_lapse - LOG_2
    mixed = keep * tail + np.exp(np.minimum(floor + decay, LARGEST))
    log_small = np.maximum(np.log(mixed) - decay, floor)
    small, faded = np.exp(log_small), np.exp(-decay)
    slope = keep * density
    return Tails(
        log_small,
        np.log1p(-small),
        small,
        slope / mixed,
        slope * faded / (1 - small),
        lapse * (0.5 - tail * faded),
    )


def normal_tails(size: FloatArray, log_lapse: float) -> Tails:
    """Normal tails at size = |z| [N], from one erfcx."""
    tail = special.erfcx(size * np.sqrt(0.5)) / 2
    return _with_lapses(size * size / 2, tail, float(1 / np.sqrt(2 * np.pi)), log_lapse)


def logistic_tails(size: FloatArray, log_lapse: float) -> Tails:
    """Logistic tails at size = |z| [N]."""
    large = 1 / (1 + np.exp(-size))
    return _with_lapses(size, large, large * large, log_lapse)


class Link(NamedTuple):
    """How utilities become choices.

    tails: |z| [N] and log lapse to probabilities; cdf: that of z without lapses; own_spread: a
    spread for each outcome instead of one for all.
    """

    tails: Callable[[FloatArray, float], Tails]
    cdf: Callable[[FloatArray], FloatArray]
    own_spread: bool


LINKS: dict[str, Link] = {
    "thurstonian": Link(normal_tails, special.ndtr, True),
    "case_v": Link(normal_tails, special.ndtr, False),
    "bradley_terry": Link(logistic_tails, special.expit, False),
}


class LikelihoodObjective:
    """Negative log posterior of theta [2K + 2] given answers [N]; lower is better."""

    def __init__(
        self,
        answers: Observations,
        outcomes: int,
        prior: Prior,
        link: Link = LINKS["thurstonian"],
        pattern: FisherPattern | None = None,
    ) -> None:
        """Prepare the priors on K = `outcomes` outcomes as a mean and a precision."""
        k = outcomes
        self.answers, self.outcomes, self.prior, self.link = answers, k, prior, link
        self.pattern = pattern or FisherPattern(answers.first, answers.second, k)
        self.size = 2 * k + 2
        self.centre = np.concatenate([np.zeros(2 * k + 1), [prior.log_lapse]])
        self.reach = DEGREES * (WIDTH * prior.tau) ** 2
        sds = [1.0, prior.omega, prior.order_bias, prior.log_lapse_sd]
        self.precision = 1 / np.repeat(sds, [k, k, 1, 1]) ** 2
        self.precision[:k] = (DEGREES + 1) / self.reach
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
        pattern, nothing = self.pattern, np.zeros(len(wins))
        one, none = np.ones(pattern.pairs), np.zeros(pattern.pairs)
        said = Information(nothing, weight, nothing, 0.0, one, none, none)
        pull = weight * goal * np.sqrt(2)
        toward = pattern.by_pair(pattern.sign * pull)
        right = [pattern.by_outcome(toward, -toward), np.zeros(self.outcomes), [pull.sum(), 0.0]]
        return pattern.fisher(said, self.precision), np.concatenate(right)

    def latent(self, theta: FloatArray) -> Latent:
        """Latent differences in units of their spread."""
        k, (low, high) = self.outcomes, (self.pattern.low, self.pattern.high)
        mu, variance = theta[:k], np.exp(2 * theta[k : 2 * k])
        from_low, from_high = variance[low], variance[high]
        total = from_low + from_high
        inverse, pair = 1 / np.sqrt(total), self.pattern.pair
        z = self.pattern.sign * ((mu[low] - mu[high]) * inverse)[pair]
        z += theta[2 * k] * inverse[pair]
        if not self.link.own_spread:
            from_low = from_high = np.zeros(len(total))
        return Latent(z, inverse, from_low / total, from_high / total)

    def log_prior(self, theta: FloatArray) -> float:
        """Log prior density up to a constant."""
        far = np.log1p(theta[: self.outcomes] ** 2 / self.reach).sum()
        away = (theta - self.centre)[self.outcomes :]
        rest = self.precision[self.outcomes :] @ away**2
        return -float((DEGREES + 1) * far + rest) / 2

    def precision_at(self, theta: FloatArray) -> FloatArray:
        """Precision [2K + 2] of the normal priors tangent to the priors at theta from below."""
        near = (DEGREES + 1) / (self.reach + theta[: self.outcomes] ** 2)
        return np.concatenate([near, self.precision[self.outcomes :]])

    def allowed(self, theta: FloatArray) -> bool:
        """Whether the posterior is defined: finite, and the lapse rate below 1."""
        return bool(theta[-1] < 0 and np.isfinite(theta).all())

    def value(self, theta: FloatArray) -> float:
        """Negative log posterior alone; infinite where it is undefined."""
        return self.at(theta).value if self.allowed(theta) else np.inf

    def at(self, theta: FloatArray) -> PosteriorPoint:
        """Value, gradient and information at theta."""
        wins, trials = self.answers.wins, self.answers.trials
        latent, precision = self.latent(theta), self.precision_at(theta)
        tail, ahead = self.link.tails(np.abs(latent.z), theta[-1]), latent.z > 0
        expected = np.where(ahead, wins, trials - wins)
        against = trials - expected
        likelihood = float(expected @ tail.log_large + against @ tail.log_small)
        side = np.where(ahead, 1.0, -1.0)
        score = side * (expected * tail.slope_large - against * tail.slope_small)
        by_lapse = float(tail.by_lapse @ (against / tail.small - expected / (1 - tail.small)))
        shared = trials * tail.slope_large * tail.by_lapse / tail.small
        on_lapse = float((trials * tail.by_lapse) @ (tail.by_lapse / tail.small / (1 - tail.small)))
        return PosteriorPoint(
            -likelihood - self.log_prior(theta),
            likelihood,
            precision * (theta - self.centre) - self._slopes(latent, score, by_lapse),
            np.where(ahead, 1 - tail.small, tail.small),
            Information(
                latent.z,
                trials * tail.slope_large * tail.slope_small,
                -side * shared,
                on_lapse,
                *latent[1:],
            ),
            precision,
        )

    def _slopes(self, latent: Latent, score: FloatArray, by_lapse: float) -> FloatArray:
        """Gradient [2K + 2] of the log likelihood, from that by z [N] and by log lapse."""
        pattern, inverse = self.pattern, latent.inverse
        on_mu = inverse * pattern.by_pair(pattern.sign * score)
        on_sigma = -pattern.by_pair(score * latent.z)
        by_mu = pattern.by_outcome(on_mu, -on_mu)
        by_sigma = pattern.by_outcome(latent.low_share * on_sigma, latent.high_share * on_sigma)
        bias = float(inverse @ pattern.by_pair(score))
        return np.concatenate([by_mu, by_sigma, [bias, by_lapse]])

    def fisher(self, point: PosteriorPoint) -> Fisher:
        """Expected Fisher information plus prior precision."""
        return self.pattern.fisher(point.information, point.precision)


LinkName = Literal["thurstonian", "case_v", "bradley_terry"]
