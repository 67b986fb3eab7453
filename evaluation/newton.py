"""Gauss-Newton with preconditioned conjugate gradients, and marginal variances at the optimum."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import linalg

from evaluation.likelihood import Point, ThurstoneObjective
from plenary.preferences import FloatArray
from plenary.seeding import generator

STEP_CLIP = 1.5
SUFFICIENT_DECREASE, FLAT, SHORTEST = 1e-4, 0.2, 1e-8
ROUNDING, LOST = 1e-13, 1e-10


class Optimum(NamedTuple):
    """Where the search ended: theta [2K + 2], posterior there, iterations, tolerance reached."""

    theta: FloatArray
    point: Point
    iterations: int
    converged: bool


class ProbePrecision(NamedTuple):
    """How many random probes, and the relative tolerance of each solve."""

    probes: int
    tolerance: float


class _Last(NamedTuple):
    """Direction, Gauss-Newton step and gradient [2K + 2] of the iteration before."""

    direction: FloatArray
    step: FloatArray
    gradient: FloatArray


def conjugate_gradients(
    product: Callable[[FloatArray], FloatArray],
    right: FloatArray,
    diagonal: FloatArray,
    tolerance: float,
    limit: int = 500,
) -> FloatArray:
    """Solve product(x) = right [D], product positive definite with the given diagonal [D]."""
    x, residual = np.zeros_like(right), right.copy()
    scaled = residual / diagonal
    direction, rho = scaled.copy(), float(residual @ scaled)
    stop = tolerance**2 * rho
    for _ in range(limit):
        if rho <= stop:
            break
        image = product(direction)
        step = rho / float(direction @ image)
        x += step * direction
        residual -= step * image
        scaled = residual / diagonal
        fresh = float(residual @ scaled)
        direction = scaled + fresh / rho * direction
        rho = fresh
    return x


def _newton_step(objective: ThurstoneObjective, point: Point) -> FloatArray:
    """Gauss-Newton step [2K + 2]."""
    return conjugate_gradients(
        lambda x: objective.fisher_product(point, x),
        -point.gradient,
        objective.fisher_diagonal(point),
        1e-3,
    )


def _conjugate(step: FloatArray, point: Point, last: _Last | None) -> FloatArray:
    """The step bent by the last direction (Polak-Ribiere).

    Fisher steps alone overshoot and zigzag near the mode, where the observed information is up to
    twice theirs.
    """
    if last is None:
        return step
    beta = float(step @ (last.gradient - point.gradient)) / float(-last.gradient @ last.step)
    bent = step + max(beta, 0.0) * last.direction
    return bent if point.gradient @ bent < 0 else step


def _clipped(objective: ThurstoneObjective, direction: FloatArray) -> FloatArray:
    """The direction shortened so that no log sigma and no log lapse moves past the clip."""
    k = objective.outcomes
    longest = max(np.abs(direction[k : 2 * k]).max(), abs(direction[-1]))
    return direction * (STEP_CLIP / longest) if longest > STEP_CLIP else direction


def _line_search(
    objective: ThurstoneObjective, theta: FloatArray, point: Point, direction: FloatArray
) -> tuple[FloatArray, Point] | None:
    """Backtrack to a decrease, then one secant step to where the slope vanishes."""
    slope, length = float(point.gradient @ direction), 1.0
    while (
        objective.value(theta + length * direction)
        > point.value + SUFFICIENT_DECREASE * length * slope
    ):
        length /= 2
        if length < SHORTEST:
            return None
    found = objective.at(theta + length * direction)
    end = float(found.gradient @ direction)
    if abs(end) > FLAT * abs(slope):
        better = length * slope / (slope - end) if end > slope else 2 * length
        better = float(np.clip(better, length / 10, 2 * length))
        if objective.value(theta + better * direction) < found.value:
            length, found = better, objective.at(theta + better * direction)
    return theta + length * direction, found


def maximise(
    objective: ThurstoneObjective, start: FloatArray, tolerance: float, limit: int
) -> Optimum:
    """Climb to the posterior mode from `start` [2K + 2] by Gauss-Newton steps made conjugate.

    Converged when twice the decrease that a full step predicts is at most `tolerance` nats (or lost
    in rounding).
    """
    theta, point, last = start, objective.at(start), None
    for iteration in range(limit):
        step = _newton_step(objective, point)
        predicted = float(-point.gradient @ step)
        if predicted <= max(tolerance, ROUNDING * abs(point.value)):
            return Optimum(theta, point, iteration, True)
        direction = _clipped(objective, _conjugate(step, point, last))
        found = _line_search(objective, theta, point, direction)
        if found is None:
            return Optimum(theta, point, iteration, predicted <= LOST * abs(point.value))
        last = _Last(direction, step, point.gradient)
        theta, point = found
    return Optimum(theta, point, limit, False)


def covariance(objective: ThurstoneObjective, point: Point) -> FloatArray:
    """Laplace covariance [2K + 2, 2K + 2]: inverse of Fisher information plus prior."""
    factor = linalg.cho_factor(objective.fisher_dense(point), lower=True)
    inverse = linalg.cho_solve(factor, np.eye(objective.size))
    return (inverse + inverse.T) / 2


def probed_diagonal(
    objective: ThurstoneObjective,
    point: Point,
    forward: Callable[[FloatArray], FloatArray],
    transpose: Callable[[FloatArray], FloatArray],
    precision: ProbePrecision,
) -> FloatArray:
    """Estimated diagonal [M] of S C S^T, C the Laplace covariance, from random sign probes.

    For sizes that cannot be inverted. forward is S: [2K + 2] -> [M]; transpose is S^T. Each entry
    is noisy, their mean is not.
    """
    rng, diagonal = generator(0, "laplace", "probes"), objective.fisher_diagonal(point)
    size = len(forward(np.zeros(objective.size)))
    total = np.zeros(size)
    for _ in range(precision.probes):
        signs = rng.choice([-1.0, 1.0], size)
        solved = conjugate_gradients(
            lambda x: objective.fisher_product(point, x),
            transpose(signs),
            diagonal,
            precision.tolerance,
        )
        total += signs * forward(solved)
    return total / precision.probes
