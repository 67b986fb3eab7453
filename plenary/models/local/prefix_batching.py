"""Prefix batching: which prompts share a prefix and which are computed in the same batch.

A row is an int32 array of token ids. Everything here is numpy; the forward passes are in `forward`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plenary.preferences import IntArray

TokenRow = NDArray[np.int32]

# The cost of one more prefix (a second forward pass, smaller batches), in tokens; measured on the
# embedded model.
PREFIX_COST = 512
_JOB_BATCHES = 8


class Run(NamedTuple):
    """Rows that share their first `prefix` tokens; `members` are positions, shortest first."""

    prefix: int
    members: IntArray


def _adjacent_prefixes(rows: Sequence[TokenRow]) -> IntArray:
    """Length of the common prefix of each row with the row before it; 0 for the first."""
    result = np.zeros(len(rows), dtype=np.int64)
    for k in range(1, len(rows)):
        shorter = min(len(rows[k - 1]), len(rows[k]))
        differs = rows[k - 1][:shorter] != rows[k][:shorter]
        first = int(differs.argmax()) if shorter else 0
        result[k] = first if shorter and differs[first] else shorter
    return result


class _Plan(NamedTuple):
    cost: int
    runs: list[tuple[int, int, int]]


def _best(start: int, stop: int, shared: IntArray, lengths: IntArray, least: int) -> _Plan:
    """Cheapest way to compute the sorted rows start..stop: one prefix, or the best of each part."""
    total = int(lengths[start:stop].sum())
    count = stop - start
    if count == 1:
        return _Plan(total, [])
    inner = shared[start + 1 : stop]
    prefix = min(int(inner.min()), int(lengths[start:stop].min()) - 1)
    together = total - prefix * (count - 1) + PREFIX_COST
    longest = int(inner.max())
    if longest <= least or longest * (count - 1) <= PREFIX_COST:
        return _Plan(total, [])
    cuts = [start, *(np.flatnonzero(inner == inner.min()) + start + 1).tolist(), stop]
    parts = (
        []
        if longest == inner.min()
        else [_best(a, b, shared, lengths, least) for a, b in pairwise(cuts)]
    )
    apart = sum(part.cost for part in parts) if parts else total
    if prefix >= least and together < min(apart, total):
        return _Plan(together, [(prefix, start, stop)])
    return _Plan(apart, [run for part in parts for run in part.runs])


def plan_runs(rows: Sequence[TokenRow], *, least: int = 8) -> list[Run]:
    """Partition rows so that long common prefixes are computed once if that saves work.

    Rows that gain nothing from sharing end up together in one run with prefix 0. A prefix is always
    shorter than each of its rows, so every row keeps at least one token of its own.
    """
    if not rows:
        return []
    keys = [row.astype(">i4").tobytes() for row in rows]
    order = np.array(sorted(range(len(rows)), key=keys.__getitem__), dtype=np.int64)
    ordered = [rows[k] for k in order]
    lengths = np.array([len(row) for row in ordered], dtype=np.int64)
    plan = _best(0, len(rows), _adjacent_prefixes(ordered), lengths, least)
    alone = np.ones(len(rows), dtype=bool)
    runs = []
    for prefix, start, stop in plan.runs:
        alone[start:stop] = False
        runs.append(Run(prefix, _shortest_first(order[start:stop], lengths[start:stop])))
    if alone.any():
        runs.append(Run(0, _shortest_first(order[alone], lengths[alone])))
    return runs


def _shortest_first(members: IntArray, lengths: IntArray) -> IntArray:
    return members[np.argsort(lengths, kind="stable")]


def one_run(rows: Sequence[TokenRow]) -> Run:
    """All rows in one run without a prefix."""
    return Run(0, np.argsort([len(row) for row in rows], kind="stable"))


class PrefixJob(NamedTuple):
    """One prefix and the batches [positions] that one worker computes after it."""

    prefix: TokenRow
    batches: list[IntArray]


def plan_jobs(
    runs: Sequence[Run], rows: Sequence[TokenRow], batch_tokens: int, *, spare: int = 0
) -> list[PrefixJob]:
    """Cut runs into batches and spread the batches of a long run over several jobs."""
    jobs = []
    for run in runs:
        cut = list(_batches(run, rows, batch_tokens, spare))
        prefix = rows[run.members[0]][: run.prefix]
        jobs.extend(
            PrefixJob(prefix, cut[k : k + _JOB_BATCHES]) for k in range(0, len(cut), _JOB_BATCHES)
        )
    return jobs


def _batches(
    run: Run, rows: Sequence[TokenRow], batch_tokens: int, spare: int
) -> Iterator[IntArray]:
    """Batches of at most `batch_tokens` padded tokens, longest rows first.

    The cap counts the tokens of a batch beyond the prefix, including `spare` tokens per row, and a
    quarter of the prefix, which costs memory but no matrix product.
    """
    members = run.members[::-1]
    start = 0
    while start < len(members):
        widest = len(rows[members[start]]) - run.prefix + spare + run.prefix // 4
        count = max(1, batch_tokens // widest)
        yield members[start : start + count]
        start += count
