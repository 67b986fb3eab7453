"""Panels, lottery and streaming against their targets: python benchmarks/personas.py [--quick]."""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from census_data.population import Population, load_population
from personas.draws import systematic_draw
from personas.margins import DEFAULT_ATTRIBUTES, attributes, distances
from personas.prompt import describe
from personas.quotas import proportional_quotas
from personas.records import stream_personas
from personas.sampling import METHODS, PanelSettings, recruit
from personas.sortition import draw_seats, quota_lottery
from plenary.seeding import generator

TARGETS = [
    ("swap 100 worst 1-way TVD", "<=", 0.02),
    ("swap 100 median 2-way TVD", "<=", 0.08),
    ("swap 100 design effect", "<=", 1.05),
    ("swap 100 CPU seconds", "<=", 5.0),
    ("swap 500 worst 1-way TVD", "<=", 0.005),
    ("swap 500 median 2-way TVD", "<=", 0.03),
    ("lottery deviation from leximin", "<=", 0.002),
    ("lottery CPU seconds", "<=", 60.0),
    ("lottery quotas broken", "<=", 0.0),
    ("personas a CPU second", ">=", 20_000.0),
    ("stream memory growth MB", "<=", 200.0),
]
FEATURES = ("age", "sex", "race_origin", "education", "region", "metro")


class Figure(NamedTuple):
    """Median, least and greatest of a figure over its repetitions."""

    median: float
    low: float
    high: float


def panels(people: Population, citizens: int, method: str, seeds: range) -> dict[str, Figure]:
    """Distances, design effect and CPU seconds of panels of one method."""
    columns = attributes(people, DEFAULT_ATTRIBUTES)
    rows = []
    for seed in seeds:
        started = time.process_time()
        panel = recruit(people, PanelSettings(citizens=citizens, method=method), seed)  # type: ignore[arg-type]
        seconds = time.process_time() - started
        at = np.searchsorted(people.row_id, [persona.row_id for persona in panel])
        one, two = distances(columns, people.weight, at, panel.weight)
        rows.append((one.max(), np.median(two), panel.design_effect, seconds))
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
    quotas = proportional_quotas(attributes(people, FEATURES), people.weight, seats)
    columns = attributes(people.select(drawn.positions), FEATURES)
    started, wall = time.process_time(), time.monotonic()
    found = quota_lottery(columns, quotas, seats)
    seconds, wall = time.process_time() - started, time.monotonic() - wall
    drawn_panels = [draw_seats(found, seed).people for seed in range(200)]
    broken = sum(not found.problem.meets(found.problem.counts(p)) for p in drawn_panels)
    values = {
        "lottery deviation from leximin": found.deviation,
        "lottery CPU seconds": seconds,
        "lottery wall seconds": wall,
        "lottery quotas broken": float(broken),
        "lottery smallest chance": found.smallest_chance,
        "lottery Gini": found.gini,
        "lottery types": float(len(found.problem.sizes)),
        "lottery panels": float(len(found.probability)),
    }
    return {name: Figure(value, value, value) for name, value in values.items()}


def streaming(people: Population, count: int) -> dict[str, Figure]:
    """Personas with names and rendered texts, and what the memory grows by on the way."""
    rates, first = [], 0.0
    done, mark, wall = 0, time.process_time(), time.monotonic()
    for chunk in stream_personas(people, count, 1):
        characters = sum(len(describe(persona)) for persona in chunk)
        assert characters
        done += len(chunk)
        now = time.process_time()
        rates.append(len(chunk) / (now - mark))
        mark = now
        first = first or _memory()
    return {
        "personas a CPU second": _figure(rates),
        "personas a wall second": _figure([count / (time.monotonic() - wall)]),
        "stream memory growth MB": _figure([_memory() - first]),
    }


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _figure(values: object) -> Figure:
    found = [float(value) for value in values]  # type: ignore[union-attr]
    return Figure(statistics.median(found), min(found), max(found))


def main() -> None:
    """Run everything and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller and fewer")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    people = load_population()
    seeds = range(2 if chosen.quick else 5)
    found: dict[str, Figure] = {}
    for citizens in (100, 500):
        for method in METHODS:
            if method != "lottery":
                found |= panels(people, citizens, method, seeds)
    found |= lottery(people, *((200, 40) if chosen.quick else (1000, 100)))
    found |= streaming(people, 50_000 if chosen.quick else 1_000_000)
    checks = [
        {
            "name": name,
            "target": f"{sign} {bound:g}",
            "value": found[name].median,
            "met": found[name].high <= bound if sign == "<=" else found[name].low >= bound,
        }
        for name, sign, bound in TARGETS
    ]
    if chosen.json:
        print(
            json.dumps({"figures": {k: v._asdict() for k, v in found.items()}, "targets": checks})
        )
        return
    for name, figure in found.items():
        print(f"{name:36s} {figure.median:12.4f}   {figure.low:.4f} to {figure.high:.4f}")
    for check in checks:
        print(f"{'met' if check['met'] else 'MISSED':7s} {check['name']} {check['target']}")


if __name__ == "__main__":
    main()
