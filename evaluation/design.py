"""Which pairs of outcomes are asked: balanced random graphs on either side of the split."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from plenary.errors import ConfigError
from plenary.outcomes import OutcomeSplit
from plenary.preferences import IntArray
from plenary.seeding import generator

SWAPS_AN_EDGE = 5


class DesignSettings(BaseModel):
    """How many pairs are asked on each side of the split of outcomes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train_pairs: int = Field(default=180, ge=1, description="pairs among training outcomes")
    held_out_pairs: int = Field(
        default=72, ge=1, description="pairs among held-out outcomes, never trained on"
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


def _circulant(k: int, degree: int) -> IntArray:
    """Edges [E, 2] of the circulant graph in which each of k nodes meets its `degree` nearest."""
    nodes = np.arange(k)
    parts = [np.stack([nodes, (nodes + gap) % k], axis=1) for gap in range(1, degree // 2 + 1)]
    if degree % 2:
        half = np.arange(k // 2)
        parts.append(np.stack([half, half + k // 2], axis=1))
    return np.concatenate(parts) if parts else np.empty((0, 2), dtype=np.int64)


def _shuffle_edges(edges: list[tuple[int, int]], fixed: int, rng: np.random.Generator) -> None:
    """Double-edge swaps in place: degrees stay, edges before `fixed` stay, no pair comes twice."""
    taken = {frozenset(edge) for edge in edges}
    movable = len(edges) - fixed
    picks = (
        rng.integers(fixed, len(edges), size=(SWAPS_AN_EDGE * movable, 2)).tolist()
        if movable
        else []
    )
    for x, y in picks:
        (a, b), (c, d) = edges[x], edges[y]
        new = (frozenset((a, d)), frozenset((c, b)))
        if len({a, b, c, d}) == 4 and not taken.intersection(new):
            taken.difference_update((frozenset((a, b)), frozenset((c, d))))
            taken.update(new)
            edges[x], edges[y] = (a, d), (c, b)


def random_regular_pairs(k: int, degree: int, rng: np.random.Generator) -> IntArray:
    """Pairs [k * degree / 2, 2], each of k outcomes `degree` times; connected from degree 2.

    A random ring keeps the graph connected, the other edges are randomised by double-edge swaps.
    """
    if not 1 <= degree < k or k * degree % 2:
        raise ConfigError(
            f"no graph of {k} outcomes has degree {degree!r}; use an even degree below {k}"
        )
    relabel = rng.permutation(k)
    edges = [(int(a), int(b)) for a, b in relabel[_circulant(k, degree)]]
    _shuffle_edges(edges, k if degree >= 2 and k > 2 else 0, rng)
    return _sorted(np.array(edges))


def balanced_pairs(k: int, count: int, rng: np.random.Generator) -> IntArray:
    """`count` distinct random pairs [P, 2] with degrees as equal as can be."""
    possible = k * (k - 1) // 2
    if count > possible:
        raise ConfigError(
            f"{count!r} pairs of {k} outcomes; ask for at most {possible} or take more outcomes"
        )
    degree = min(2 * count // k, k - 1)
    degree -= degree * k % 2
    base = random_regular_pairs(k, degree, rng) if degree else np.empty((0, 2), dtype=np.int64)
    return _sorted(np.concatenate([base, _fill(base, k, count - len(base), rng)]))


def _fill(base: IntArray, k: int, count: int, rng: np.random.Generator) -> IntArray:
    """`count` further pairs, none in `base`, each taken where the degrees are lowest."""
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
    """Train pairs among training, held-out pairs among held-out outcomes; no pair crosses."""
    train = balanced_pairs(
        len(split.train), settings.train_pairs, generator(seed, "design", "train")
    )
    held = balanced_pairs(
        len(split.held_out), settings.held_out_pairs, generator(seed, "design", "held-out")
    )
    return PairPlan(_sorted(split.train[train]), _sorted(split.held_out[held]))
