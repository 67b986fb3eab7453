"""Sortition: a fair citizens' lottery (leximin) over panels that all meet the quotas.

Column generation after Flanigan et al. 2021 [flanigan2021], with people of equal features as one
type, and with the HiGHS solver that comes with SciPy.

Shapes: P people, T types, J panels, k seats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from census_data.cells import Cells
from personas.sampling.leximin import (
    Cuts,
    Level,
    Split,
    best_level,
    nearest_mixture,
    relaxed_leximin,
)
from personas.sampling.quotas import Problem, Quota, quota_problem
from plenary.preferences import FloatArray, IntArray
from plenary.seeding import generator

PRICE = 1e-7
# Panels between two checks of how close their mixture is, at first; then half as many.
HERD = 300
NOBODY = -1

Fairness = Literal["leximin", "maximin"]


class LotterySettings(BaseModel):
    """How fair the lottery is, and how much computation is spent on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fairness: Fairness = Field(
        default="leximin", description="leximin, or maximin: only the smallest probability"
    )
    tolerance: float = Field(
        default=1.5e-3, gt=0, description="largest distance from the fairest probability to aim at"
    )
    panels: int = Field(
        default=1500, ge=1, description="largest number of panels in the distribution"
    )
    exact_types: int = Field(
        default=40,
        ge=0,
        description="largest number of types for which the optimum is proved, not approximated",
    )


DEFAULT_LOTTERY = LotterySettings()


@dataclass(frozen=True, slots=True)
class PanelLottery:
    """A distribution over panels.

    panels [J, T]: people of each type; every row meets every quota. probability [J].
    chance [P]: exact selection probability of every person under this distribution.
    fairest [P]: probabilities of the fairest lottery, or an upper bound on them (`proved` tells
    which). deviation: largest |chance - fairest|; lower is better.
    """

    problem: Problem
    panels: IntArray
    probability: FloatArray
    chance: FloatArray
    fairest: FloatArray
    fairness: Fairness
    proved: bool

    @property
    def deviation(self) -> float:
        """Largest distance of a person's probability from the fairest one; lower is better."""
        return float(np.abs(self.chance - self.fairest).max())

    @property
    def smallest_chance(self) -> float:
        """Probability of the least likely person; higher is fairer."""
        return float(self.chance.min())

    @property
    def gini(self) -> float:
        """Gini coefficient of the probabilities; 0 if all are equal."""
        ordered = np.sort(self.chance)
        ranks = np.arange(1, len(ordered) + 1)
        return float((2 * ranks - len(ordered) - 1) @ ordered / (len(ordered) * ordered.sum()))


class Seats(NamedTuple):
    """A drawn panel: people [k] by position, and an alternate for each seat [k], -1 for none.

    An alternate can take the seat without breaking a quota. ticket: the public number in [0, 1)
    that chose the panel; panel: its row in the lottery.
    """

    people: IntArray
    alternates: IntArray
    ticket: float
    panel: int


def quota_lottery(
    columns: Sequence[Cells],
    quotas: Sequence[Quota],
    seats: int,
    settings: LotterySettings = DEFAULT_LOTTERY,
) -> PanelLottery:
    """The fairest lottery over panels of `seats` people that meet every quota.

    columns: attributes of the pool's people [P]. Raises InfeasibleQuotas with the smallest
    relaxation if no panel meets the quotas, ConfigError for quotas that no pool could meet.
    """
    problem = quota_problem(columns, quotas, seats, len(columns[0].codes))
    first = problem.best_panel(np.zeros(len(problem.sizes)))
    rounds = 1 if settings.fairness == "maximin" else None
    if len(problem.sizes) <= settings.exact_types:
        panels, level, fair = _proved(problem, first[None, :], rounds)
        return _lottery(problem, panels, level.probability, fair, settings.fairness, True)
    panels, split, target = _approached(problem, first[None, :], settings, rounds)
    return _lottery(problem, panels, split.probability, target, settings.fairness, False)


def draw_seats(lottery: PanelLottery, seed: int | str) -> Seats:
    """Draw a panel by a public seed (a number or any text); anyone can repeat the draw."""
    rng = generator(0, "lottery", str(seed))
    ticket = float(rng.random())
    cumulated = np.cumsum(lottery.probability)
    row = int(np.searchsorted(cumulated, ticket * cumulated[-1], side="right"))
    row = min(row, len(cumulated) - 1)
    order = rng.permutation(len(lottery.chance))
    by_type = order[np.argsort(lottery.problem.type_of[order], kind="stable")]
    kinds = lottery.problem.type_of[by_type]
    place = np.arange(len(kinds)) - np.searchsorted(kinds, kinds)
    taken = place < lottery.panels[row][kinds]
    people = rng.permutation(by_type[taken])
    rest = rng.permutation(by_type[~taken])
    return Seats(people, _alternates(lottery.problem, people, rest), ticket, row)


