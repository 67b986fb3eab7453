"""The coherence battery on a planted order, ladders included, and on nothing."""

from __future__ import annotations

import asyncio
import re

import numpy as np
import pytest
from scipy import stats
from support.choosers import Chooser, NullChooser

from evaluation.batteries.base import BatteryMaterial, BatteryResult, BatterySettings, Measure
from evaluation.batteries.coherence import measure
from plenary.outcomes import Catalogue, Outcome

TRUE = np.random.default_rng(3).normal(0, 1, 30)
LOOSE = [Outcome(id=f"o{k}", text=f"Thing number {k:02d} happens", topic="t") for k in range(30)]
RUNGS = [
    Outcome(id=f"{name}{n}", text=f"You {name} ${n}", topic="m", ladder=name, quantity=n)
    for name in ("win", "lose")
    for n in (1.0, 10.0, 100.0, 1000.0)
]
MATERIAL = BatteryMaterial(
    Catalogue((*LOOSE, *RUNGS)), settings=BatterySettings(outcomes=30, bootstrap=200)
)


def worth(text: str) -> float:
    amount = re.search(r"\$([\d.]+)", text)
    if amount:
        return float(np.log10(float(amount.group(1))) * (1 if "win" in text else -1))
    return float(TRUE[int(re.search(r"\d+", text).group())])


def asked(chooser: Chooser) -> tuple[BatteryResult, dict[str, Measure]]:
    found = asyncio.run(measure(chooser, MATERIAL, 1))
    return found, {m.name: m for m in found.measures}


def test_a_planted_order_is_coherent_and_bad_things_may_fall_with_their_amount() -> None:
    found, values = asked(Chooser(worth, 0.5, bias=0.2))
    assert values["hold-out accuracy"].value > 0.8
    assert values["relative transitivity"].value == pytest.approx(1, abs=0.1)
    assert values["split-half reliability"].value > 0.95
    assert values["strictly monotone ladders"].value == 1
    assert values["strictly monotone ladders"].floor == pytest.approx(2 / 24)
    assert all(f.shown for f in found.findings)


def test_a_null_chooser_is_not_coherent() -> None:
    found, values = asked(NullChooser(1))
    assert values["cycle rate"].value == pytest.approx(0.25, abs=0.05)
    assert not [f for f in found.findings if f.shown]


@pytest.mark.exhaustive
def test_false_findings_stay_within_the_nominal_rate() -> None:
    """Three findings a null chooser, each at one-sided .025."""
    few = MATERIAL._replace(settings=BatterySettings(outcomes=16, bootstrap=100))
    runs = 25
    shown = [
        finding.shown
        for seed in range(runs)
        for finding in asyncio.run(measure(NullChooser(seed), few, seed)).findings
    ]
    assert sum(shown) <= stats.binom.ppf(0.999, len(shown), 0.025)
