"""Link functions: from a difference of utilities to the probability of a choice, lapses included.

A link is the pair (tails, spreads): how a latent difference becomes a probability, and whether each
outcome has a spread of its own. Sources: docs/references.md, keys thurstone1927 and
bradleyterry1952.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from plenary.preferences import FloatArray

LOG_2 = float(np.log(2.0))
LinkName = Literal["thurstonian", "case_v", "bradley_terry"]


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


class _Sided(NamedTuple):
    """The smaller and the larger tail at |z| [N]: their logs and the slopes of the logs (>= 0)."""

    log_small: FloatArray
    log_large: FloatArray
    slope_small: FloatArray
    slope_large: FloatArray


def _normal(size: FloatArray) -> _Sided:
    """Normal tails from one erfcx."""
    scaled = special.erfcx(size / np.sqrt(2.0))
    log_small = np.log(scaled) - LOG_2 - size * size / 2
    log_large = np.log1p(-np.exp(log_small))
    hazard = np.sqrt(2 / np.pi) / scaled
    return _Sided(log_small, log_large, hazard, hazard * np.exp(log_small - log_large))


def _logistic(size: FloatArray) -> _Sided:
    """Logistic tails."""
    log_large = -np.log1p(np.exp(-size))
    log_small = log_large - size
    return _Sided(log_small, log_large, np.exp(log_large), np.exp(log_small))


def _with_lapses(z: FloatArray, log_lapse: float, tail: Callable[[FloatArray], _Sided]) -> Tails:
    """Mix a link's tails with answers at random: P = lapse / 2 + (1 - lapse) * link(z)."""
    positive, sided = z > 0, tail(np.abs(z))
    lapse = np.exp(log_lapse)
    keep = np.log1p(-lapse)
    log_small = np.logaddexp(log_lapse - LOG_2, keep + sided.log_small)
    large = np.exp(sided.log_large)
    log_large = np.log(lapse / 2 + (1 - lapse) * large)
    slope_small = sided.slope_small * np.exp(keep + sided.log_small - log_small)
    slope_large = sided.slope_large * np.exp(keep + sided.log_large - log_large)
    return Tails(
        np.where(positive, log_large, log_small),
        np.where(positive, log_small, log_large),
        np.where(positive, slope_large, slope_small),
        np.where(positive, slope_small, slope_large),
        lapse * np.where(positive, 0.5 - large, large - 0.5),
    )


def tails(z: FloatArray, log_lapse: float) -> Tails:
    """Normal tails with lapses, exact for any finite z."""
    return _with_lapses(z, log_lapse, _normal)


def logistic_tails(z: FloatArray, log_lapse: float) -> Tails:
    """Logistic tails with lapses, exact for any finite z."""
    return _with_lapses(z, log_lapse, _logistic)


class Link(NamedTuple):
    """How utilities become choices.

    tails: z [N] and log lapse to probabilities; cdf: the same without lapses; own_spread: a spread
    for each outcome instead of one for all.
    """

    tails: Callable[[FloatArray, float], Tails]
    cdf: Callable[[FloatArray], FloatArray]
    own_spread: bool


LINKS: dict[str, Link] = {
    "thurstonian": Link(tails, special.ndtr, True),
    "case_v": Link(tails, special.ndtr, False),
    "bradley_terry": Link(logistic_tails, special.expit, False),
}
