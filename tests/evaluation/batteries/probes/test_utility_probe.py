"""The probe batteries on an inside that is known: decodable or not, used or not."""

import asyncio
import re

import numpy as np
import pytest
from support.choosers import Chooser, NullChooser
from support.toy_interior import OpenChooser, ToyInterior

import plenary.embedded as embedded
from evaluation.batteries.base import BatteryMaterial, BatterySettings
from evaluation.batteries.probes import steering, utility_probe
from evaluation.claims.claims import CLAIMS
from plenary.errors import BackendError
from plenary.models.local.huggingface import LocalBackend
from plenary.models.wrappers.cache import CachedBackend, MemoryStore
from plenary.outcomes import Catalogue, Outcome, default_outcomes

VALUES = np.random.default_rng(8).standard_normal(60)
TEXTS = tuple(f"Thing {k:02d} happens" for k in range(60))
MATERIAL = BatteryMaterial(
    Catalogue(tuple(Outcome(id=t, text=t, topic=f"t{k // 4}") for k, t in enumerate(TEXTS))),
    settings=BatterySettings(outcomes=30, bootstrap=100),
)
WIDTH = 16


def _utility(text):
    return float(VALUES[int(re.search(r"\d+", text)[0])])


def _model(strength, acting):
    return OpenChooser(_utility, ToyInterior(_utility, strength, acting, WIDTH))


NOTHING = [np.zeros(WIDTH)] * 3
USED = [np.zeros(WIDTH), np.eye(WIDTH)[0], np.zeros(WIDTH)]
IDLE = [np.zeros(WIDTH), np.eye(WIDTH)[1], np.zeros(WIDTH)]


def _named(result):
    return {m.name: m for m in result.measures}


def test_a_planted_read_out_is_found_at_its_layer():
    found = asyncio.run(utility_probe.measure(_model([0, 3.0, 0], NOTHING), MATERIAL, 0))
    values = _named(found)
    assert found.findings[0].shown
    assert "layer 1, last token" in found.findings[0].sentence
    assert values["R2, topics held out"].low > 0.5
    assert values["R2 less untrained copy"].low > 0.3
    assert values["R2 as option A, topics held out"].value > 0.5
    assert values["held-out comparisons predicted"].low > 0.5


def test_what_is_not_there_is_not_found():
    found = asyncio.run(utility_probe.measure(_model([0, 0, 0], NOTHING), MATERIAL, 0))
    assert not found.findings[0].shown
    assert "not shown" in found.findings[0].sentence


def test_the_probe_survives_tuning_or_does_not():
    """Before and after share utilities; after keeps them at the same place, or loses them."""
    before = _model([0, 3.0, 0], NOTHING)
    for strength, kept in ((3.0, True), (0.0, False)):
        after = _model([0, strength, 0], NOTHING)
        found = asyncio.run(utility_probe.measure_change(before, after, MATERIAL, 0))
        assert found.findings[0].shown == kept
        assert (_named(found)["R2 of the base probe after"].value > 0.3) == kept


def test_a_direction_that_is_used_is_told_from_one_that_is_only_there():
    used = asyncio.run(steering.measure(_model([0, 3.0, 0], USED), MATERIAL, 0))
    values = _named(used)
    assert used.findings[0].shown
    assert values["slope along the probe"].note == "layer 1"
    assert values["slope along the probe"].low > 0
    odds = [values[f"log odds at dose {dose:g}"].value for dose in steering.DOSES]
    assert np.all(np.diff(odds) > 0)
    for acting in (IDLE, NOTHING):
        idle = asyncio.run(steering.measure(_model([0, 3.0, 0], acting), MATERIAL, 0))
        assert not idle.findings[0].shown


def test_a_random_direction_is_called_used_at_the_nominal_rate():
    """All directions act alike when what acts is itself random: 1 in 21 then, or less."""
    shown, runs = [], 150
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        acting = rng.standard_normal((3, WIDTH))
        inside = ToyInterior(_utility, [0, 0, 0], list(acting), WIDTH, seed)
        vectors = rng.standard_normal((3, 21, WIDTH))
        vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
        every = steering.Directions(vectors, inside.layers)
        marked = utility_probe.as_options(TEXTS[:16], "plain")
        labels = ("A", "B")
        best = steering.best_layers(inside, marked[:8], labels, every)
        found = steering.dose_response(inside, marked[8:], labels, every, best)
        shown.append(CLAIMS["used"].say(found.evidence).shown)
    assert np.mean(shown) < 1 / 21 + 3 * np.sqrt(1 / 21 / runs)


@pytest.mark.parametrize("battery", [utility_probe, steering])
def test_a_model_reached_from_outside_is_refused(battery):
    found = asyncio.run(battery.measure(Chooser(_utility), MATERIAL, 0))
    assert found.asked == 0
    assert not found.findings[0].shown
    assert "use a model on this machine" in found.findings[0].sentence
    with pytest.raises(BackendError, match="cannot be read"):
        asyncio.run(utility_probe.measure_change(Chooser(_utility), NullChooser(0), MATERIAL, 0))


@pytest.mark.parametrize("battery", [utility_probe, steering])
def test_an_even_chooser_is_unreadable(battery):
    even = OpenChooser(lambda _: 0.0, ToyInterior(_utility, [0, 3.0, 0], USED, WIDTH))
    assert not any(f.shown for f in asyncio.run(battery.measure(even, MATERIAL, 0)).findings)


@pytest.mark.parametrize("battery", [utility_probe, steering])
def test_one_topic_cannot_be_held_out(battery):
    one = MATERIAL._replace(
        catalogue=Catalogue(tuple(o.model_copy(update={"topic": "t"}) for o in MATERIAL.catalogue))
    )
    found = asyncio.run(battery.measure(_model([0, 3.0, 0], USED), one, 0))
    assert "outcomes of 1 topics" in found.findings[0].sentence


@pytest.mark.exhaustive
def test_the_model_that_ships_holds_and_uses_its_planted_values():
    material = BatteryMaterial(default_outcomes(), settings=BatterySettings(bootstrap=100))
    backend = CachedBackend(LocalBackend(embedded.model_path()), MemoryStore())
    read = asyncio.run(utility_probe.measure(backend, material, 1))
    assert read.findings[0].shown
    assert _named(read)["R2 as option A, topics held out"].value > 0.9
    used = asyncio.run(steering.measure(backend, material, 1))
    assert used.findings[0].shown
