"""The population at scale: personas a second, and raking against the package ipfn.

python benchmarks/population.py [--quick] [--json]

First, personas are drawn, named and rendered in a stream of chunks; the peak memory is that of the
whole process. Then raking: people are drawn from the packaged population with a bias toward the
educated; the margins are those of the sample with the bias weighted away, over cells that all
contain people, because ipfn stops with an error at the first empty cell. Both sides get the same
people, starting weights of 1, margins, tolerance and limit on iterations. Times are processor
seconds, so that other work on the machine does not count. A case that ipfn does not finish within
its time limit, or in which it fails, counts with the time until then, and the line says so. Other
measurements go to the error stream.
"""

from __future__ import annotations

import resource
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pandas as pd
from ipfn import ipfn

from benchmarks.targets import Target, main
from census_data.cells import cells_of, joint_cells
from census_data.population import Population, load_population
from census_data.raking import Margin, rake
from personas.prompt import describe
from personas.sampling.build_personas import stream_personas
from plenary.preferences import FloatArray
from plenary.seeding import generator

ONE_WAY = (
    ("state",), ("age",), ("sex",), ("race_origin",), ("education",), ("marital",),
    ("employment",), ("household_income",),
)  # fmt: skip
TWO_WAY = (
    ("sex", "age"), ("sex", "education"), ("race_origin", "sex"), ("region", "age"),
    ("sex", "marital"), ("region", "metro"), ("sex", "nativity"), ("region", "education"),
)  # fmt: skip
MOST_ERROR, LEAST_RATIO, LEAST_RATE, MOST_MEMORY = 1e-6, 20.0, 20_000.0, 1_000.0


class Case(NamedTuple):
    """Persons to rake, and what to."""

    name: str
    people: Population
    columns: tuple[tuple[str, ...], ...]
    margins: list[Margin]


class Outcome(NamedTuple):
    """One case: processor seconds of each side (median and range), and largest errors over N."""

    name: str
    ours: float
    ours_low: float
    ours_high: float
    theirs: float
    ratio: float
    our_error: float
    their_error: float | None
    their_fate: str


class Streamed(NamedTuple):
    """Personas a processor second and a second of the clock; peak memory and its growth in MB."""

    rate: float
    wall_rate: float
    peak: float
    growth: float


def stream(population: Population, count: int) -> Streamed:
    """Draw, name and render personas; the growth is that after the first chunk."""
    done, characters, first = 0, 0, 0.0
    started, clock = time.process_time(), time.monotonic()
    for chunk in stream_personas(population, count, 1):
        characters += sum(len(describe(persona)) for persona in chunk)
        done += len(chunk)
        first = first or _peak()
    assert done == count
    assert characters > 100 * count
    seconds, clock = time.process_time() - started, time.monotonic() - clock
    return Streamed(count / seconds, count / clock, _peak(), _peak() - first)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def case(population: Population, size: int, columns: Sequence[tuple[str, ...]], kind: str) -> Case:
    """A sample of `size` persons, biased to the educated, and the population's margins."""
    rng = generator(0, "benchmark", size, kind)
    chance = population.weight * (1 + population.values("education"))
    people = population.select(rng.choice(len(population), size, p=chance / chance.sum()))
    # Margins of the sample with the bias weighted away: near the population's, and sure to be met
    # by some weights, which margins with cells that no person of the sample is in are not.
    hidden = 1 / (1.0 + people.values("education"))
    hidden *= size / hidden.sum()
    margins = []
    for names in columns:
        held, place = np.unique(joint_cells(people, names).codes, return_inverse=True)
        counts = np.bincount(place, hidden).astype(np.float64)
        margins.append(Margin(" x ".join(names), place, counts, tuple(map(str, held))))
    return Case(f"{size:,} persons, 8 {kind} margins", people, tuple(columns), margins)


def measure(problem: Case, repeats: int, limit: float) -> Outcome:
    """Both sides on one case."""
    weight = np.ones(len(problem.people))
    times, error = [], float("nan")
    for _ in range(repeats):
        started = time.process_time()
        error = rake(weight, problem.margins).report.max_error
        times.append(time.process_time() - started)
    theirs, their_error, fate = _ipfn(problem, limit)
    ours = statistics.median(times)
    return Outcome(
        problem.name, ours, min(times), max(times), theirs, theirs / ours, error, their_error, fate
    )


