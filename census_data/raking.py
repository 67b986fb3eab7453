"""Raking (iterative proportional fitting): calibrates weights to margins, within bounds.

Deming and Stephan 1940 [deming1940]. The raked weight of a person is the bounded product of the
starting weight and one factor for each margin; if the margins are met, it is the only set of
weights within the bounds with the smallest Kullback-Leibler divergence from the starting weights
[deville1992], whatever the order of the margins. Shapes: N persons, G cells of a margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from plenary.errors import ConfigError, ConvergenceError, DataError
from plenary.preferences import FloatArray, IntArray

OUTSIDE = -1
# Sweeps after which contradictions are looked for, which costs as much as several sweeps.
SUSPICIOUS = 20


class RakingSettings(BaseModel):
    """How closely margins are met, and how far weights may go for that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tolerance: float = Field(
        default=1e-7, gt=0, description="largest error of a cell, as a share of all weight"
    )
    iterations: int = Field(
        default=1000, ge=1, description="largest number of sweeps over the margins"
    )
    lowest: float = Field(
        default=0.0, ge=0, lt=1, description="least weight, in multiples of the mean weight"
    )
    highest: float | None = Field(
        default=None, gt=1, description="largest weight, in multiples of the mean; None: no bound"
    )


DEFAULT_RAKING = RakingSettings()


@dataclass(frozen=True, slots=True)
class Margin:
    """Given totals to which the weights of groups must add up.

    codes [N]: cell of each person; OUTSIDE for people whom the margin does not cover.
    targets [G]: persons in each cell, positive.
    cells [G]: name of each cell, for messages.
    """

    name: str
    codes: IntArray
    targets: FloatArray
    cells: tuple[str, ...]


class MarginError(NamedTuple):
    """Largest error of one margin's cells as a share of all weight; lower is better."""

    name: str
    cells: int
    error: float


class RakingReport(NamedTuple):
    """What raking did.

    max_error: largest error of any cell as a share of all weight; lower is better.
    design_effect: Kish's 1 + CV^2 of the weights, 1 is best; design_effect_before: of the starting
    weights.
    effective_n: persons divided by the design effect.
    smallest, largest: extreme weights in multiples of the mean; bounded: number of persons at a
    bound.
    """

    iterations: int
    max_error: float
    margins: tuple[MarginError, ...]
    design_effect: float
    design_effect_before: float
    effective_n: float
    smallest: float
    largest: float
    bounded: int


class Raked(NamedTuple):
    """Weights [N], positive, in persons, and the report."""

    weight: FloatArray
    report: RakingReport


def design_effect(weight: FloatArray) -> float:
    """Kish's design effect n sum(w^2) / sum(w)^2 of weights [N], [kish1965]; 1 is best."""
    return float(len(weight) * (weight @ weight) / weight.sum() ** 2)


def effective_n(weight: FloatArray) -> float:
    """Kish's effective sample size of weights [N], at most N."""
    return float(weight.sum() ** 2 / (weight @ weight))


def rake(
    weight: FloatArray, margins: Sequence[Margin], settings: RakingSettings = DEFAULT_RAKING
) -> Raked:
    """Weights [N] that meet every margin, as close to the starting `weight` [N] as possible.

    Raises DataError for weights that are not positive, for a cell without people or people without
    a target, and for margins that contradict each other; ConvergenceError, with the name of the
    worst margin, if the tolerance is not reached.
    """
    _check_weights(weight)
    if not margins:
        raise ConfigError("no margin to rake to; give at least one")
    for margin in margins:
        _check_margin(margin, len(weight))
    total = max(float(margin.targets.sum()) for margin in margins)
    floor, ceiling = _bounds(weight, margins, settings)
    started = weight * (total / weight.sum()) if _covers_all(margins) else weight
    raked, sweeps = _sweep(started, margins, floor, ceiling, settings, total)
    errors = tuple(_error(margin, raked, total) for margin in margins)
    worst = max(errors, key=lambda error: error.error)
    if worst.error > settings.tolerance:
        _check_agreements(margins, settings)
        raise ConvergenceError(_advice(worst, sweeps, settings))
    return Raked(raked, _report(weight, raked, errors, sweeps, (floor, ceiling)))


def _check_weights(weight: FloatArray) -> None:
    good = np.isfinite(weight) & (weight > 0)
    if not len(weight):
        raise DataError("no person to weight; give a population that is not empty")
    if not good.all():
        at = int(np.flatnonzero(~good)[0])
        raise DataError(
            f"weight {float(weight[at])!r} of person {at!r} is not positive; drop or fix such rows"
        )


def _check_margin(margin: Margin, people: int) -> None:
    if len(margin.codes) != people:
        raise DataError(
            f"margin {margin.name!r} has {len(margin.codes)!r} codes for {people!r} persons; "
            "make it from the same persons as the weights"
        )
    if not np.all(np.isfinite(margin.targets)) or np.any(margin.targets < 0):
        raise DataError(f"margin {margin.name!r} has targets that are not counts; fix them")
    held = np.bincount(margin.codes + 1, minlength=len(margin.targets) + 1)[1:]
    if len(held) > len(margin.targets):
        raise DataError(f"margin {margin.name!r} has fewer targets than cells; give one for each")
    for at in np.flatnonzero((held == 0) & (margin.targets > 0)):
        raise DataError(
            f"margin {margin.name!r} wants {float(margin.targets[at])!r} in cell "
            f"{margin.cells[at]!r}, which has no person; merge the cell with another"
        )
    for at in np.flatnonzero((held > 0) & (margin.targets == 0)):
        raise DataError(
            f"margin {margin.name!r} wants nobody in cell {margin.cells[at]!r}, which has "
            f"{int(held[at])!r} persons; leave those persons out or merge the cell"
        )


