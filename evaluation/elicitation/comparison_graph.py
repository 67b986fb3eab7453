"""The comparison graph: connected components, separated outcomes, and cells of a subset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from plenary.errors import NotMeasured
from plenary.preferences import BoolArray, ComparisonCounts, FloatArray, IntArray

SHOWN = 5


def _labels(source: IntArray, sink: IntArray, outcomes: int, connection: str) -> IntArray:
    """Component of each outcome [K], numbered by decreasing size."""
    edges = sparse.csr_array((np.ones(len(source)), (source, sink)), shape=(outcomes, outcomes))
    _, labels = csgraph.connected_components(edges, directed=True, connection=connection)
    order = np.argsort(-np.bincount(labels), kind="stable")
    return np.argsort(order)[labels].astype(np.int64)


def components(first: IntArray, second: IntArray, outcomes: int) -> IntArray:
    """Component [K] of each outcome in the graph of comparisons; 0 is the largest."""
    return _labels(first, second, outcomes, "weak")


def separated(
    first: IntArray, second: IntArray, wins: FloatArray, losses: FloatArray, outcomes: int
) -> BoolArray:
    """Outcomes [K] that only the prior keeps at a finite distance from the largest group.

    There are no chains of wins both from them to that group and back (Ford's condition for
    Bradley-Terry).
    """
    beaten = np.concatenate([second[wins > 0], first[losses > 0]])
    beater = np.concatenate([first[wins > 0], second[losses > 0]])
    return _labels(beater, beaten, outcomes, "strong") > 0


def require_connected(labels: IntArray) -> None:
    """Raise NotMeasured with the components [K] unless there is only one."""
    sizes = np.bincount(labels)
    if len(sizes) == 1:
        return
    small = [np.flatnonzero(labels == c)[:SHOWN].tolist() for c in range(1, min(len(sizes), SHOWN))]
    raise NotMeasured(
        f"comparisons fall into {len(sizes)} components of sizes {sizes[: 2 * SHOWN].tolist()!r}; "
        f"outcomes outside the largest begin {small!r}; ask pairs that connect them, fit each by "
        "itself (among), or set fit.disconnected to 'flag'"
    )


def among(cells: ComparisonCounts, members: IntArray) -> ComparisonCounts:
    """The cells whose two outcomes are both in `members` [M], renumbered 0..M-1 in that order."""
    size = (
        int(max(members.max(initial=0), cells.first.max(initial=0), cells.second.max(initial=0)))
        + 1
    )
    position = np.full(size, -1)
    position[members] = np.arange(len(members))
    first, second = position[cells.first], position[cells.second]
    keep = (first >= 0) & (second >= 0)
    return replace(cells.select(keep), first=first[keep], second=second[keep])
