"""What stands for asking again: every pair once in either set, and noise of the right size."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.comparison.compare import ComparisonSettings
from evaluation.comparison.utility_shift import null_distribution, utility_shift
from evaluation.consistency.test_retest import orders_apart, repeats_itself
from evaluation.elicitation.answer_table import AnswerTable, Origin
from evaluation.elicitation.design import balanced_pairs
from evaluation.utility.thurstonian import fit
from plenary.errors import DataError
from plenary.preferences import ComparisonCounts


def _table(cells):
    none = np.zeros(len(cells), dtype=np.int64)
    origin = Origin(source="planted", outcomes=(), templates=("plain",))
    return AnswerTable(cells, none.astype(bool), none, origin)


def _apart(cells, rng):
    return [half.cells for half in orders_apart(_table(cells), rng)]


def _asked(planted, count, seed=0, k=60, pairs=420, **rest):
    rng = np.random.default_rng(seed)
    world, chosen = planted(k, rng, **rest), balanced_pairs(k, pairs, rng)
    return world.answers(chosen, rng, count), world, chosen, rng


def test_each_set_holds_every_pair_once_in_opposite_orders(planted):
    cells, _, pairs, rng = _asked(planted, None)
    first, second = _apart(cells, rng)
    keys = [np.stack([h.first, h.second], axis=1).tolist() for h in (first, second)]
    assert sorted(keys[0]) == sorted(row[::-1] for row in keys[1])
    assert sorted(sorted(row) for row in keys[0]) == sorted(sorted(p) for p in pairs.tolist())
    assert 0.4 < (first.first < first.second).mean() < 0.6
    given = {(i, j): w for i, j, w in zip(cells.first, cells.second, cells.wins, strict=True)}
    assert all(
        given[i, j] == w for h in (first, second)
        for i, j, w in zip(h.first, h.second, h.wins, strict=True)
    )  # fmt: skip


def test_exact_answers_in_both_orders_repeat_themselves_and_others_do_not(planted):
    exact, counted = (_asked(planted, count)[0] for count in (None, 5))
    assert repeats_itself(_table(exact))
    assert not repeats_itself(_table(counted))
    assert not repeats_itself(_table(exact.select(np.arange(0, len(exact), 2))))
    with pytest.raises(DataError, match="no pair was answered in both orders"):
        _apart(exact.select(np.arange(0, len(exact), 2)), np.random.default_rng(0))


def test_answers_for_no_preference_are_answers_and_excluded_cells_are_none():
    zero, one = np.zeros(4), np.ones(4)
    shown = np.array([0, 1, 2, 3]), np.array([1, 0, 3, 2])
    table = _table(ComparisonCounts(*shown, zero, zero, zero, one, one))
    assert repeats_itself(table)
    halves = orders_apart(table, np.random.default_rng(0))
    assert [half.cells.undecided.tolist() for half in halves] == [[1, 1], [1, 1]]
    gone = replace(table, excluded=np.array([False, False, False, True]))
    assert [len(half.cells) for half in orders_apart(gone, np.random.default_rng(0))] == [1, 1]


def test_pairs_answered_in_one_order_only_are_left_out():
    zero = np.zeros(4)
    cells = ComparisonCounts(
        np.array([0, 1, 1, 2]), np.array([1, 0, 2, 1]), zero, np.array([1.0, 1, 1, 0]), zero, zero
    )
    first, second = _apart(cells, np.random.default_rng(0))
    assert len(first) == len(second) == 1
    assert {*first.first.tolist(), *second.first.tolist()} == {0, 1}


def test_sampled_orders_apart_know_the_errors_as_well_as_asking_again(planted):
    inflations = []
    for seed in range(6):
        cells, world, pairs, rng = _asked(planted, 10, seed)
        halves = [fit(half, 60) for half in _apart(cells, rng)]
        again = [fit(world.answers(pairs, rng, 10), 60) for _ in range(2)]
        for one, other in (halves, again):
            inflations.append(null_distribution([(one, other)], None, 0.95).inflation)
    assert np.mean(inflations[::2]) == pytest.approx(np.mean(inflations[1::2]), abs=0.2)


def test_noise_of_the_slot_in_exact_answers_moves_no_outcome(planted):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        world, pairs = planted(60, rng, bias=0.1), balanced_pairs(60, 420, rng)
        before, after = (_shaken(world.answers(pairs, rng, None), rng) for _ in range(2))
        one, two = (fit(half, 60) for half in _apart(before, rng))
        old, new = (fit(cells, 60) for cells in (before, after))
        shift = utility_shift(old, new, old, ComparisonSettings(), retest=[(one, two)])
        assert not shift.moved.any()


def _shaken(cells, rng):
    """Exact answers disturbed by what is particular to a pair in an order."""
    logit = np.log(cells.wins.clip(1e-6, 1 - 1e-6)) - np.log1p(-cells.wins.clip(1e-6, 1 - 1e-6))
    p = 1 / (1 + np.exp(-logit - 0.4 * rng.standard_normal(len(cells))))
    return ComparisonCounts(cells.first, cells.second, p, cells.trials, cells.invalid, cells.mass)
