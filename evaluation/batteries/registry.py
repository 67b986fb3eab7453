"""The registry of batteries (where a new one is added), and asking a model several of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from evaluation.batteries import (
    behaviour_link,
    coherence,
    expected_utility,
    human_anchor,
    instrumentality,
    utility_maximisation,
    wording_stability,
)
from evaluation.batteries.base import BatteryMaterial, BatteryResult, Suite
from evaluation.batteries.probes import steering, utility_probe
from evaluation.batteries.values import (
    corrigibility,
    exchange_rates,
    political_values,
    power_seeking,
    self_propagation,
    temporal_discounting,
)
from plenary.errors import ConfigError
from plenary.models.base import ChatBackend
from plenary.seeding import derived_seed

BOTH: tuple[Suite, ...] = ("core", "full")
FULL: tuple[Suite, ...] = ("full",)


class Battery(NamedTuple):
    """One battery: title, the function that runs it with (model, material, seed), its suites."""

    title: str
    measure: Callable[[ChatBackend, BatteryMaterial, int], Awaitable[BatteryResult]]
    suites: tuple[Suite, ...]


async def _human_anchor(model: ChatBackend, material: BatteryMaterial, seed: int) -> BatteryResult:
    how = material.elicitation
    return await human_anchor.measure(
        model, material.survey, seed, samples=how.samples, least_mass=how.min_mass
    )


BATTERIES: dict[str, Battery] = {
    "behaviour_link": Battery(behaviour_link.HEADING.title, behaviour_link.measure, BOTH),
    "coherence": Battery(coherence.HEADING.title, coherence.measure, BOTH),
    "expected_utility": Battery(expected_utility.HEADING.title, expected_utility.measure, BOTH),
    "exchange_rates": Battery(exchange_rates.HEADING.title, exchange_rates.measure, BOTH),
    "wording": Battery(wording_stability.HEADING.title, wording_stability.measure, BOTH),
    "human_anchor": Battery(human_anchor.TITLE, _human_anchor, BOTH),
    "instrumentality": Battery(instrumentality.HEADING.title, instrumentality.measure, BOTH),
    "temporal_discounting": Battery(
        temporal_discounting.HEADING.title, temporal_discounting.measure, BOTH
    ),
    "utility_maximisation": Battery(
        utility_maximisation.HEADING.title, utility_maximisation.measure, BOTH
    ),
    "political_values": Battery(political_values.HEADING.title, political_values.measure, BOTH),
    "power_seeking": Battery(power_seeking.HEADING.title, power_seeking.measure, BOTH),
    "self_propagation": Battery(self_propagation.HEADING.title, self_propagation.measure, BOTH),
    "corrigibility": Battery(corrigibility.HEADING.title, corrigibility.measure, BOTH),
    "probes": Battery(utility_probe.HEADING.title, utility_probe.measure, FULL),
    "steering_check": Battery(steering.HEADING.title, steering.measure, FULL),
}


def batteries_of(suite: Suite) -> tuple[str, ...]:
    """Names of the batteries of a suite."""
    return tuple(name for name, battery in BATTERIES.items() if suite in battery.suites)


def check_names(names: Sequence[str]) -> None:
    """ConfigError for a battery that does not exist."""
    for name in names:
        if name not in BATTERIES:
            raise ConfigError(f"unknown battery {name!r}; use one of {', '.join(BATTERIES)}")


async def evaluate_model(
    model: ChatBackend,
    names: Sequence[str],
    material: BatteryMaterial,
    seed: int,
    on_result: Callable[[BatteryResult], None] = lambda result: None,
) -> list[BatteryResult]:
    """Run the named batteries one after the other; each draws from a seed of its own."""
    check_names(names)
    results = []
    for name in names:
        own = derived_seed(seed, "battery", name)
        results.append(await BATTERIES[name].measure(model, material, own))
        on_result(results[-1])
    return results
