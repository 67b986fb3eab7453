"""Scaling: does a figure such as coherence change with model size? A trend needs five sizes.

Shapes: N models of one or more families, one figure per seed. With fewer sizes there is only a
table.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from evaluation.batteries import coherence
from evaluation.batteries.base import (
    BatteryHeading,
    BatteryMaterial,
    BatteryResult,
    Measure,
    ends,
    figure,
)
from evaluation.claims.claims import ALPHA, COHERENT, LEAST_SEEDS, LEAST_SIZES, Claim, Finding
from evaluation.claims.evidence import Scale
from evaluation.stats.intervals import Interval
from plenary.errors import DataError
from plenary.models.base import ChatBackend
from plenary.preferences import FloatArray
from plenary.seeding import derived_seed, generator

HEADING = BatteryHeading(
    "scaling",
    "Size and coherence",
    "Spearman's correlation within families of log10 parameters and a figure, with the exact p of "
    "all orders (several families: orders within each); Theil-Sen slope per tenfold of parameters, "
    "within families, interval over seeds. Two sizes are just two models: with fewer than four "
    "steps of size within families (five sizes of one family), or three seeds per model, only a "
    "table is shown. "
    "More coherent: relative transitivity, held-out log loss and decisiveness must all agree.",
)
LEAST_STEPS = LEAST_SIZES - 1
MOST_ORDERS, DRAWN_ORDERS = 50_000, 20_000
# Name in the coherence battery, and the sign of "better".
COHERENCE = {"relative transitivity": 1.0, "hold-out log loss": -1.0, "decisiveness": 1.0}


class ScalingPoint(NamedTuple):
    """A model's figure, one value per seed."""

    model: str
    family: str
    parameters: float
    values: tuple[float, ...]


class Trend(NamedTuple):
    """rho, p: within families, exact; slope: per tenfold of parameters; low, high over seeds."""

    rho: float
    p: float
    slope: float
    low: float
    high: float


def _families(points: Sequence[ScalingPoint]) -> list[list[ScalingPoint]]:
    by_name: dict[str, list[ScalingPoint]] = defaultdict(list)
    for point in points:
        by_name[point.family].append(point)
    for family, members in by_name.items():
        if len({m.parameters for m in members}) < len(members):
            raise DataError(f"family {family!r} has one size twice; give one model per size")
    return [sorted(members, key=lambda m: m.parameters) for members in by_name.values()]


def _why_no_trend(points: Sequence[ScalingPoint]) -> str:
    """Why these points allow only a table; empty if they allow a trend."""
    steps = sum(len(members) - 1 for members in _families(points))
    if steps < LEAST_STEPS:
        return f"steps of size within families: {steps} of {LEAST_STEPS} needed"
    fewest = min(sum(map(math.isfinite, point.values)) for point in points)
    return f"seeds per model: {fewest} of {LEAST_SEEDS} needed" if fewest < LEAST_SEEDS else ""


def _orders(families: Sequence[FloatArray], rng: np.random.Generator) -> Iterator[list[FloatArray]]:
    """Every order of the values within families, or many random ones if there are too many."""
    if math.prod(math.factorial(len(f)) for f in families) <= MOST_ORDERS:
        every = [[np.array(o) for o in itertools.permutations(f)] for f in families]
        yield from (list(orders) for orders in itertools.product(*every))
        return
    yield list(families)
    yield from ([rng.permutation(f) for f in families] for _ in range(DRAWN_ORDERS))


def _rank_test(values: Sequence[FloatArray], rng: np.random.Generator) -> tuple[float, float]:
    """Within-family Spearman of values ordered by size, and its two-sided p."""
    ranks = [stats.rankdata(v) - (len(v) + 1) / 2 for v in values]
    sizes = [np.arange(len(v)) - (len(v) - 1) / 2 for v in values]
    seen = sum(float(r @ s) for r, s in zip(ranks, sizes, strict=True))
    most = sum(float(r @ r) for r in ranks) * sum(float(s @ s) for s in sizes)
    if most == 0:
        return float("nan"), 1.0
    moved = np.array(
        [
            sum(float(o @ s) for o, s in zip(order, sizes, strict=True))
            for order in _orders(ranks, rng)
        ]
    )
    return seen / math.sqrt(most), float(np.mean(np.abs(moved) >= abs(seen) - 1e-9))


def _slope(families: Sequence[FloatArray], sizes: Sequence[FloatArray]) -> float:
    """Median slope of all pairs of models of one family (theil1950, sen1968)."""
    slopes: list[float] = []
    for values, logs in zip(families, sizes, strict=True):
        i, j = np.triu_indices(len(values), 1)
        slopes.extend(((values[j] - values[i]) / (logs[j] - logs[i])).tolist())
    return float(np.median(slopes))


