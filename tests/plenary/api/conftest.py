"""An assembly of planted citizens, held once a session through the front door."""

from __future__ import annotations

import pytest

import plenary as pl
from plenary.models.planted import PlantedBackend, PlantedWorld

UTILITIES = {
    f"the town {verb} {what}": ((3 * k) % 7) / 3
    for k, (verb, what) in enumerate(
        (verb, what)
        for verb in ("plants", "opens", "repairs")
        for what in ("trees", "clinics", "roads", "schools")
    )
}


@pytest.fixture(scope="session")
def planted() -> PlantedBackend:
    return PlantedBackend(PlantedWorld(utilities=UTILITIES, swing=0.3))


@pytest.fixture(scope="session")
def outcomes() -> pl.OutcomeSet:
    return pl.load_outcomes(list(UTILITIES)).split(held_out=0.4, seed=0)


@pytest.fixture(scope="session")
def panel() -> pl.PanelResult:
    return pl.sample_panel(8, by=["age", "sex", "education"], seed=0)


@pytest.fixture(scope="session")
def result(
    panel: pl.PanelResult, outcomes: pl.OutcomeSet, planted: PlantedBackend
) -> pl.AssemblyResult:
    return pl.hold_assembly(
        panel, outcomes, planted, rounds=2, seed=0, table_size=4, train_pairs=10,
        held_out_pairs=6, min_mass=0.0,
    )  # fmt: skip
