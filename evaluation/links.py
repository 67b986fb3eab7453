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
LARGEST = 700.0
LinkName = Literal["thurstonian", "case_v", "bradley_terry"]


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
    """Mix a link with answers at random: P = lapse / 2 + (1 - lapse) * link.

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