def _check_agreements(margins: Sequence[Margin], settings: RakingSettings) -> None:
    for one, other in combinations(margins, 2):
        _check_agreement(one, other, settings.tolerance)


def _check_agreement(one: Margin, other: Margin, tolerance: float) -> None:
    """Check that groups of cells with the same people have the same total in both margins."""
    width, height = len(one.targets), len(other.targets)
    pairs = (one.codes + 1) * (height + 1) + other.codes + 1
    seen = np.flatnonzero(np.bincount(pairs, minlength=(width + 1) * (height + 1)))
    rows, columns = np.divmod(seen, height + 1)
    nodes = width + height + 2
    links = coo_array((np.ones(len(seen)), (rows, columns + width + 1)), shape=(nodes, nodes))
    count, group = connected_components(links, directed=False)
    ours = np.bincount(group[1 : width + 1], one.targets, count)
    theirs = np.bincount(group[width + 2 :], other.targets, count)
    gap = np.abs(ours - theirs)
    gap[[group[0], group[width + 1]]] = 0.0
    at = int(gap.argmax())
    if gap[at] > tolerance * max(float(one.targets.sum()), float(other.targets.sum())):
        cells = [one.cells[k] for k in np.flatnonzero(group[1 : width + 1] == at)]
        raise DataError(
            f"margins {one.name!r} and {other.name!r} contradict each other: the people in "
            f"{' + '.join(cells[:4])!r}{' and more' * (len(cells) > 4)} are "
            f"{float(ours[at])!r} by the first and {float(theirs[at])!r} by the second; "
            "fix one of them, or scale both to shares"
        )


def _covers_all(margins: Sequence[Margin]) -> bool:
    return any(int(margin.codes.min()) > OUTSIDE for margin in margins)


def _bounds(
    weight: FloatArray, margins: Sequence[Margin], settings: RakingSettings
) -> tuple[float, float]:
    whole = [m for m in margins if int(m.codes.min()) > OUTSIDE]
    mean = float(whole[0].targets.sum() if whole else weight.sum()) / len(weight)
    return settings.lowest * mean, np.inf if settings.highest is None else settings.highest * mean


def _sweep(
    weight: FloatArray,
    margins: Sequence[Margin],
    floor: float,
    ceiling: float,
    settings: RakingSettings,
    total: float,
) -> tuple[FloatArray, int]:
    """Scale cell by cell until every margin is met when its turn comes; weights and sweeps used.

    Bounds limit the product of the factors, never the factors themselves, so that the result does
    not depend on when a weight reached a bound.
    """
    free = weight.astype(np.float64)
    bounded = floor > 0 or ceiling < np.inf
    held = free.clip(floor, ceiling) if bounded else free
    # Cell 0 is for people outside the margin: factor 1.
    codes = [margin.codes + 1 for margin in margins]
    step = np.empty_like(free)
    # Half the tolerance: cells are met in turn, and scaling the last one moves the others.
    enough = settings.tolerance * total / 2
    sweep, worst = 0, np.inf
    while worst > enough and sweep < settings.iterations:
        sweep, worst = sweep + 1, 0.0
        for margin, code in zip(margins, codes, strict=True):
            sums = np.bincount(code, held, len(margin.targets) + 1)[1:].astype(np.float64)
            worst = max(worst, float(np.abs(sums - margin.targets).max()))
            ratio = np.divide(margin.targets, sums, out=np.ones(len(sums)), where=sums > 0)
            factors = np.concatenate([[1.0], ratio])
            np.take(factors, code, out=step, mode="clip")
            free *= step
            if bounded:
                np.clip(free, floor, ceiling, out=held)
        if sweep == SUSPICIOUS and worst > enough:
            _check_agreements(margins, settings)
    return held, sweep


def _error(margin: Margin, weight: FloatArray, total: float) -> MarginError:
    sums = np.bincount(margin.codes + 1, weight, len(margin.targets) + 1)[1:]
    worst = float(np.abs(sums - margin.targets).max())
    return MarginError(margin.name, len(margin.targets), worst / total)


def _advice(worst: MarginError, sweeps: int, settings: RakingSettings) -> str:
    trimmed = settings.lowest > 0 or settings.highest is not None
    remedy = "widen the bounds on weights, or merge" if trimmed else "merge"
    return (
        f"margin {worst.name!r} is off by {worst.error!r} of all weight after {sweeps!r} sweeps "
        f"(tolerance {settings.tolerance!r}): the margins cannot be met together; "
        f"{remedy} small cells of that margin, or leave a margin out"
    )


def _report(
    before: FloatArray,
    after: FloatArray,
    errors: tuple[MarginError, ...],
    sweeps: int,
    bounds: tuple[float, float],
) -> RakingReport:
    mean = float(after.mean())
    return RakingReport(
        iterations=sweeps,
        max_error=max(error.error for error in errors),
        margins=errors,
        design_effect=design_effect(after),
        design_effect_before=design_effect(before),
        effective_n=effective_n(after),
        smallest=float(after.min()) / mean,
        largest=float(after.max()) / mean,
        bounded=int(np.count_nonzero((after <= bounds[0]) | (after >= bounds[1]))),
    )
