"""A monotone toy is a trend from five sizes on; noise is one at the nominal rate at most."""

import asyncio

import numpy as np
import pytest

from evaluation.across_models.scaling import (
    ScalingPoint,
    Sized,
    judged,
    measure_several,
    trend,
    trend_finding,
)
from evaluation.batteries.base import BatteryMaterial, BatterySettings
from plenary.errors import DataError
from plenary.models.planted import PlantedBackend, PlantedWorld
from plenary.outcomes import Catalogue, Outcome

TEXTS = tuple(f"Thing {k:02d} happens" for k in range(12))
MATERIAL = BatteryMaterial(
    Catalogue(tuple(Outcome(id=t, text=t, topic="t") for t in TEXTS)),
    settings=BatterySettings(outcomes=12, bootstrap=100),
)


def _toy(values, family="a", seeds=3, spread=0.01, start=6.0, seed=0):
    rng = np.random.default_rng(seed)
    return [
        ScalingPoint(f"{family}{k}", family, 10 ** (start + 0.5 * k),
              tuple((v + spread * rng.standard_normal(seeds)).tolist()))
        for k, v in enumerate(values)
    ]  # fmt: skip


def _trend(points):
    return trend(points, np.random.default_rng(0), 200)


def test_a_monotone_toy_is_a_trend_from_five_sizes_on():
    points = _toy(0.5 + 0.1 * np.arange(5))
    found = _trend(points)
    assert found.rho == pytest.approx(1)
    assert found.p == pytest.approx(2 / 120)
    assert found.slope == pytest.approx(0.2, abs=0.03)
    assert found.low < found.slope < found.high
    said = trend_finding("accuracy", points, found)
    assert said.shown
    assert "rises" in said.sentence
    assert _trend(points[:4]) is None
    assert "3 of 4" in trend_finding("accuracy", points[:4], None).sentence


def test_one_seed_is_a_table_and_one_size_twice_an_error():
    assert _trend(_toy(np.arange(6.0), seeds=2)) is None
    points = _toy(np.arange(5.0))
    with pytest.raises(DataError, match="one size twice"):
        _trend([*points, points[0]])


def test_families_are_compared_within_themselves():
    """Each family falls with size; between them the larger family is higher."""
    points = [*_toy(-np.arange(4.0), "a"), *_toy(20 - np.arange(4.0), "b", start=9.0)]
    found = _trend(points)
    assert found.rho == pytest.approx(-1)
    assert found.p == pytest.approx(2 / 24**2)
    assert found.slope == pytest.approx(-2, abs=0.1)


def test_small_models_are_said_to_be_no_evidence():
    small = trend_finding("x", _toy(np.arange(5.0)), _trend(_toy(np.arange(5.0))))
    large = _toy(np.arange(5.0), start=8.0)
    assert "no evidence about large models" in small.sentence
    assert "no evidence" not in trend_finding("x", large, _trend(large)).sentence


def test_the_joint_claim_needs_every_figure():
    better = {"up": 1.0, "down": -1.0}
    rising, falling = _toy(np.arange(5.0)), _toy(-np.arange(5.0))
    said = judged({"up": rising, "down": falling}, better, 0, MATERIAL)[1]
    assert [f.shown for f in said] == [True, True, True]
    assert "more coherent" in said[-1].sentence
    for other in (rising, _toy(np.array([0.0, 3, 1, 2, -1]))):
        assert not judged({"up": rising, "down": other}, better, 0, MATERIAL)[1][-1].shown


@pytest.mark.exhaustive
@pytest.mark.parametrize("sizes", [(5,), (6,), (3, 4)])
def test_false_findings_stay_within_the_nominal_rate(sizes):
    rng, runs = np.random.default_rng(1), 200
    shown = []
    for run in range(runs):
        points = [
            p
            for k, n in enumerate(sizes)
            for p in _toy(rng.standard_normal(n), family=f"f{k}", seed=run)
        ]
        shown.append(trend_finding("x", points, trend(points, rng, 20)).shown)
    assert np.mean(shown) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


@pytest.mark.slow
def test_planted_models_become_more_coherent_as_they_are_made_to():
    mu = dict(zip(TEXTS, np.random.default_rng(2).standard_normal(12).tolist(), strict=True))
    models = [
        Sized(PlantedBackend(PlantedWorld(utilities=mu, sigma=sigma)), "toy", 10.0 ** (6 + k))
        for k, sigma in enumerate((3.0, 0.3))
    ]
    found = asyncio.run(measure_several(models, MATERIAL, 0, seeds=1))
    values = {m.name: m for m in found.measures}
    weak, strong = (values[f"decisiveness: {m.backend.name}"].value for m in models)
    assert strong > weak
    assert not any(f.shown for f in found.findings)
    assert "1 of 4" in found.findings[0].sentence
