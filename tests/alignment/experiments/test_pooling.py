from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from alignment.experiments.control_table import ControlRow, ControlTable
from alignment.experiments.estimates import ScoreEstimate, WordingGain
from alignment.experiments.pooling import PooledArm, pooled
from plenary.errors import DataError
from plenary.seeding import generator


def estimate(value: float) -> ScoreEstimate:
    return ScoreEstimate(value=value, low=value - 0.1, high=value + 0.1)


def row(arm: str, gain: float, lead: float | None) -> ControlRow:
    behind = None if lead is None else estimate(lead)
    return ControlRow(
        arm=arm, seeds=2, agreement=estimate(0.6 + gain), gain=estimate(gain), behind=behind,
        of_ceiling=(0.6 + gain) / 0.95, kl=0.1, kl_gain=estimate(0.3), kl_behind=behind,
        overlap=None, overlap_behind=None, similarity=None, directional_gain=0.8, side_effect=None,
        wordings=WordingGain(share=0.9, worst=0.8, above_half=estimate(0.3)), incoherence=0.0,
        drift_untouched=None, kl_neutral=0.05, bits=None, accuracy=None, empty=None, repeated=None,
        verdicts={}, seconds=1.0,
    )  # fmt: skip


def table(
    gain: float, control: float, *, arms: tuple[str, ...] = ("assembly", "x")
) -> ControlTable:
    rows = (row(arms[0], gain, None), row(arms[1], control, gain - control))
    return ControlTable(agreement_before=0.6, kl_before=0.4, ceiling=0.95, pairs=80, rows=rows)


def arm(name: str, found: tuple[PooledArm, ...]) -> PooledArm:
    return next(one for one in found if one.arm == name)


def test_three_panels_by_hand() -> None:
    found = pooled([table(0.30, 0.10), table(0.20, 0.10), table(0.25, 0.00)])
    own, control = arm("assembly", found), arm("x", found)
    assert own.gains == (0.30, 0.20, 0.25)
    assert own.behind is None
    # mean .25, sd .05, Student's t with 2 degrees of freedom 4.3027
    assert own.gain.value == pytest.approx(0.25)
    assert own.gain.high - own.gain.value == pytest.approx(4.3027 * 0.05 / 3**0.5, abs=1e-4)
    assert control.behind is not None
    assert control.behind.value == pytest.approx((0.20 + 0.10 + 0.25) / 3)
    assert control.overlap_behind is None
    assert control.behind_where_apart is None
    assert own.gain_untrained is not None
    assert own.gain_untrained.value == pytest.approx(0.9 * 0.25)


def test_the_order_of_panels_changes_no_interval() -> None:
    tables = [table(g, 0.05 * k) for k, g in enumerate((0.3, 0.2, 0.26, 0.1))]
    there, back = arm("x", pooled(tables)), arm("x", pooled(tables[::-1]))
    assert there.behind is not None
    assert back.behind is not None
    assert there.behind.model_dump() == pytest.approx(back.behind.model_dump())
    assert there.gains == back.gains[::-1]


def test_intervals_hold_the_planted_lead_as_often_as_they_say() -> None:
    rng, covered, draws = generator(0, "test", "pooling"), 0, 400
    for _ in range(draws):
        leads = rng.normal(0.05, 0.04, 5)
        lead = arm("x", pooled([table(0.2 + d, 0.2) for d in leads])).behind
        assert lead is not None
        covered += lead.low <= 0.05 <= lead.high
    low, high = stats.binom.ppf([0.0005, 0.9995], draws, 0.95)
    assert low <= covered <= high


def test_only_arms_that_all_control_experiments_have_are_pooled() -> None:
    some = [table(0.3, 0.1), table(0.2, 0.1, arms=("assembly", "other"))]
    assert [one.arm for one in pooled(some)] == ["assembly"]


def test_one_panel_or_nothing_in_common_is_refused() -> None:
    with pytest.raises(DataError, match="one panel"):
        pooled([table(0.3, 0.1)])
    with pytest.raises(DataError, match="no arm is in all"):
        pooled([table(0.3, 0.1, arms=("a", "b")), table(0.3, 0.1, arms=("c", "d"))])


def test_no_interval_is_made_up_for_one_value() -> None:
    assert np.isfinite(arm("assembly", pooled([table(0.3, 0.1), table(0.2, 0.1)])).gain.low)