def _alternates(problem: Problem, people: IntArray, rest: IntArray) -> IntArray:
    """For each seat, the first remaining person who keeps the quotas, of the same type if any."""
    sums = problem.member @ problem.counts(people)
    found = np.full(len(people), NOBODY)
    free = np.ones(len(rest), dtype=bool)
    kinds = problem.type_of[rest]
    features = problem.member[:, kinds]
    for seat, person in enumerate(people.tolist()):
        own = problem.type_of[person]
        after = (sums - problem.member[:, own])[:, None] + features
        fits = np.all((after >= problem.lower[:, None]) & (after <= problem.upper[:, None]), axis=0)
        options = np.flatnonzero(free & (kinds == own))
        if not len(options):
            options = np.flatnonzero(free & fits)
        if len(options):
            found[seat] = rest[options[0]]
            free[options[0]] = False
    return found


def _lottery(
    problem: Problem,
    panels: IntArray,
    probability: FloatArray,
    fairest: FloatArray,
    fairness: Fairness,
    proved: bool,
) -> PanelLottery:
    used = probability > 0
    panels, probability = panels[used], probability[used] / probability[used].sum()
    chance = probability @ (panels / problem.sizes)
    kinds = problem.type_of
    return PanelLottery(
        problem, panels, probability, chance[kinds], fairest[kinds], fairness, proved
    )


class _Proved(NamedTuple):
    panels: IntArray
    level: Level
    fair: FloatArray


def _proved(problem: Problem, panels: IntArray, rounds: int | None) -> _Proved:
    """Leximin by exact column generation: no panel outside the list would raise any level."""
    types = len(problem.sizes)
    fixed = np.full(types, np.nan)
    done = 0
    while True:
        panels, level = _priced(problem, panels, fixed)
        tight = np.isnan(fixed) & (level.duals > 1e-6)
        if not tight.any():
            tight = np.isnan(fixed)
        fixed[tight] = level.level
        done += 1
        if not np.isnan(fixed).any() or done == rounds:
            chance = level.probability @ (panels / problem.sizes)
            return _Proved(panels, level, chance)


def _priced(problem: Problem, panels: IntArray, fixed: FloatArray) -> tuple[IntArray, Level]:
    open_ = np.isnan(fixed)
    while True:
        level = best_level(problem, panels, np.nan_to_num(fixed), open_)
        value = level.duals / problem.sizes
        column = problem.best_panel(value)
        if value @ column <= level.bound + PRICE or (panels == column).all(axis=1).any():
            return panels, level
        panels = np.vstack([panels, column])


def _approached(
    problem: Problem, panels: IntArray, settings: LotterySettings, rounds: int | None
) -> _Approached:
    """Panels whose mixture comes as close to the fairest chances [T] as required.

    If no mixture of whole panels comes close, the price that proves it is a cut, under which the
    fairest chances are sought again.
    """
    target = relaxed_leximin(problem, rounds=rounds)
    owed = np.zeros(len(target))
    cuts: list[tuple[FloatArray, float]] = []
    split = nearest_mixture(problem, panels, target)
    while split.error > settings.tolerance and len(panels) < settings.panels:
        room = min(HERD if len(panels) <= HERD else HERD // 2, settings.panels - len(panels))
        new = [_owed_panel(problem, owed, target) for _ in range(room)]
        priced = problem.best_panel(split.duals / problem.sizes)
        limit = float(split.duals @ (priced / problem.sizes))
        if split.duals @ target > limit + settings.tolerance / 2:
            cuts.append((split.duals, limit))
            wall = Cuts(np.array([c[0] for c in cuts]), np.array([c[1] for c in cuts]))
            target = relaxed_leximin(problem, rounds=rounds, cuts=wall)
        panels = np.vstack([panels, *new, priced])
        split = nearest_mixture(problem, panels, target)
    return _Approached(panels, split, target)


class _Approached(NamedTuple):
    panels: IntArray
    split: Split
    target: FloatArray


def _owed_panel(problem: Problem, owed: FloatArray, target: FloatArray) -> IntArray:
    """The panel for those whose chances [T] lag most so far; updates `owed`."""
    owed += target
    panel = problem.good_panel(owed / problem.sizes)
    owed -= panel / problem.sizes
    return panel
