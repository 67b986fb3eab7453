"""Test-retest: two sets of answers of one unchanged model, the null for every comparison.

Where answers are sampled, the model is asked again with a new seed. A model that gives exact
probabilities returns the same numbers if asked the same, so what is varied instead is known to
carry no preference: the slot. The two orders of every pair are then put in different sets at
random; both sets contain every pair once. Other wordings would do as well, for models that follow
them. Source: docs/references.md, keys evaluation (section 2.4) and fitting (section 5).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evaluation.elicitation.answer_table import AnswerTable
from plenary.errors import NotMeasured
from plenary.preferences import BoolArray, ComparisonCounts


class RetestHalves(NamedTuple):
    """Two sets of answers to the same pairs, in the same templates, that differ only by noise."""

    first: AnswerTable
    second: AnswerTable


def _in_both_orders(cells: ComparisonCounts) -> BoolArray:
    """Mask [N] of the answered cells whose pair was answered in the other order, too."""
    size = int(max(cells.first.max(initial=0), cells.second.max(initial=0))) + 1
    answered = cells.answered
    shown, turned = cells.first * size + cells.second, cells.second * size + cells.first
    return answered & np.isin(shown, turned[answered])


def repeats_itself(table: AnswerTable) -> bool:
    """Whether asking again would return the same numbers, so that the orders must be used.

    All answers are exact, and all pairs were asked in both orders (a new seed would otherwise draw
    other orders).
    """
    cells = table.accepted
    answered = cells.answered
    return bool(answered.any() and not np.isnan(cells.mass[answered]).any()) and bool(
        _in_both_orders(cells)[answered].mean() > 0.5
    )


def orders_apart(table: AnswerTable, rng: np.random.Generator) -> RetestHalves:
    """For each pair answered in both orders, put one order in each set at random."""
    table = table.select(_in_both_orders(table.accepted))
    cells = table.cells
    if not len(cells):
        raise NotMeasured(
            "no pair was answered in both orders, so there is no test-retest; ask both "
            "orders, or ask "
            "the same model again"
        )
    size = int(max(cells.first.max(), cells.second.max())) + 1
    low, high = np.minimum(cells.first, cells.second), np.maximum(cells.first, cells.second)
    codes, pair = np.unique(low * size + high, return_inverse=True)
    turned = rng.permutation(len(codes))[pair] % 2 == 1
    one = (cells.first == low) ^ turned
    return RetestHalves(table.select(one), table.select(~one))
