"""Similarity is that of the utilities, not of the noise; no similarity is not found."""

import asyncio

import numpy as np
import pytest
from support.choosers import NullChooser

from evaluation.across_models.convergence import SplitHalves, compared, measure_several, similarity
from evaluation.batteries.base import BatteryMaterial, BatterySettings
from plenary.errors import ConfigError
from plenary.models.planted import PlantedBackend, PlantedWorld
from plenary.outcomes import Catalogue, Outcome

K = 60
TEXTS = tuple(f"Thing {k:02d} happens" for k in range(K))
TOPICS = [str(k) for k in range(K)]
MATERIAL = BatteryMaterial(
    Catalogue(tuple(Outcome(id=t, text=t, topic=f"t{k // 2}") for k, t in enumerate(TEXTS))),
    settings=BatterySettings(outcomes=K, bootstrap=300),
)


def _model(mu, sigma, seed=0):
    world = PlantedWorld(
        utilities=dict(zip(TEXTS, mu.tolist(), strict=True)), sigma=sigma, exact=False
    )
    return PlantedBackend(world)


def test_planted_similarity_is_found_whatever_the_noise():
    rng = np.random.default_rng(0)
    one, fresh, alone = rng.standard_normal((3, K))
    models = [_model(one, 0.5), _model(0.8 * one + 0.6 * fresh, 3.0), _model(alone, 0.5)]
    found = asyncio.run(measure_several(models, MATERIAL, 1))
    values = {m.name: m for m in found.measures}
    names = [model.name for model in models]
    truth = np.corrcoef([one, 0.8 * one + 0.6 * fresh, alone])
    both = values[f"similarity: {names[0]}, {names[1]}"]
    assert both.value == pytest.approx(truth[0, 1], abs=0.2)
    assert both.low > 0.4
    assert found.findings[0].shown
    assert found.findings[0].sentence.startswith(f"{names[0]}, {names[1]}: choices are positively")
    assert values[f"similarity: {names[0]}, {names[2]}"].value == pytest.approx(
        truth[0, 2], abs=0.2
    )
    assert found.asked == 3 * 2 * 6 * K * 10


def test_models_whose_answers_do_not_repeat_are_uninformative():
    models = [_model(np.random.default_rng(0).standard_normal(K), 0.5), NullChooser(0)]
    found = asyncio.run(measure_several(models, MATERIAL, 1))
    assert not found.findings[0].shown
    assert "uninformative" in found.findings[0].sentence
    with pytest.raises(ConfigError, match="are not two or more"):
        asyncio.run(measure_several(models[:1] * 2, MATERIAL, 1))


def _halves(values, noise, rng):
    return SplitHalves(*(values + noise * rng.standard_normal((2, len(values)))))


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_correction_is_unbiased_and_false_findings_are_at_the_nominal_rate(noise):
    rng, runs, shown, alike = np.random.default_rng(5), 500, [], []
    for _ in range(runs):
        one, other = rng.standard_normal((2, K))
        models = {"a": _halves(one, noise, rng), "b": _halves(other, 0.1, rng)}
        shown.append(compared(models, TOPICS, 0.95)[1][0].shown)
        twin = _halves(0.8 * one + 0.6 * other, noise, rng)
        alike.append(similarity(models["a"], twin, np.ones((1, K)))[0])
    assert np.mean(shown) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    assert np.nanmean(alike) == pytest.approx(0.8, abs=0.05)
