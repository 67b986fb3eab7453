"""Recruiting a panel by any sampling method (METHODS), with post-stratified weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from census_data.cells import Cells, columns_of
from census_data.fidelity import ATTRIBUTES
from census_data.population import Population
from census_data.raking import Margin, RakingSettings, rake
from personas.persona import Panel
from personas.sampling.build_personas import build_personas, drawable
from personas.sampling.draws import Selection, simple_draw, stratified_draw, systematic_draw
from personas.sampling.quotas import Quota, proportional_quotas
from personas.sampling.sortition import Fairness, LotterySettings, draw_seats, quota_lottery
from personas.sampling.swap import swap_draw
from personas.survey.attitudes import with_attitudes
from personas.survey.survey import load_survey
from plenary.errors import ConfigError, ConvergenceError, DataError
from plenary.preferences import FloatArray
from plenary.seeding import derived_seed, generator

# Post-stratification weights stay between these multiples of the mean.
TRIM = RakingSettings(tolerance=1e-5, iterations=300, lowest=0.2, highest=5.0)


class PanelSettings(BaseModel):
    """How citizens are recruited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    citizens: int = Field(default=60, ge=2, description="number of citizens")
    method: Literal["swap", "simple", "systematic", "stratified", "lottery"] = Field(
        default="swap",
        description="swap: closest margins; simple: equal probability; systematic: probability "
        "proportional to weight; stratified: proportional strata; lottery: quotas",
    )
    by: tuple[str, ...] = Field(
        default=ATTRIBUTES,
        description="attributes that the panel should represent: margins of swap and of the "
        "weights, strata (outermost first), and the lottery's quotas if none are given",
    )
    quotas: tuple[Quota, ...] = Field(
        default=(), description="seats of categories; only the lottery uses them"
    )
    pool: int = Field(default=1000, ge=2, description="people invited to the lottery")
    fairness: Fairness = Field(
        default="leximin", description="leximin, or maximin: only the smallest probability"
    )
    attitudes: tuple[str, ...] = Field(
        default=(),
        description="items of the General Social Survey; every citizen gets an answer to each, "
        "drawn from the shares of similar people and marked as drawn; none by default",
    )


Method = Callable[[Population, PanelSettings, int], Selection]


class Weights(NamedTuple):
    """Post-stratification weights [C], mean 1, and the attributes whose margins they meet."""

    weight: FloatArray
    raked: tuple[str, ...]


def recruit(population: Population, settings: PanelSettings, seed: int) -> Panel:
    """Draw a panel; the same population, settings and seed give the same panel.

    Every citizen carries the design weight and the inclusion probability, which is exact except
    for the method swap; the panel's weights are the design weights raked to the population's
    one-way margins.
    """
    population = drawable(population)
    if settings.citizens > len(population):
        raise ConfigError(
            f"{settings.citizens!r} citizens from a population of {len(population)} records; "
            "ask for fewer"
        )
    if settings.quotas and settings.method != "lottery":
        raise ConfigError(
            f"method {settings.method!r} does not use the {len(settings.quotas)!r} quotas; "
            "use method lottery"
        )
    drawn = METHODS[settings.method](population, settings, seed)
    width = max(3, len(str(settings.citizens)))
    ids = [f"c{k:0{width}d}" for k in range(1, settings.citizens + 1)]
    personas = build_personas(population, drawn, ids, seed)
    columns = columns_of(population, settings.by)
    weights = poststratified(population, drawn, columns)
    panel = Panel(personas, weights.weight, settings.method, seed, weights.raked)
    if settings.attitudes:
        return with_attitudes(load_survey(), panel, settings.attitudes, seed)
    return panel


def poststratified(population: Population, drawn: Selection, columns: tuple[Cells, ...]) -> Weights:
    """Design weights raked to the one-way margins of the columns, within bounds.

    Categories without a citizen are left out and the others' shares scaled up. If a small panel
    cannot meet all margins within the bounds, the last attributes are dropped one by one.
    """
    design = population.weight[drawn.positions] / drawn.inclusion
    design = design / design.mean()
    margins = [_margin(population, drawn, column) for column in columns]
    for kept in range(len(margins), 0, -1):
        try:
            weight = rake(design, margins[:kept], TRIM).weight
        except (ConvergenceError, DataError):
            continue
        return Weights(weight / weight.mean(), tuple(column.name for column in columns[:kept]))
    return Weights(design, ())


def _margin(population: Population, drawn: Selection, column: Cells) -> Margin:
    codes = column.codes[drawn.positions]
    present = np.unique(codes)
    shares = column.shares(population.weight)[present]
    citizens = len(drawn.positions)
    return Margin(
        column.name,
        np.searchsorted(present, codes),
        shares / shares.sum() * citizens,
        tuple(column.labels[code] for code in present.tolist()),
    )


def _rng(settings: PanelSettings, seed: int) -> np.random.Generator:
    return generator(seed, "panel", settings.method)


def _simple(population: Population, settings: PanelSettings, seed: int) -> Selection:
    return simple_draw(population.weight, settings.citizens, _rng(settings, seed))


def _systematic(population: Population, settings: PanelSettings, seed: int) -> Selection:
    return systematic_draw(population.weight, settings.citizens, _rng(settings, seed))


def _stratified(population: Population, settings: PanelSettings, seed: int) -> Selection:
    columns = columns_of(population, settings.by)
    rng = _rng(settings, seed)
    return stratified_draw(population.weight, columns, settings.citizens, rng)


def _swap(population: Population, settings: PanelSettings, seed: int) -> Selection:
    columns = columns_of(population, settings.by)
    return swap_draw(population.weight, columns, settings.citizens, _rng(settings, seed))


def _lottery(population: Population, settings: PanelSettings, seed: int) -> Selection:
    """Invitations in proportion to weight, then the quota lottery among the invited."""
    size = min(settings.pool, len(population))
    invited = systematic_draw(population.weight, size, _rng(settings, seed))
    names = tuple(dict.fromkeys(quota.attribute for quota in settings.quotas)) or settings.by
    columns = columns_of(population, names)
    quotas = settings.quotas or proportional_quotas(columns, population.weight, settings.citizens)
    pool = [column._replace(codes=column.codes[invited.positions]) for column in columns]
    fair = LotterySettings(fairness=settings.fairness)
    lottery = quota_lottery(pool, quotas, settings.citizens, fair)
    seats = draw_seats(lottery, derived_seed(seed, "panel", "lottery")).people
    chance = invited.inclusion[seats] * lottery.chance[seats]
    return Selection(invited.positions[seats], chance)


METHODS: dict[str, Method] = {
    "swap": _swap,
    "simple": _simple,
    "systematic": _systematic,
    "stratified": _stratified,
    "lottery": _lottery,
}
