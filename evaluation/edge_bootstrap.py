"""Errors of utilities by resampling pairs: a check on the Laplace errors that assumes no model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evaluation.fisher import Pattern
from evaluation.laplace import standardise
from evaluation.likelihood import Objective
from evaluation.newton import first_guess, maximise
from evaluation.priors import Hyper
from evaluation.thurstonian import UtilityFit, objective_given, weighted_answers
from plenary.preferences import Cells, FloatArray


class Bootstrapped(NamedTuple):
    """Standard errors sd [K] and percentile ends low, high [K] of the standardised utilities."""

    sd: FloatArray
    low: FloatArray
    high: FloatArray


def edge_bootstrap(
    cells: Cells,
    fitted: UtilityFit,
    rng: np.random.Generator,
    replicates: int = 100,
    level: float = 0.9,
) -> Bootstrapped:
    """Refit `replicates` times on pairs weighted at random (mean 1, exponential).

    `cells` are those that `fitted` was fitted to. Both orders of a pair share a weight; weights
    instead of draws keep the graph connected. Priors stay as fitted: re-estimated, they would take
    the unequal weights for pair noise. What is estimated is the spread over repeated asking of
    other pairs; where priors carry much of the weight the Laplace errors are wider, and rightly.
    """
    settings, k = fitted.settings, len(fitted.mu)
    answers = weighted_answers(cells, settings.exact_weight)
    pattern = Pattern(answers.first, answers.second, k)
    hyper = Hyper(fitted.tau, fitted.omega, fitted.intraclass)
    base = objective_given(answers, pattern, k, hyper, settings)
    start, everyone, found = first_guess(base), np.ones(k, dtype=bool), []
    for _ in range(replicates):
        weight = rng.exponential(size=pattern.pairs)[pattern.pair]
        drawn = Objective(base.answers.weighted(weight), k, base.prior, base.link, pattern)
        theta = maximise(drawn, start, settings.tolerance * k, settings.max_iterations).theta
        found.append(standardise(theta[:k], everyone).values)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Bootstrapped(np.std(found, axis=0, ddof=1), low, high)
