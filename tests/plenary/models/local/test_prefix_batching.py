from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from plenary.models.local.prefix_batching import (
    PREFIX_COST,
    TokenRow,
    one_run,
    plan_jobs,
    plan_runs,
)


def row(*ids: int) -> TokenRow:
    return np.array(ids, dtype=np.int32)


def crowd(prefix: int, count: int, rng: np.random.Generator) -> list[TokenRow]:
    """Rows that share `prefix` tokens and then differ."""
    shared = rng.integers(0, 50, prefix)
    return [
        np.concatenate([shared, [100 + k], rng.integers(0, 50, 5)]).astype(np.int32)
        for k in range(count)
    ]


def test_each_crowd_gets_its_own_prefix_and_strangers_none() -> None:
    rng = np.random.default_rng(0)
    rows = [*crowd(60, 40, rng), row(1, 2, 3), *crowd(80, 30, rng), row(9, 9)]
    order = rng.permutation(len(rows))
    runs = plan_runs([rows[k] for k in order])
    assert sorted((run.prefix, len(run.members)) for run in runs) == [(0, 2), (60, 40), (80, 30)]


def test_one_deep_prefix_beats_many_shallow_ones() -> None:
    rng = np.random.default_rng(1)
    runs = plan_runs(crowd(100, 4, rng))
    assert [run.prefix for run in runs] == [0]  # 300 tokens saved are less than a prefix costs
    assert PREFIX_COST > 300


def test_equal_rows_keep_a_token_of_their_own() -> None:
    runs = plan_runs([row(*range(400))] * 10)
    assert runs[0].prefix == 399


def test_nothing_to_plan() -> None:
    assert plan_runs([]) == []
    assert plan_jobs([], [], 100) == []


@given(
    st.lists(
        st.lists(st.integers(0, 2), min_size=1, max_size=40).map(lambda ids: row(*ids)),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 300),
)
def test_every_row_is_computed_once_after_its_own_prefix(rows: list[TokenRow], cap: int) -> None:
    jobs = plan_jobs(plan_runs(rows, least=1), rows, cap)
    seen = [k for job in jobs for members in job.batches for k in members]
    assert sorted(seen) == list(range(len(rows)))
    for job in jobs:
        for members in job.batches:
            for k in members:
                assert len(rows[k]) > len(job.prefix)
                assert (rows[k][: len(job.prefix)] == job.prefix).all()


def test_batches_stay_within_the_cap() -> None:
    rows = [row(*range(n)) for n in range(1, 50)]
    for job in plan_jobs([one_run(rows)], rows, 200, spare=3):
        for members in job.batches:
            widest = max(len(rows[k]) for k in members) + 3
            assert len(members) == 1 or widest * len(members) <= 200
