"""Leximin: the fairest selection probabilities that quotas allow, by linear programmes.

Leximin raises the smallest probability, then the next smallest, and so on (Flanigan, Goelz, Gupta,
Hennig and Procaccia, Nature 596, 2021 [flanigan2021]). Shapes: T types, J panels, Q quotas.
`chance` [T] is the selection probability of one member of a type, `panels` [J, T] are counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import OptimizeResult, linprog
from scipy.sparse import csr_array, hstack, vstack

from personas.sampling.quotas import Problem
from plenary.errors import ConvergenceError
from plenary.preferences import BoolArray, FloatArray, IntArray

# Later rounds need a little slack, since earlier levels contain the solver's own errors.
TINY = 1e-6
# A dual below this counts as zero: the type's probability may still rise.
DUAL = 1e-7


class Split(NamedTuple):
    """A distribution over panels: probabilities [J], largest error of a chance, duals [T]."""

    probability: FloatArray
    error: float
    duals: FloatArray


class Cuts(NamedTuple):
    """Limits that every lottery over whole panels obeys: slope [X, T] @ chance [T] <= limit [X]."""

    slope: FloatArray
    limit: FloatArray


class Level(NamedTuple):
    """One round of leximin: the level reached, and the probability of each panel [J].

    duals [T]: how much each type keeps the level low. bound: the price that a new panel must beat.
    """

    level: float
    probability: FloatArray
    duals: FloatArray
    bound: float


def relaxed_leximin(
    problem: Problem, *, rounds: int | None = None, cuts: Cuts | None = None
) -> FloatArray:
    """Leximin chances [T] if panels may be fractional: no lottery over panels does better.

    `cuts` bring the fractional panels closer to mixtures of whole ones.

    `rounds=1` stops after the smallest chance (maximin).
    """
    types = len(problem.sizes)
    fixed = np.full(types, np.nan)
    chance = np.zeros(types)
    done = 0
    while np.isnan(fixed).any() and (rounds is None or done < rounds):
        answer = _relaxed_round(problem, fixed, cuts)
        chance, level = answer.x[:-1], float(answer.x[-1])
        tight = np.isnan(fixed) & (np.abs(answer.ineqlin.marginals[:types]) > DUAL)
        if level >= 1 - TINY:
            tight = np.isnan(fixed)
        fixed[tight] = level
        done += 1
        if not tight.any():
            raise ConvergenceError(
                f"leximin stopped at level {level!r} without a type that holds it; "
                "use fewer or wider quotas"
            )
    return np.where(np.isnan(fixed), chance, fixed).clip(0, 1)


def _relaxed_round(problem: Problem, fixed: FloatArray, cuts: Cuts | None) -> OptimizeResult:
    """Maximise the lowest chance (level) of the open types; variables: chances [T], level."""
    types = len(problem.sizes)
    open_ = np.isnan(fixed)
    floors = csr_array(hstack([-csr_array(np.eye(types)), open_[:, None].astype(float)]))
    held = problem.member * problem.sizes
    zero = np.zeros((len(held), 1))
    rows = [floors, csr_array(np.hstack([held, zero])), csr_array(np.hstack([-held, zero]))]
    limits = np.where(open_, 0.0, TINY - np.nan_to_num(fixed))
    bounds = [limits, problem.upper, -problem.lower]
    if cuts is not None:
        rows.append(csr_array(np.hstack([cuts.slope, np.zeros((len(cuts.limit), 1))])))
        bounds.append(cuts.limit + TINY)
    return _solved(
        linprog(
            np.append(np.zeros(types), -1.0),
            A_ub=vstack(rows),
            b_ub=np.concatenate(bounds),
            A_eq=np.append(problem.sizes, 0.0)[None, :],
            b_eq=[problem.seats],
            bounds=[(0, 1)] * types + [(None, 1)],
            method="highs",
        )
    )


def nearest_mixture(problem: Problem, panels: IntArray, target: FloatArray) -> Split:
    """The distribution over panels [J, T] whose chances are nearest the target [T], worst first."""
    count, types = panels.shape
    rates = csr_array((panels / problem.sizes).T)
    ones = csr_array(np.ones((types, 1)))
    answer = _solved(
        linprog(
            np.append(np.zeros(count), 1.0),
            A_ub=vstack([hstack([rates, -ones]), hstack([-rates, -ones])]),
            b_ub=np.concatenate([target, -target]),
            A_eq=np.append(np.ones(count), 0.0)[None, :],
            b_eq=[1.0],
            bounds=(0, None),
            method="highs",
        )
    )
    marginals = answer.ineqlin.marginals
    probability = answer.x[:-1].clip(0)
    probability /= probability.sum()
    error = float(np.abs(rates @ probability - target).max())
    return Split(probability, error, marginals[:types] - marginals[types:])


def best_level(problem: Problem, panels: IntArray, fixed: FloatArray, open_: BoolArray) -> Level:
    """The highest level for the open types over these panels [J, T], the others at `fixed` [T]."""
    count = len(panels)
    rates = (panels / problem.sizes).T
    limits = np.where(open_, 0.0, TINY - fixed)
    answer = _solved(
        linprog(
            np.append(np.zeros(count), -1.0),
            A_ub=np.hstack([-rates, open_[:, None].astype(float)]),
            b_ub=limits,
            A_eq=np.append(np.ones(count), 0.0)[None, :],
            b_eq=[1.0],
            bounds=[(0, None)] * count + [(None, None)],
            method="highs",
        )
    )
    duals = -answer.ineqlin.marginals
    probability = answer.x[:-1].clip(0)
    return Level(
        float(answer.x[-1]),
        probability / probability.sum(),
        duals,
        float(-answer.eqlin.marginals[0]),
    )


def _solved(answer: OptimizeResult) -> OptimizeResult:
    if answer.x is None or answer.status != 0:
        raise ConvergenceError(
            f"the linear programme of the lottery stopped with {answer.message!r}; "
            "use fewer or wider quotas"
        )
    return answer
