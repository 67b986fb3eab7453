"""How many questions it takes to know an order: active comparison against the published one.

Pairs, prompts and answers until the Kendall correlation with planted utilities reaches 0.9. Prints
ratios to the baseline of adam_baseline.py with 90 % intervals over seeds (paired by world).

    python benchmarks/active.py [--quick] [--seeds N] [--outcomes K] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from adam_baseline import Chooser, fit_by_hand
from scipy import stats
from scipy.special import ndtr

from evaluation.elicitation.design import random_regular_pairs
from evaluation.elicitation.elicit import both_orders, one_order
from evaluation.utility.active import SELECTORS, ActiveSettings, PairSet, default_fitter, explore
from evaluation.utility.thurstonian import UtilityFit
from plenary.preferences import ComparisonCounts, FloatArray, IntArray, pair_shares
from plenary.seeding import generator

GOAL, BATCH, LEVEL = 0.9, 200, 0.9


@dataclass(frozen=True, slots=True)
class World:
    """Planted utilities [K] and what disturbs the answers about them, in units of their sd."""

    mu: FloatArray
    sigma: FloatArray
    order_bias: float
    order_spread: float
    pair_noise: float
    seed: int

    def probability(self, shown: IntArray) -> FloatArray:
        """P(first chosen) [N] of presentations [N, 2]; the disturbances of a pair are its own."""
        i, j = shown.T
        low, high = np.minimum(i, j), np.maximum(i, j)
        noise = np.where(i < j, 1, -1) * self.pair_noise * self._normal(low, high, 0)
        bias = self.order_bias + self.order_spread * self._normal(low, high, 1)
        spread = np.sqrt(self.sigma[i] ** 2 + self.sigma[j] ** 2)
        return ndtr((self.mu[i] - self.mu[j] + bias + noise) / spread)

    def _normal(self, low: IntArray, high: IntArray, kind: int) -> FloatArray:
        """A standard normal number a pair [N], the same whenever it is asked (a hash)."""
        x = (low * 1_000_003 + high * 10_007 + 7919 * kind + 104_729 * self.seed).astype(np.uint64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        uniform = ((x ^ (x >> np.uint64(31))) >> np.uint64(11)).astype(float) / 2.0**53
        return stats.norm.ppf(uniform.clip(1e-12, 1 - 1e-12))


def make_world(k: int, seed: int, *, harsh: bool) -> World:
    """Normal utilities, spreads of 0.35 give or take 40 %; order bias 0.15, or 0.3 give or take."""
    rng = generator(seed, "benchmark", "active", "world")
    mu = rng.standard_normal(k)
    sigma = 0.35 * np.exp(0.4 * rng.standard_normal(k))
    bias = (0.3, 0.3, 0.15) if harsh else (0.15, 0.0, 0.0)
    return World((mu - mu.mean()) / mu.std(), sigma, *bias, seed)


class Form(NamedTuple):
    """How a pair is asked: in both orders or one; answers a prompt, None for exact logits."""

    orders: int
    answers: int | None


def observe(
    world: World, pairs: IntArray, form: Form, rng: np.random.Generator
) -> ComparisonCounts:
    """Answers to pairs [P, 2] in one form."""
    shown = both_orders(pairs) if form.orders == 2 else one_order(pairs, rng)
    p, zero = world.probability(shown), np.zeros(len(shown))
    if form.answers is None:
        return ComparisonCounts(shown[:, 0], shown[:, 1], p, zero + 1, zero, zero + 1)
    wins = rng.binomial(form.answers, p).astype(float)
    return ComparisonCounts(
        shown[:, 0], shown[:, 1], wins, zero + form.answers, zero, zero + np.nan
    )


class Path(NamedTuple):
    """Kendall correlation with the truth after so many pairs."""

    pairs: list[int]
    kendall: list[float]

    def add(self, pairs: int, mu: FloatArray, world: World) -> bool:
        """Record a round; whether the goal is reached."""
        self.pairs.append(pairs)
        self.kendall.append(float(np.asarray(stats.kendalltau(mu, world.mu))[0]))
        return self.kendall[-1] >= GOAL

    def needed(self) -> float:
        """Pairs at which the goal was reached, by interpolation."""
        best = np.maximum.accumulate(self.kendall)
        return float(np.interp(GOAL, best, self.pairs)) if best[-1] >= GOAL else np.nan


def run_baseline(world: World, form: Form, most: int) -> float:
    """Pairs that the baseline needs."""
    rng = generator(world.seed, "benchmark", "active", "baseline")
    k = len(world.mu)
    chooser, path = Chooser(k), Path([], [])
    pairs, p = np.empty((0, 2), dtype=np.int64), np.empty(0)
    fresh = random_regular_pairs(k, 2, rng)
    while True:
        cells = observe(world, fresh, form, rng)
        p = np.concatenate([p, pair_shares(cells, fresh).p])
        pairs = np.concatenate([pairs, fresh])
        chooser.asked(fresh)
        fitted = fit_by_hand(pairs, p, k)
        if path.add(len(pairs), fitted.mu, world) or len(pairs) >= most:
            return path.needed()
        fresh = chooser.choose(fitted.mu, BATCH, rng)


class Reached(Exception):
    """The goal is reached; no more questions are asked."""


def run_active(world: World, form: Form, most: int, batch: int, selection: str = "swiss") -> float:
    """Pairs that active comparison with our fit needs."""
    rng = generator(world.seed, "benchmark", "active", "answers")
    path, done, inner = Path([], []), [False], default_fitter()

    async def ask(pairs: IntArray) -> ComparisonCounts:
        if done[0]:
            raise Reached
        return observe(world, pairs, form, rng)

    def fitter(cells: ComparisonCounts, outcomes: int, previous: UtilityFit | None) -> UtilityFit:
        fitted = inner(cells, outcomes, previous)
        done[0] = path.add(len(cells) // form.orders, fitted.mu, world)
        return fitted

    settings = ActiveSettings.model_validate(
        {"selection": selection, "batch": batch, "max_pairs": most, "stop_kendall": 1.0}
    )
    with contextlib.suppress(Reached):
        asyncio.run(explore(ask, len(world.mu), settings, world.seed, fitter))
    return path.needed()


class Case(NamedTuple):
    """One comparison: what is counted, the target on the ratio, and the two contestants."""

    name: str
    unit: str
    target: float
    harsh: bool
    form: Form
    batch: int
    cost: Callable[[Form], int]


SAMPLED = Form(2, 10)
CASES = (
    Case("same form (both orders, 10 answers)", "pairs", 0.90, False, SAMPLED, BATCH, lambda f: 1),
    Case(
        "one answer in one random order",
        "answers",
        1 / 3.5,
        False,
        Form(1, 1),
        3 * BATCH,
        lambda f: f.orders * (f.answers or 1),
    ),
    Case(
        "logits in one random order",
        "prompts",
        1 / 2.3,
        False,
        Form(1, None),
        BATCH // 2,
        lambda f: f.orders,
    ),
    Case(
        "logits in one random order, order bias of each pair its own",
        "prompts",
        1 / 1.5,
        True,
        Form(1, None),
        BATCH,
        lambda f: f.orders,
    ),
)


class Result(NamedTuple):
    """Ratio of a case to the baseline: geometric mean over seeds and its 90 % interval."""

    case: str
    unit: str
    baseline: float
    ours: float
    ratio: float
    low: float
    high: float
    target: float

    @property
    def met(self) -> bool:
        """Whether the mean ratio is within the target."""
        return self.ratio <= self.target


def summarise(case: Case, baseline: list[float], ours: list[float]) -> Result:
    """Paired over seeds, on the log scale."""
    costs = np.array(baseline) * case.cost(SAMPLED), np.array(ours) * case.cost(case.form)
    logs = np.log(costs[1] / costs[0])
    error = logs.std(ddof=1) / np.sqrt(len(logs)) if len(logs) > 1 else np.nan
    half = stats.t.ppf((1 + LEVEL) / 2, max(len(logs) - 1, 1)) * error
    mean = logs.mean()
    ends = np.exp([mean, mean - half, mean + half]).tolist()
    return Result(case.name, case.unit, costs[0].mean(), costs[1].mean(), *ends, target=case.target)


def selection_times(k: int = 2000, rounds: int = 7) -> dict[str, float]:
    """Median CPU milliseconds to choose k / 2 pairs when 2 k log2 k were asked."""
    rng = generator(0, "benchmark", "active", "selection")
    asked = rng.integers(0, k, (round(2 * k * np.log2(k)), 2))
    taken, mu, sd = PairSet(k, asked), rng.standard_normal(k), np.full(k, 0.2)
    times: dict[str, list[float]] = {name: [] for name in SELECTORS}
    for _ in range(rounds):
        for name, choose in SELECTORS.items():
            started = time.process_time()
            choose(mu, sd, k // 2, taken, rng)
            times[name].append(1000 * (time.process_time() - started))
    return {name: float(np.median(values)) for name, values in times.items()}


def run(k: int, seeds: int) -> list[Result]:
    """Every case in every world."""
    most = round(4 * k * np.log2(k))
    ours: list[list[float]] = [[] for _ in CASES]
    baselines: dict[bool, list[float]] = {False: [], True: []}
    for seed in range(seeds):
        worlds = {harsh: make_world(k, seed, harsh=harsh) for harsh in (False, True)}
        for harsh, world in worlds.items():
            baselines[harsh].append(run_baseline(world, SAMPLED, most))
        for place, case in enumerate(CASES):
            ours[place].append(run_active(worlds[case.harsh], case.form, most, case.batch))
    return [summarise(case, baselines[case.harsh], ours[place]) for place, case in enumerate(CASES)]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description="Questions that it takes to know an order.")
    parser.add_argument("--quick", action="store_true", help="a small form, under 50 s")
    parser.add_argument("--seeds", type=int, help="worlds (12; quick 6)")
    parser.add_argument("--outcomes", type=int, help="outcomes (500; quick 300)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    k = chosen.outcomes or (300 if chosen.quick else 500)
    seeds = chosen.seeds or (6 if chosen.quick else 12)
    started = time.process_time()
    results, times = run(k, seeds), selection_times()
    seconds = time.process_time() - started
    if chosen.json:
        print(json.dumps(_record(k, seeds, seconds, results, times)))
        return
    print(f"{k} outcomes, {seeds} worlds, {seconds:.0f} CPU s; cost of Kendall {GOAL}")
    for r in results:
        print(
            f"{r.case}: {r.ours:,.0f} of {r.baseline:,.0f} {r.unit}, ratio {r.ratio:.3f} "
            f"({r.low:.3f} to {r.high:.3f}), target {r.target:.3f} {'met' if r.met else 'MISSED'}"
        )
    for name, value in times.items():
        print(f"selection {name}: {value:.1f} ms a round at 2,000 outcomes")


def _record(
    k: int, seeds: int, seconds: float, results: list[Result], times: dict[str, float]
) -> dict[str, object]:
    """The figures, and each target with whether it is met."""
    targets: list[dict[str, object]] = [
        {"name": f"{r.unit}, ratio ({r.low:.3f} to {r.high:.3f}): {r.case}", "value": r.ratio,
         "target": f"<= {r.target:.3g}", "ratio": True, "met": r.met}
        for r in results
    ]  # fmt: skip
    targets += [
        {"name": f"ms a round: {name} selection at 2,000 outcomes", "value": times[name],
         "target": "< 10", "ratio": False, "met": times[name] < 10.0}
        for name in ("swiss", "thompson")
    ]  # fmt: skip
    rows = [r._asdict() for r in results]
    return {
        "benchmark": "active", "outcomes": k, "seeds": seeds, "cpu_seconds": seconds,
        "goal_kendall": GOAL, "rows": rows, "targets": targets,
    }  # fmt: skip


if __name__ == "__main__":
    main()