def _ipfn(problem: Case, limit: float) -> tuple[float, float | None, str]:
    columns = sorted({name for names in problem.columns for name in names})
    frame = pd.DataFrame({name: cells_of(problem.people, name).codes for name in columns})
    frame["total"] = 1.0
    targets = []
    for names, margin in zip(problem.columns, problem.margins, strict=True):
        cells = pd.DataFrame(frame.groupby(margin.codes)[list(names)].first())
        index = (
            pd.Index(cells[names[0]], name=names[0])
            if len(names) == 1
            else pd.MultiIndex.from_frame(cells)
        )
        targets.append(pd.Series(margin.targets, index))
    names = [list(names) for names in problem.columns]
    fit = ipfn.ipfn(frame, targets, names, convergence_rate=1e-7, max_iteration=1000)
    started = time.process_time()
    try:
        with _within(limit):
            raked = pd.DataFrame(fit.iteration())
    except TimeoutError:
        return time.process_time() - started, None, f"stopped after {limit:.0f} s"
    except (KeyError, ValueError) as error:
        return time.process_time() - started, None, f"failed with {type(error).__name__}"
    seconds = time.process_time() - started
    return seconds, _largest_error(problem.margins, raked["total"].to_numpy()), "finished"


@contextmanager
def _within(seconds: float):
    def stop(signum: int, frame: object) -> None:
        raise TimeoutError

    kept = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, kept)


def _largest_error(margins: Sequence[Margin], weight: FloatArray) -> float:
    gaps = [np.abs(np.bincount(m.codes, weight, len(m.targets)) - m.targets) for m in margins]
    return float(max(gap.max() for gap in gaps) / len(weight))


def million(population: Population, repeats: int) -> tuple[float, float]:
    """Processor seconds and error of raking 1,000,000 persons to 8 one-way margins."""
    problem = case(population, 1_000_000, ONE_WAY, "one-way")
    times, errors = [], []
    for _ in range(repeats):
        started = time.process_time()
        errors.append(rake(np.ones(len(problem.people)), problem.margins).report.max_error)
        times.append(time.process_time() - started)
    return statistics.median(times), max(errors)


def run(quick: bool) -> Iterator[Target]:
    """Every case; with --quick, smaller cases and a shorter time limit for ipfn."""
    population = load_population()
    count = 50_000 if quick else 1_000_000
    found = stream(population, count)
    _say(
        f"{count:,} personas drawn and rendered: {found.rate:,.0f} a processor second, "
        f"{found.wall_rate:,.0f} a second of the clock; peak memory {found.peak:.0f} MB, "
        f"{found.growth:.0f} MB of it after the first chunk"
    )
    yield Target("personas drawn and rendered a second", found.rate, LEAST_RATE)
    yield Target("peak memory, MB", found.peak, MOST_MEMORY, at_least=False)
    for size in (10_000, 100_000):
        for columns, kind in ((ONE_WAY, "one-way"), (TWO_WAY, "two-way")):
            problem = case(population, size, columns, kind)
            outcome = measure(problem, 3 if quick else 7, 5.0 if quick else 120.0)
            _say(_line(outcome))
            name = f"{size // 1000}k to 8 {kind}"
            yield Target(f"{name}: largest error / N", outcome.our_error, MOST_ERROR, False)
            yield Target(f"{name}: times faster than ipfn", outcome.ratio, LEAST_RATIO, ratio=True)
    seconds, error = million(population, 1 if quick else 3)
    _say(f"1,000,000 persons, 8 one-way margins: {seconds:.2f} s, error {error:.1e} of N")
    yield Target("1,000k to 8 one-way: seconds", seconds, 5.0, at_least=False)
    yield Target("1,000k to 8 one-way: largest error / N", error, MOST_ERROR, at_least=False)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _line(o: Outcome) -> str:
    error = "-" if o.their_error is None else f"{o.their_error:.1e}"
    return (
        f"{o.name}: ours {o.ours:.3f} s ({o.ours_low:.3f} to {o.ours_high:.3f}), error "
        f"{o.our_error:.1e}; ipfn {o.theirs:.2f} s, error {error}, {o.their_fate}; "
        f"{o.ratio:.0f} times faster"
    )


if __name__ == "__main__":
    main(__doc__, run)
