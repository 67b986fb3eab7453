"""Panels and the quota lottery against their targets: python benchmarks/panels.py [--quick].

Times of panels are processor seconds; the lottery's are also given in wall time, because its target
is a wall time, which other work on the machine lengthens. Medians and ranges go to the error
stream. For personas per second see benchmarks/population.py.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.targets import Target, main
from census_data.cells import columns_of
from census_data.fidelity import full_fidelity
from census_data.population import Population, load_population
from personas.sampling.draws import systematic_draw
from personas.sampling.quotas import proportional_quotas
from personas.sampling.recruit import METHODS, PanelSettings, recruit
from personas.sampling.sortition import draw_seats, quota_lottery
from plenary.seeding import generator

# Upper bounds for the worst of the seeds.
BOUNDS = (
    ("swap 100 worst 1-way TVD", 0.02),
    ("swap 100 median 2-way TVD", 0.08),
    ("swap 100 design effect", 1.05),
    ("swap 100 CPU seconds", 5.0),
    ("swap 500 worst 1-way TVD", 0.005),
    ("swap 500 median 2-way TVD", 0.03),
    ("lottery deviation from leximin", 0.002),
    ("lottery CPU seconds", 30.0),
    ("lottery draws that break a quota", 0.0),
)
FEATURES = ("age", "sex", "race_origin", "education", "region", "metro")


class Figure(NamedTuple):
    """Median, least and greatest of a figure over its repetitions."""

    median: float
    low: float
    high: float


def panels(people: Population, citizens: int, method: str, seeds: range) -> dict[str, Figure]:
    """Distances, design effect and CPU seconds of panels of one method."""
    rows = []
    for seed in seeds:
        started = time.process_time()
        panel = recruit(people, PanelSettings(citizens=citizens, method=method), seed)  # type: ignore[arg-type]
        seconds = time.process_time() - started
        ids = np.array([persona.row_id for persona in panel])
        near = full_fidelity(people, ids, panel.weight)
        rows.append((near.worst(1).distance, near.median(2), panel.design_effect, seconds))
    names = ("worst 1-way TVD", "median 2-way TVD", "design effect", "CPU seconds")
    return {
        f"{method} {citizens} {name}": _figure(values)
        for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }


def lottery(people: Population, pool: int, seats: int) -> dict[str, Figure]:
    """A leximin lottery among a self-selected pool: graduates and over-60s come more often."""
    keen = np.where(people.values("education") >= 4, 2.5, 1.0)
    keen *= np.where(people.values("age") >= 60, 1.8, 1.0)
    drawn = systematic_draw(people.weight * keen, pool, generator(1, "pool"))
    quotas = proportional_quotas(columns_of(people, FEATURES), people.weight, seats)
    columns = columns_of(people.select(drawn.positions), FEATURES)
    started, wall = time.process_time(), time.monotonic()
    found = quota_lottery(columns, quotas, seats)
    seconds, wall = time.process_time() - started, time.monotonic() - wall
    drawn_panels = [draw_seats(found, seed).people for seed in range(200)]
    broken = sum(not found.problem.meets(found.problem.counts(p)) for p in drawn_panels)
    values = {
        "lottery deviation from leximin": found.deviation,
        "lottery CPU seconds": seconds,
        "lottery wall seconds": wall,
        "lottery draws that break a quota": float(broken),
        "lottery smallest chance": found.smallest_chance,
        "lottery Gini": found.gini,
        "lottery types": float(len(found.problem.sizes)),
        "lottery panels": float(len(found.probability)),
    }
    return {name: Figure(value, value, value) for name, value in values.items()}


def _figure(values: object) -> Figure:
    found = [float(value) for value in values]  # type: ignore[union-attr]
    return Figure(statistics.median(found), min(found), max(found))


def run(quick: bool) -> Iterator[Target]:
    """Every panel method, and the lottery; fewer seeds and a small pool when quick."""
    people = load_population()
    found: dict[str, Figure] = {}
    for citizens in (100, 500):
        for method in METHODS:
            if method != "lottery":
                found |= panels(people, citizens, method, range(2 if quick else 5))
    found |= lottery(people, *((200, 40) if quick else (1000, 100)))
    for name, figure in found.items():
        print(
            f"{name:36s} {figure.median:12.4f}   {figure.low:.4f} to {figure.high:.4f}",
            file=sys.stderr,
        )
    for name, bound in BOUNDS:
        yield Target(name, found[name].high, bound, at_least=False)


if __name__ == "__main__":
    main(__doc__, run)
