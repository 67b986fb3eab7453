"""Larger models are found harder to steer where it is planted, and only on every evidence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluation.across_models.steerability import LIKE, Training, steerability
from evaluation.batteries.base import BatteryMaterial, BatterySettings
from evaluation.claims.claims import Finding
from plenary.errors import DataError
from plenary.outcomes import Catalogue

MATERIAL = BatteryMaterial(Catalogue(()), settings=BatterySettings(bootstrap=100))


def trainings(gains, *, share=True, kl=0.1, seeds=3, spread=0.005, seed=0) -> list[Training]:
    """Each size at rank 8, and at the share 0.01 with the rank that this takes."""
    rng, runs = np.random.default_rng(seed), []
    for k, gain in enumerate(gains):
        own = (8, 0.04 / 2**k), *(((4 * 2**k, 0.01 + 0.0001 * k),) if share else ())
        for rank, part in own:
            for noise in (spread * rng.standard_normal(seeds)).tolist():
                size = 10.0 ** (9 + 0.5 * k)
                runs.append(Training(f"m{k}", "one", size, rank, part, gain + noise, kl))
    return runs


def said(runs) -> Finding:
    return steerability(runs, MATERIAL, 0).findings[-1]


def test_a_planted_fall_is_found():
    sentence, shown = said(trainings(0.9 - 0.1 * np.arange(5)))
    assert shown
    assert sentence == "Across 5 model sizes in one family, larger models are harder to steer."


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (trainings(0.5 + 0.1 * np.arange(5)), "5 sizes it was not shown"),
        (trainings([0.9, 0.5, 0.8, 0.4, 0.7]), "5 sizes it was not shown"),
        (trainings(0.9 - 0.1 * np.arange(4)), "too few to test a trend"),
        (trainings(0.9 - 0.1 * np.arange(5), seeds=2), "with 2 seeds are too few"),
        (trainings(0.9 - 0.1 * np.arange(5), share=False), "with 0 seeds are too few"),
        (trainings(0.9 - 0.1 * np.arange(5), kl=math.nan), "with 0 seeds are too few"),
    ],
    ids=["rising", "unordered", "four sizes", "two seeds", "one convention", "no KL"],
)
def test_less_evidence_is_no_claim(runs, words):
    sentence, shown = said(runs)
    assert not shown
    assert words in sentence


@pytest.mark.exhaustive
def test_false_findings_stay_within_the_nominal_rate():
    rng = np.random.default_rng(1)
    runs = 100
    found = [said(trainings(rng.uniform(0, 1, 5), seed=k))[1] for k in range(runs)]
    assert np.mean(found) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_figures_are_those_of_each_convention():
    runs = trainings([0.8, 0.6], spread=0.0)
    values = {m.name: m.value for m in steerability(runs, MATERIAL, 0).measures}
    assert values["directional gain, same rank: m1"] == pytest.approx(0.6)
    assert values["directional gain per nat, same trained share: m0"] == pytest.approx(8)
    apart = [
        run._replace(share=run.share * (LIKE * 1.1 if run.model == "m1" else 1)) for run in runs
    ]
    assert "0 seeds" in said(apart).sentence


def test_one_model_is_refused():
    with pytest.raises(DataError, match="1 model among"):
        steerability(trainings([0.5]), MATERIAL, 0)
