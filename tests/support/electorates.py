"""Electorates made of rankings, and planted ones whose utilities are known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from assembly.aggregation.electorate import Electorate
from plenary.preferences import FloatArray, IntArray

CITIZEN_SD, NOISE = 0.5, 0.5


def all_pairs(outcomes: int) -> IntArray:
    return np.array(list(itertools.combinations(range(outcomes), 2)))


def ranked_voters(rankings: dict[str, float]) -> Electorate:
    """One citizen a ranking such as "acbed", weighing its voters; outcomes in alphabetic order."""
    outcomes = len(next(iter(rankings)))
    pairs = all_pairs(outcomes)
    place = np.array([[ballot.index(chr(97 + k)) for k in range(outcomes)] for ballot in rankings])
    shares = (place[:, pairs[:, 0]] < place[:, pairs[:, 1]]).astype(float)
    return Electorate.unstratified(shares, pairs, np.array(list(rankings.values())), outcomes)


def voters(shares: Sequence[Sequence[float]], weights: Sequence[float], **rest) -> Electorate:
    """Citizens' shares on the pairs of two or more outcomes, in one stratum unless given."""
    table = np.array(shares, dtype=float)
    outcomes = next(k for k in range(2, 99) if k * (k - 1) // 2 == table.shape[1])
    strata = np.array(rest.get("strata", [0] * len(table)))
    population = np.array(rest.get("strata_shares", [1.0]))
    return Electorate(table, all_pairs(outcomes), np.array(weights), outcomes, strata, population)


class Planted(NamedTuple):
    """An electorate and the truth behind it: utilities [G, K] of strata, [K] of the population."""

    electorate: Electorate
    strata: FloatArray
    population: FloatArray

    def share(self, pairs: IntArray) -> FloatArray:
        """True share [P] of the population that answers for pairs[:, 0]."""
        lead = self.strata[:, pairs[:, 0]] - self.strata[:, pairs[:, 1]]
        spread = np.sqrt(2 * CITIZEN_SD**2 + 2 * NOISE**2)
        return self.electorate.strata_shares @ ndtr(lead / spread)


def planted(
    rng: np.random.Generator,
    outcomes: int = 60,
    citizens: int = 200,
    strata: int = 8,
    votes: int = 60,
    apart: float = 0.6,
    pairs: int = 2000,
    silent: int = 0,
    uneven: float = 2.0,
    degrees: float | None = None,
) -> Planted:
    """Citizens drawn from strata whose utilities differ by `apart` (sd).

    The smaller `uneven`, the less alike are the strata's chances of being drawn. Each citizen votes
    once on `votes` of the pairs; the last `silent` pairs get no vote at all. What the strata share
    is normal, or Student's t with `degrees` degrees of freedom, of sd 1 either way.
    """
    population = rng.dirichlet(np.full(strata, 4.0))
    drawn = rng.choice(strata, citizens - strata, p=rng.dirichlet(np.full(strata, uneven)))
    of = np.concatenate([np.arange(strata), drawn])
    weights = population[of] / np.bincount(of, minlength=strata)[of]
    if degrees is None:
        shared = rng.normal(size=outcomes)
    else:
        shared = rng.standard_t(degrees, outcomes) * np.sqrt((degrees - 2) / degrees)
    own = shared + apart * rng.normal(size=(strata, outcomes))
    utilities = own[of] + CITIZEN_SD * rng.normal(size=(citizens, outcomes))
    asked = all_pairs(outcomes)
    asked = asked[rng.permutation(len(asked))[:pairs]]
    lead = utilities[:, asked[:, 0]] - utilities[:, asked[:, 1]]
    shares = (rng.uniform(size=lead.shape) < ndtr(lead / NOISE / np.sqrt(2))).astype(float)
    order = np.argsort(rng.uniform(size=(citizens, len(asked) - silent)), axis=1)
    voted = np.zeros(shares.shape, dtype=bool)
    np.put_along_axis(voted, order[:, :votes], True, axis=1)
    shares[~voted] = np.nan
    electorate = Electorate(shares, asked, weights, outcomes, of, population)
    return Planted(electorate, own, population @ own)


def standardised(values: FloatArray) -> FloatArray:
    return (values - values.mean(axis=-1, keepdims=True)) / values.std(axis=-1, keepdims=True)


def rmse(found: FloatArray, truth: FloatArray) -> float:
    return float(np.sqrt(np.mean((found - truth) ** 2)))