def trend(
    points: Sequence[ScalingPoint],
    rng: np.random.Generator,
    replicates: int = 1000,
    level: float = 0.95,
) -> Trend | None:
    """The trend over sizes; None if there are too few sizes or seeds."""
    if _why_no_trend(points):
        return None
    families = _families(points)
    sizes = [np.log10([m.parameters for m in members]) for members in families]
    known = [[np.array([v for v in m.values if math.isfinite(v)]) for m in f] for f in families]
    means = [np.array([v.mean() for v in members]) for members in known]
    rho, p = _rank_test(means, rng)
    draws = [
        _slope([np.array([rng.choice(v, len(v)).mean() for v in f]) for f in known], sizes)
        for _ in range(replicates)
    ]
    return Trend(rho, p, _slope(means, sizes), *ends(np.array(draws), level))


def tabled(name: str, points: Sequence[ScalingPoint]) -> list[Measure]:
    """One row per model: mean and range over seeds."""
    rows = []
    for point in sorted(points, key=lambda point: (point.family, point.parameters)):
        known = [value for value in point.values if math.isfinite(value)]
        rows.append(
            figure(
                f"{name}: {point.model}",
                float(np.mean(known)) if known else float("nan"),
                Interval(min(known), max(known)) if known else None,
                interval="range over seeds",
                n=len(known),
                note=f"{point.parameters:.3g} parameters, family {point.family}",
            )
        )
    return rows


def trend_measures(name: str, points: Sequence[ScalingPoint], found: Trend) -> list[Measure]:
    """Rank correlation and slope as measures."""
    n = len(points)
    return [
        figure(f"{name}: rank correlation with size", found.rho, n=n, floor=0.0,
               note=f"exact p {found.p:.3g}"),
        figure(f"{name}: slope", found.slope, Interval(found.low, found.high), n=n, floor=0.0,
               interval="bootstrap over seeds", unit="per tenfold of parameters"),
    ]  # fmt: skip


def trend_finding(name: str, points: Sequence[ScalingPoint], found: Trend | None) -> Finding:
    """What one figure allows us to say about size."""
    if found is None:
        return Finding(f"{name}: {_why_no_trend(points)}; only the table is shown.", False)
    clear = found.p < ALPHA and (found.low > 0 or found.high < 0)
    if not clear:
        return Finding(f"{name}: no trend with size was shown.", False)
    way = "rises" if found.slope > 0 else "falls"
    caution = _scale(points, agree=True, p=found.p).caution
    return Finding(f"{name} {way} with size among these models{caution}.", True)


def _scale(points: Sequence[ScalingPoint], *, agree: bool, p: float | None) -> Scale:
    return Scale(
        sizes=len(points),
        families=len({point.family for point in points}),
        agree=agree,
        p=p,
        seeds=min(sum(map(math.isfinite, point.values)) for point in points),
        largest=max(point.parameters for point in points),
    )


def judged(
    figures: Mapping[str, Sequence[ScalingPoint]],
    better: Mapping[str, float],
    seed: int,
    material: BatteryMaterial,
    claim: Claim[Scale] = COHERENT,
) -> tuple[list[Measure], list[Finding]]:
    """Tables, trends and findings; the joint claim needs every figure to move as `better` says."""
    measures: list[Measure] = []
    findings: list[Finding] = []
    agree, ps = [], []
    for name, points in figures.items():
        rng = generator(seed, "scaling", name)
        settings = material.settings
        found = trend(points, rng, settings.bootstrap, settings.level)
        measures += tabled(name, points)
        measures += trend_measures(name, points, found) if found else []
        findings.append(trend_finding(name, points, found))
        agree.append(findings[-1].shown and found is not None and found.slope * better[name] > 0)
        ps.append(None if found is None else found.p)
    known = [p for p in ps if p is not None]
    some = min(figures.values(), key=lambda points: _scale(points, agree=True, p=None).seeds)
    p = max(known) if len(known) == len(ps) else None
    return measures, [*findings, claim.say(_scale(some, agree=all(agree), p=p))]


class Sized(NamedTuple):
    """A model with its family and number of parameters."""

    backend: ChatBackend
    family: str
    parameters: float


async def measure_several(
    models: Sequence[Sized], material: BatteryMaterial, seed: int, seeds: int = LEAST_SEEDS
) -> BatteryResult:
    """The coherence battery of every model, `seeds` times, against size."""
    found: dict[str, list[ScalingPoint]] = {name: [] for name in COHERENCE}
    asked = invalid = 0
    for model in models:
        results = [
            await coherence.measure(model.backend, material, derived_seed(seed, "scaling", k))
            for k in range(seeds)
        ]
        asked += sum(result.asked for result in results)
        invalid += sum(result.invalid for result in results)
        for name, points in found.items():
            values = tuple(_value(result, name) for result in results)
            points.append(ScalingPoint(model.backend.name, model.family, model.parameters, values))
    measures, findings = judged(found, COHERENCE, seed, material)
    return BatteryResult(
        battery=HEADING.battery,
        title=HEADING.title,
        definition=HEADING.definition,
        model=", ".join(model.backend.name for model in models),
        asked=asked,
        invalid=invalid,
        measures=tuple(measures),
        findings=tuple(findings),
    )


def _value(result: BatteryResult, name: str) -> float:
    value = next((m.value for m in result.measures if m.name == name), None)
    return float("nan") if value is None else value
