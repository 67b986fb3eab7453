"""Which pairs to ask next: near neighbours in the current order, never a list of all pairs.

Swiss-style (random gaps in the order of the fit) and Thompson (the same in the order of a posterior
draw); information-greedy rules were not better (docs/references.md, key fitting).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evaluation.design import pair_codes, random_pairs
from plenary.errors import ConfigError
from plenary.preferences import BoolArray, FloatArray, IntArray

GAPS = 5


class PairSet:
    """Pairs of k outcomes that may not be asked (again), in either order."""

    def __init__(self, k: int, pairs: IntArray) -> None:
        """Start with `pairs` [P, 2]."""
        self.outcomes = k
        self._codes = np.unique(pair_codes(pairs, k))

    def __len__(self) -> int:
        return len(self._codes)

    def add(self, pairs: IntArray) -> None:
        """Take further pairs [P, 2] in."""
        fresh = np.unique(pair_codes(pairs, self.outcomes))
        fresh = fresh[~self._holds(fresh)]
        self._codes = np.insert(self._codes, np.searchsorted(self._codes, fresh), fresh)

    def lacks(self, pairs: IntArray) -> BoolArray:
        """Mask [P] of the pairs that are not in the set."""
        return ~self._holds(pair_codes(pairs, self.outcomes))

    def _holds(self, codes: IntArray) -> BoolArray:
        if not len(self._codes):
            return np.zeros(len(codes), dtype=bool)
        at = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
        return self._codes[at] == codes


def _neighbours(order: IntArray, low: int, high: int) -> IntArray:
    """Pairs of outcomes whose places in the order differ by low..high."""
    gaps = range(low, min(high, len(order) - 1) + 1)
    parts = [np.stack([order[:-gap], order[gap:]], axis=1) for gap in gaps]
    return np.concatenate(parts) if parts else np.empty((0, 2), dtype=np.int64)


def _first_uses(pairs: IntArray, most: int) -> BoolArray:
    """Mask [P] of the pairs before each of whose outcomes at most `most` - 1 earlier pairs came."""
    flat = pairs.ravel()
    order = np.argsort(flat, kind="stable")
    grouped = flat[order]
    starts = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]])
    rank = np.arange(len(flat)) - np.repeat(starts, np.diff(np.r_[starts, len(flat)]))
    used = np.empty(len(flat), dtype=np.int64)
    used[order] = rank
    return used.reshape(-1, 2).max(axis=1, initial=0) < most


def _spread(pairs: IntArray, count: int, k: int) -> IntArray:
    """`count` of the pairs [P, 2], early ones first, no outcome far more often than its share."""
    most, chosen = int(np.ceil(2 * count / k)), np.zeros(len(pairs), dtype=bool)
    while chosen.sum() < count:
        left = np.flatnonzero(~chosen)
        chosen[left[_first_uses(pairs[left], most)]] = True
    return pairs[np.flatnonzero(chosen)[:count]]


def neighbour_pairs(
    utilities: FloatArray, count: int, taken: PairSet, rng: np.random.Generator
) -> IntArray:
    """At most `count` pairs [P, 2] of near neighbours by `utilities` [K], none of them taken.

    Gaps of 1 to 5 places are drawn alike; only when those are used up do wider ones come in.
    """
    k, order = len(utilities), np.argsort(utilities, kind="stable")
    found, low, high = np.empty((0, 2), dtype=np.int64), 1, GAPS
    while len(found) < count and low < k:
        ring = _neighbours(order, low, high)
        ring = ring[taken.lacks(ring)]
        found = np.concatenate([found, ring[rng.permutation(len(ring))]])
        low, high = high + 1, 2 * high
    return _spread(found, min(count, len(found)), k)


def swiss(
    mu: FloatArray, sd: FloatArray, count: int, taken: PairSet, rng: np.random.Generator
) -> IntArray:
    """Neighbours in the order of the utilities mu [K]; their errors sd [K] play no part."""
    return neighbour_pairs(mu, count, taken, rng)


def thompson(
    mu: FloatArray, sd: FloatArray, count: int, taken: PairSet, rng: np.random.Generator
) -> IntArray:
    """Neighbours in the order of one draw from the posterior, mu [K] with errors sd [K]."""
    return neighbour_pairs(mu + sd * rng.standard_normal(len(mu)), count, taken, rng)


def uniform(
    mu: FloatArray, sd: FloatArray, count: int, taken: PairSet, rng: np.random.Generator
) -> IntArray:
    """Pairs drawn at random, whatever is known: the control of the other two."""
    k = len(mu)
    possible = k * (k - 1) // 2
    wanted = min(count, possible - len(taken))
    found = np.empty((0, 2), dtype=np.int64)
    while len(found) < wanted:
        free = 1 - len(taken) / possible
        pool = random_pairs(k, min(possible, int(1.2 * wanted / free) + 8), rng)
        found = pool[taken.lacks(pool)]
    return found[rng.permutation(len(found))[:wanted]]


Selector = Callable[[FloatArray, FloatArray, int, PairSet, np.random.Generator], IntArray]
SELECTORS: dict[str, Selector] = {"swiss": swiss, "thompson": thompson, "random": uniform}


def selector(name: str) -> Selector:
    """The rule called `name`; ConfigError when there is none."""
    try:
        return SELECTORS[name]
    except KeyError:
        known = ", ".join(SELECTORS)
        raise ConfigError(f"unknown selection {name!r}; use one of {known}") from None
