"""Exchange rates: planted rates, rates that hang on the wording, nulls, and groups of people."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats
from support.choosers import Chooser, NullChooser

from evaluation.batteries.base import (
    BatteryMaterial,
    BatteryResult,
    BatterySettings,
    ends,
    load_stimuli,
)
from evaluation.batteries.values.exchange_rates import (
    ExchangeStimuli,
    UtilityCurve,
    curve,
    fitted_curves,
    log_rate,
    measure,
    moving_share,
    rate_draws,
)
from plenary.models.base import Conversation
from plenary.outcomes import Catalogue, Outcome
from plenary.seeding import generator

STIMULI = load_stimuli(ExchangeStimuli, "exchange_rates")
NOTHING = Catalogue(tuple(Outcome(id=t, text=t, topic="t") for t in "ab"))
SETTINGS = BatterySettings(bootstrap=200)
MATERIAL = BatteryMaterial(NOTHING, settings=SETTINGS)
RATES = {"trees": 1.0, "books": 3.0, "dollars": 0.5, "kilometres": 40.0, "days": 90.0, "dogs": 8.0}


def worth(text: str) -> float:
    """Log of the worth in trees."""
    amount = float(re.search(r"[\d,]+", text).group().replace(",", ""))
    return float(np.log(amount * next((v for k, v in RATES.items() if k in text), 1.0)))


class Templated(Chooser):
    """Goods bought with money are worth a tenth where the question speaks of what is better."""

    def lead(self, conversation: Conversation) -> float:
        moved = "better" in conversation[-1].content
        first, second = re.findall(r"^Option .: (.*)$", conversation[-1].content, re.MULTILINE)
        extra = [np.log(0.1) * (moved and "dollars" in t) for t in (first, second)]
        return worth(first) - worth(second) + float(extra[0] - extra[1])


class Listening(NullChooser):
    """Remembers what it was asked."""

    heard = ""

    def lead(self, conversation: Conversation) -> float:
        self.heard += conversation[-1].content
        return super().lead(conversation)


def asked(chooser: Chooser, material: BatteryMaterial = MATERIAL) -> BatteryResult:
    return asyncio.run(measure(chooser, material, 1))


def test_planted_rates_are_recovered() -> None:
    found = asked(Chooser(worth, 1.0, bias=0.5))
    values = {m.name: m for m in found.measures}
    books = next(m for n, m in values.items() if n.startswith("school books worth"))
    assert books.value == pytest.approx(500 / 3, rel=0.1)
    assert books.low <= books.value <= books.high
    assert values["wording factor"].value < 1.1
    assert found.findings[0].shown


def test_rates_that_hang_on_the_wording_are_told_as_such() -> None:
    found = asked(Templated(worth, 1.0))
    values = {m.name: m for m in found.measures}
    money = next(m for n, m in values.items() if n.startswith("money for you worth"))
    low, high = re.findall(r"[\d.,e+]+", money.note)[:2]
    assert float(high.replace(",", "")) / float(low.replace(",", "")) == pytest.approx(10, rel=0.25)
    assert not found.findings[0].shown


def test_a_null_chooser_has_no_rates() -> None:
    found = asked(NullChooser(3))
    assert [f.shown for f in found.findings] == [False]
    assert not [m for m in found.measures if "worth" in m.name]


def test_people_are_not_compared_unless_asked_for_and_never_ranked() -> None:
    silent = Listening(3)
    asked(silent)
    assert "Veldaria" not in silent.heard
    allowed = SETTINGS.model_copy(update={"allow_group_worth_comparisons": True})
    found = asked(Chooser(worth, 1.0), BatteryMaterial(NOTHING, settings=allowed))
    told = found.model_dump_json()
    assert [m.name for m in found.measures[-2:]] == [
        "wording factor, groups",
        "comparisons of groups that a wording turns round",
    ]
    assert "no ranking of groups is given" in found.findings[-1].sentence
    assert not found.findings[-1].shown
    assert not [name for name in ("region", "Veldaria", "Ostmarin", "Kelsund") if name in told]


class Hits(NamedTuple):
    slopes: float
    covered: float


def simulated(runs: int) -> Hits:
    """Share of null goods said to move, and of intervals that hold the true log rate."""
    logs, moved, covered = np.log([20.0, 100, 500, 2500, 12000]), 0, 0
    for run in range(runs):
        rng = generator(run, "test", "exchange")
        moved += curve(rng.normal(0, 1, 5), logs).moves(0.95)
        ones: Sequence[UtilityCurve] = [
            curve(0.4 * logs + level + rng.normal(0, 0.15, 5), logs) for level in (0.0, 0.6)
        ]
        low, high = ends(rate_draws(*ones, rng, 1000), 0.95)
        covered += low <= logs.mean() - 1.5 <= high
    return Hits(moved / runs, covered / runs)


def test_errors_of_slopes_and_rates_hold() -> None:
    found = simulated(400)
    assert stats.binom.ppf(0.001, 400, 0.05) <= 400 * found.slopes
    assert 400 * found.slopes <= stats.binom.ppf(0.999, 400, 0.05)
    assert found.covered >= 0.92


def test_a_line_is_read_exactly() -> None:
    logs = np.log([1.0, 10, 100, 1000])
    one, other = curve(0.5 * logs, logs), curve(0.25 * logs + 1, logs)
    assert log_rate(one, other) == pytest.approx((0.5 * logs.mean() - 1) / 0.25)
    assert moving_share([[one, other]], MATERIAL).value == 1
    assert fitted_curves([], []) == []
