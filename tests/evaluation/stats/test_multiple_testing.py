"""Error rates over many tests, held against their definitions written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.stats.multiple_testing import adjusted_fdr, reject_fdr

# No p value lies on a bound k * rate / K itself, where the last bit decides.
P_VALUES = st.lists(
    st.one_of(
        st.floats(0, 1), st.sampled_from([0.0, 0.0003, 0.0131, 0.0377, 0.31, 1.0, float("nan")])
    ),
    max_size=30,
)
RATE = 0.0499


def step_up(p: list[float], rate: float) -> list[bool]:
    """Benjamini and Hochberg (1995): reject the k smallest, k the last with p(k) <= k rate / K."""
    ranked = sorted(value for value in p if value == value)
    passing = [value for k, value in enumerate(ranked, 1) if value <= k * rate / len(p)]
    return [bool(passing) and value <= passing[-1] for value in p]


@given(P_VALUES)
def test_the_step_up_rule_with_ties_and_with_hypotheses_without_a_p_value(p: list[float]) -> None:
    assert reject_fdr(np.array(p), RATE).tolist() == step_up(p, RATE)


@given(P_VALUES)
def test_an_adjusted_p_value_is_the_lowest_rate_that_rejects(p: list[float]) -> None:
    adjusted = adjusted_fdr(p)
    assert np.isnan(adjusted).tolist() == np.isnan(p).tolist()
    for value, least in zip(p, adjusted.tolist(), strict=True):
        if value != value:
            continue
        steps = [
            other * len(p) / sum(third <= other for third in p) for other in p if other >= value
        ]
        assert least == pytest.approx(min(1.0, *steps))


def test_no_hypotheses_give_no_p_values() -> None:
    assert adjusted_fdr([]).shape == (0,)
    assert reject_fdr(np.empty(0), 0.05).shape == (0,)


def test_all_hypotheses_without_a_p_value_are_kept() -> None:
    assert not reject_fdr(np.full(4, np.nan), 0.05).any()
