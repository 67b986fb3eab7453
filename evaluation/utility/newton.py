"""The optimiser of the utility fit: Gauss-Newton with preconditioned conjugate gradients."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg

from evaluation.utility.fisher import Fisher
from evaluation.utility.likelihood import LikelihoodObjective, PosteriorPoint
from plenary.preferences import FloatArray

STEP_CLIP = 1.5
SUFFICIENT_DECREASE, FLAT, SHORTEST = 1e-4, 0.4, 1e-8
ROUNDING, LOST = 1e-13, 1e-10
DENSE_STEPS, STEP_TOLERANCE = 120, 3e-2


class Optimum(NamedTuple):
    """Where the search ended: theta [2K + 2], the posterior there, iterations, convergence.

    fisher: the last information used; that of `point` when converged, else one step older.
    """

    theta: FloatArray
    point: PosteriorPoint
    fisher: Fisher
    iterations: int
    converged: bool


class _Last(NamedTuple):
    """Direction, Gauss-Newton step and gradient [2K + 2] of the previous iteration."""

    direction: FloatArray
    step: FloatArray
    gradient: FloatArray


def solve(fisher: Fisher, right: FloatArray, tolerance: float, limit: int = 500) -> FloatArray:
    """The inverse of the information times right [2K + 2], to a relative `tolerance`."""
    if fisher.size <= 2 * DENSE_STEPS + 2:
        return linalg.cho_solve(
            (linalg.cholesky(fisher.dense(), lower=True, check_finite=False), True),
            right,
            check_finite=False,
        )
    x, residual = np.zeros_like(right), right.copy()
    scaled = fisher.near_inverse(residual)
    direction, rho = scaled.copy(), float(residual @ scaled)
    stop = tolerance**2 * rho
    for _ in range(limit):
        if rho <= stop:
            break
        image = fisher.product(direction)
        step = rho / float(direction @ image)
        x += step * direction
        residual -= step * image
        scaled = fisher.near_inverse(residual)
        fresh = float(residual @ scaled)
        direction *= fresh / rho
        direction += scaled
        rho = fresh
    return x


def first_guess(objective: LikelihoodObjective) -> FloatArray:
    """Theta [2K + 2] at the prior's centre plus the least-squares utilities."""
    fisher, right = objective.least_squares()
    return objective.centre + solve(fisher, right, STEP_TOLERANCE)


def _conjugate(step: FloatArray, point: PosteriorPoint, last: _Last | None) -> FloatArray:
    """The step combined with the last direction (Polak-Ribiere).

    Fisher steps alone overshoot and zigzag near the mode, where the observed information is up to
    twice theirs.
    """
    if last is None:
        return step
    beta = float(step @ (last.gradient - point.gradient)) / float(-last.gradient @ last.step)
    bent = step + max(beta, 0.0) * last.direction
    return bent if point.gradient @ bent < 0 else step


def _clipped(objective: LikelihoodObjective, direction: FloatArray) -> FloatArray:
    """The direction shortened so that no log sigma and no log lapse moves beyond the limit."""
    k = objective.outcomes
    longest = max(np.abs(direction[k : 2 * k]).max(), abs(direction[-1]))
    return direction * (STEP_CLIP / longest) if longest > STEP_CLIP else direction


class _Trial(NamedTuple):
    theta: FloatArray
    point: PosteriorPoint


def _try(objective: LikelihoodObjective, theta: FloatArray) -> _Trial | None:
    """The posterior at theta, None if it is not finite."""
    if not objective.allowed(theta):
        return None
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        point = objective.at(theta)
    return _Trial(theta, point) if np.isfinite(point.value) else None


def _line_search(
    objective: LikelihoodObjective, theta: FloatArray, point: PosteriorPoint, direction: FloatArray
) -> _Trial | None:
    """Backtrack to a decrease, then take one secant step toward zero slope."""
    slope, length = float(point.gradient @ direction), 1.0
    while True:
        found = _try(objective, theta + length * direction)
        enough = point.value + SUFFICIENT_DECREASE * length * slope
        if found is not None and found.point.value <= enough:
            break
        length /= 2
        if length < SHORTEST:
            return None
    end = float(found.point.gradient @ direction)
    if abs(end) > FLAT * abs(slope):
        better = length * slope / (slope - end) if end > slope else 2 * length
        better = float(np.clip(better, length / 10, 2 * length))
        second = _try(objective, theta + better * direction)
        if second is not None and second.point.value < found.point.value:
            return second
    return found


def maximise(
    objective: LikelihoodObjective, start: FloatArray, tolerance: float, limit: int
) -> Optimum:
    """Climb to the posterior mode from `start` [2K + 2] by conjugate Gauss-Newton steps.

    Converged when twice the decrease that a full step predicts is at most `tolerance` nats (or
    below rounding).
    """
    theta, point, last = start, objective.at(start), None
    fisher = objective.fisher(point)
    for iteration in range(limit):
        step = solve(fisher, -point.gradient, STEP_TOLERANCE)
        predicted = float(-point.gradient @ step)
        if predicted <= max(tolerance, ROUNDING * abs(point.value)):
            return Optimum(theta, point, fisher, iteration, True)
        direction = _clipped(objective, _conjugate(step, point, last))
        found = _line_search(objective, theta, point, direction)
        if found is None:
            return Optimum(theta, point, fisher, iteration, predicted <= LOST * abs(point.value))
        last = _Last(direction, step, point.gradient)
        theta, point = found
        fisher = objective.fisher(point) if iteration + 1 < limit else fisher
    return Optimum(theta, point, fisher, limit, False)
