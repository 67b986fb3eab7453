"""Raking weights to margins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from census_data.raking import OUTSIDE, Margin, RakingSettings, design_effect, effective_n, rake
from plenary.errors import ConfigError, ConvergenceError, DataError
from plenary.seeding import generator


def margin(name, codes, targets, cells=None):
    names = tuple(cells or (f"{name} {k}" for k in range(len(targets))))
    return Margin(name, np.asarray(codes), np.asarray(targets, dtype=float), names)


def sums(m, weight):
    inside = m.codes > OUTSIDE
    return np.bincount(m.codes[inside], weight[inside], len(m.targets))


def problem(seed, people=300, sizes=(2, 3, 4)):
    """Margins that some positive weights meet: 1-, 2- and 3-way."""
    rng = generator(seed, "raking problem")
    one, two, three = (rng.integers(0, size, people) for size in sizes)
    hidden = rng.gamma(4.0, size=people)
    joint = (one * sizes[1] + two) * sizes[2] + three
    margins = []
    for name, codes in (("one", one), ("two", two), ("three", three), ("all", joint),
                        ("pair", one * sizes[1] + two)):  # fmt: skip
        seen, codes = np.unique(codes, return_inverse=True)
        margins.append(margin(name, codes, np.bincount(codes, hidden, len(seen))))
    return rng.gamma(4.0, size=people), margins


def test_two_by_two_by_hand():
    """Both margins of a 2 x 2 table, rows 30/70 and columns 40/60: the table stays independent."""
    rows, columns = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    raked = rake(np.ones(4), [margin("row", rows, [30, 70]), margin("column", columns, [40, 60])])
    assert raked.weight == pytest.approx([12, 18, 28, 42])
    assert raked.report.design_effect == pytest.approx(4 * (144 + 324 + 784 + 1764) / 10_000)
    assert raked.report.effective_n == pytest.approx(4 / raked.report.design_effect)
    assert (raked.report.smallest, raked.report.largest) == pytest.approx((0.48, 1.68))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(60, 400), st.permutations(range(5)))
def test_margins_are_met_by_positive_weights_in_any_order(seed, people, order):
    weight, margins = problem(seed, people)
    raked = rake(weight, margins)
    for m in margins:
        assert sums(m, raked.weight) == pytest.approx(m.targets, abs=1e-7 * raked.weight.sum())
    assert raked.weight.min() > 0
    assert raked.report.max_error <= 1e-7
    turned = rake(weight, [margins[k] for k in order])
    np.testing.assert_allclose(turned.weight, raked.weight, rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.permutations(range(3)))
def test_bounds_hold_and_order_still_does_not_matter(seed, order):
    weight, margins = problem(seed, 2000)
    bounds = RakingSettings(lowest=0.5, highest=2.5, tolerance=1e-9)
    raked = rake(weight, margins[:3], bounds)
    assert raked.report.smallest >= 0.5 - 1e-6
    assert raked.report.largest <= 2.5 + 1e-6
    assert raked.report.bounded > 0
    assert raked.report.max_error <= 1e-9
    turned = rake(weight, [margins[k] for k in order], bounds)
    np.testing.assert_allclose(turned.weight, raked.weight, rtol=1e-5)


def test_same_input_same_bytes():
    weight, margins = problem(3)
    assert rake(weight, margins).weight.tobytes() == rake(weight, margins).weight.tobytes()


def test_input_is_left_alone():
    weight, margins = problem(4)
    before = weight.copy()
    rake(weight, margins)
    np.testing.assert_array_equal(weight, before)


def test_people_outside_a_margin_keep_their_weight():
    raked = rake(np.ones(4), [margin("tenure", [0, 1, OUTSIDE, OUTSIDE], [3, 5])])
    assert raked.weight == pytest.approx([3, 5, 1, 1])


def test_nearest_weights_in_divergence():
    """The result is weight times one factor a cell: log ratios are additive over the margins."""
    weight, margins = problem(8, 500)
    ratio = np.log(rake(weight, margins[:2]).weight / weight)
    design = np.column_stack([np.eye(2)[margins[0].codes], np.eye(3)[margins[1].codes]])
    fitted, *_ = np.linalg.lstsq(design, ratio, rcond=None)
    np.testing.assert_allclose(design @ fitted, ratio, atol=1e-9)


@pytest.mark.parametrize("bad", [0.0, -2.0, np.nan, np.inf])
def test_weights_must_be_positive(bad):
    with pytest.raises(DataError, match=r"of person 1 is not positive"):
        rake(np.array([1.0, bad]), [margin("sex", [0, 1], [1, 1])])


def test_nothing_to_rake():
    with pytest.raises(ConfigError, match="no margin"):
        rake(np.ones(3), [])
    with pytest.raises(DataError, match="no person"):
        rake(np.ones(0), [margin("sex", [], [1])])


def test_empty_cell_is_named():
    with pytest.raises(DataError, match=r"'sex' wants 5.0 in cell 'woman', which has no person"):
        rake(np.ones(2), [margin("sex", [0, 0], [1, 5], ["man", "woman"])])


def test_people_without_a_target_are_named():
    with pytest.raises(DataError, match=r"wants nobody in cell 'woman', which has 1 persons"):
        rake(np.ones(2), [margin("sex", [0, 1], [1, 0], ["man", "woman"])])


@pytest.mark.parametrize("bad", [-1.0, np.nan])
def test_targets_must_be_counts(bad):
    with pytest.raises(DataError, match=r"margin 'sex' has targets that are not counts"):
        rake(np.ones(2), [margin("sex", [0, 1], [1, bad])])


def test_codes_must_fit():
    with pytest.raises(DataError, match=r"has 3 codes for 2 persons"):
        rake(np.ones(2), [margin("sex", [0, 1, 1], [1, 1])])
    with pytest.raises(DataError, match=r"fewer targets than cells"):
        rake(np.ones(2), [margin("sex", [0, 2], [1, 1])])


def test_totals_that_differ_name_both_margins():
    rows, columns = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    two = [margin("row", rows, [30, 70]), margin("column", columns, [50, 60])]
    with pytest.raises(DataError, match=r"'row' and 'column' contradict .*100\.0.*110\.0"):
        rake(np.ones(4), two)


def test_contradiction_inside_equal_totals_is_named():
    sex, joint = np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3])
    margins = [
        margin("sex", sex, [40, 60], ["man", "woman"]),
        margin("sex x age", joint, [30, 20, 20, 30]),
    ]
    with pytest.raises(DataError, match=r"people in 'man' are 40\.0 .* and 50\.0 by the second"):
        rake(np.ones(4), margins)


def test_margins_that_no_weights_meet_name_the_worst():
    """Pairwise agreement holds, yet the three 2-way tables of three coins cannot be joint."""
    a, b, c = np.array([(i >> 2 & 1, i >> 1 & 1, i & 1) for i in range(8)]).T
    tables = [
        margin("a x b", a * 2 + b, [1e-9, 50, 50, 1e-9]),
        margin("b x c", b * 2 + c, [1e-9, 50, 50, 1e-9]),
        margin("a x c", a * 2 + c, [1e-9, 50, 50, 1e-9]),
    ]
    with pytest.raises(ConvergenceError, match=r"margin '. x .' is off by .* cannot be met"):
        rake(np.ones(8), tables)


def test_bounds_too_narrow_say_so():
    narrow = RakingSettings(lowest=0.9, highest=1.1)
    with pytest.raises(ConvergenceError, match=r"'sex' is off by .*widen the bounds"):
        rake(np.ones(4), [margin("sex", [0, 0, 1, 1], [3, 1])], narrow)


def test_design_effect_by_hand():
    weight = np.array([1.0, 3.0])
    assert design_effect(weight) == pytest.approx(1.25)
    assert effective_n(weight) == pytest.approx(1.6)
