"""The comparison design: which pairs are asked (random graphs) on either side of the split."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from plenary.errors import ConfigError
from plenary.outcomes import OutcomeSplit
from plenary.preferences import BoolArray, IntArray
from plenary.seeding import generator

REPAIRS = 200


class DesignSettings(BaseModel):
    """How many pairs are asked on each side of the split of outcomes.

    A side whose outcomes make fewer pairs is asked all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    train_pairs: int = Field(
        default=180,
        ge=1,
        description="pairs among training outcomes; all of them where they make fewer",
    )
    held_out_pairs: int = Field(
        default=72,
        ge=1,
        description="pairs among held-out outcomes, never trained on; all where they make fewer",
    )


class PairPlan(NamedTuple):
    """Pairs of outcome indices, smaller index first, sorted: train [P1, 2] and held_out [P2, 2]."""

    train: IntArray
    held_out: IntArray


def _sorted(pairs: IntArray) -> IntArray:
    pairs = np.sort(np.asarray(pairs, dtype=np.int64).reshape(-1, 2), axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _decode(codes: IntArray, k: int) -> IntArray:
    """Pairs [P, 2] at positions `codes` of the row-wise upper triangle of a k x k table."""
    starts = np.concatenate([[0], np.cumsum(np.arange(k - 1, 0, -1))])
    first = np.searchsorted(starts, codes, side="right") - 1
    return np.stack([first, codes - starts[first] + first + 1], axis=1)


def random_pairs(k: int, count: int, rng: np.random.Generator) -> IntArray:
    """`count` distinct pairs [P, 2] of k outcomes, uniform, without listing all pairs."""
    possible = k * (k - 1) // 2
    if not 0 <= count <= possible:
        raise ConfigError(f"{count!r} pairs of {k} outcomes; ask for at most {possible}")
    return _sorted(_decode(rng.choice(possible, size=count, replace=False), k))


def all_pairs(k: int) -> IntArray:
    """Every pair [K (K - 1) / 2, 2] of k outcomes."""
    return _decode(np.arange(k * (k - 1) // 2), k)


def pair_codes(pairs: IntArray, k: int) -> IntArray:
    """One integer per pair [P, 2] of k outcomes, the same in either order."""
    low, high = np.minimum(pairs[:, 0], pairs[:, 1]), np.maximum(pairs[:, 0], pairs[:, 1])
    return low * k + high


def _rings(k: int, degree: int, rng: np.random.Generator) -> IntArray:
    """Edges [k * degree / 2, 2] of random rings and, for an odd degree, a random matching.

    Every outcome has this degree; a pair may occur twice. The first ring comes first.
    """
    parts = []
    for _ in range(degree // 2):
        ring = rng.permutation(k)
        parts.append(np.stack([ring, np.roll(ring, -1)], axis=1))
    if degree % 2:
        parts.append(rng.permutation(k).reshape(-1, 2))
    return np.concatenate(parts)


def _repeated(codes: IntArray) -> BoolArray:
    """Mask [E] of the edges whose code occurred before."""
    _, first = np.unique(codes, return_index=True)
    mask = np.ones(len(codes), dtype=bool)
    mask[first] = False
    return mask


def _untangle(edges: IntArray, k: int, fixed: int, rng: np.random.Generator) -> bool:
    """Swap ends between edges, in place, until no pair occurs twice; whether that succeeded.

    Degrees stay the same, and so do the edges before `fixed`, which are distinct.
    """
    for _ in range(REPAIRS):
        codes = pair_codes(edges, k)
        bad = np.flatnonzero(_repeated(codes) | (edges[:, 0] == edges[:, 1]))
        if not len(bad):
            return True
        others = np.setdiff1d(np.arange(fixed, len(edges)), bad)
        partners = rng.permutation(others)[: len(bad)]
        bad = rng.permutation(bad)[: len(partners)]
        mine, theirs = edges[bad], edges[partners]
        new = np.stack([mine[:, 0], theirs[:, 1], theirs[:, 0], mine[:, 1]], axis=1)
        fresh = np.stack([pair_codes(new[:, :2], k), pair_codes(new[:, 2:], k)], axis=1)
        taken = np.isin(fresh, codes) | _repeated(fresh.ravel()).reshape(-1, 2)
        loops = (new[:, 0] == new[:, 1]) | (new[:, 2] == new[:, 3])
        good = ~taken.any(axis=1) & ~loops
        edges[bad[good]], edges[partners[good]] = new[good, :2], new[good, 2:]
    return False


def random_regular_pairs(k: int, degree: int, rng: np.random.Generator) -> IntArray:
    """Pairs [k * degree / 2, 2] with each of k outcomes `degree` times; connected from degree 2 on.

    Random rings are superposed and pairs that occur twice are swapped away; one ring stays as it is
    and keeps the graph connected. A graph with more than half of all pairs is the complement of a
    sparser one, and is connected by its degree alone (Dirac).
    """
    if not 1 <= degree < k or k * degree % 2:
        raise ConfigError(
            f"no graph of {k} outcomes has degree {degree!r}; use an even degree below {k}"
        )
    rest = k - 1 - degree
    if rest < degree and 2 * degree >= k:
        missing = _regular(k, rest, rng) if rest else np.empty((0, 2), dtype=np.int64)
        everything = all_pairs(k)
        kept = ~np.isin(pair_codes(everything, k), pair_codes(missing, k))
        return everything[kept]
    return _sorted(_regular(k, degree, rng))


def _regular(k: int, degree: int, rng: np.random.Generator) -> IntArray:
    fixed = k if degree > 1 and k > 2 else 0
    while True:
        edges = _rings(k, degree, rng)
        if _untangle(edges, k, fixed, rng):
            return edges


def balanced_pairs(k: int, count: int, rng: np.random.Generator) -> IntArray:
    """`count` distinct random pairs [P, 2], degrees as equal as possible; K - 1 connect all."""
    possible = k * (k - 1) // 2
    if count > possible:
        raise ConfigError(
            f"{count!r} pairs of {k} outcomes; ask for at most {possible} or take more outcomes"
        )
    if count == k - 1:
        # Just enough to connect all outcomes: a path does, a matching with additions may not.
        order = rng.permutation(k)
        return _sorted(np.stack([order[:-1], order[1:]], axis=1))
    degree = min(2 * count // k, k - 1)
    degree -= degree * k % 2
    base = random_regular_pairs(k, degree, rng) if degree else np.empty((0, 2), dtype=np.int64)
    return _sorted(np.concatenate([base, _fill(base, k, count - len(base), rng)]))


def _fill(base: IntArray, k: int, count: int, rng: np.random.Generator) -> IntArray:
    """`count` more pairs, none in `base`, each chosen where the degrees are lowest."""
    if not count:
        return np.empty((0, 2), dtype=np.int64)
    used = set((base[:, 0] * k + base[:, 1]).tolist())
    possible = k * (k - 1) // 2
    candidates = random_pairs(k, min(possible, len(base) + 20 * count), rng)
    candidates = candidates[rng.permutation(len(candidates))]
    candidates = candidates[[a * k + b not in used for a, b in candidates.tolist()]]
    degrees = np.bincount(base.ravel(), minlength=k)
    return np.array(_lowest_degrees_first(candidates.tolist(), degrees, count), dtype=np.int64)


def _lowest_degrees_first(
    candidates: list[list[int]], degrees: IntArray, count: int
) -> list[list[int]]:
    chosen: list[list[int]] = []
    ceiling = int(degrees.min())
    while len(chosen) < count:
        ceiling += 1
        left = []
        for pair in candidates:
            if len(chosen) < count and (degrees[pair] < ceiling).all():
                degrees[pair] += 1
                chosen.append(pair)
            else:
                left.append(pair)
        candidates = left
    return chosen


def plan_pairs(split: OutcomeSplit, settings: DesignSettings, seed: int) -> PairPlan:
    """Train pairs among training outcomes, held-out pairs among held-out ones; no pair crosses.

    A side has at most the pairs that its outcomes make; ConfigError if they make none.
    """
    planned: list[IntArray] = []
    sides = (
        ("train", split.train, settings.train_pairs),
        ("held-out", split.held_out, settings.held_out_pairs),
    )
    for side, members, wanted in sides:
        k = len(members)
        possible = k * (k - 1) // 2
        if not possible:
            raise ConfigError(
                f"{k} {side} outcome makes no pair; give at least 4 outcomes, or change the share "
                "held out (outcomes.held_out)"
            )
        pairs = balanced_pairs(k, min(wanted, possible), generator(seed, "design", side))
        planned.append(_sorted(members[pairs]))
    return PairPlan(*planned)
