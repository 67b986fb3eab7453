"""Bootstrap errors of utilities by resampling pairs (edges): a check on the Laplace errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evaluation.utility.fisher import FisherPattern
from evaluation.utility.laplace import standardise
from evaluation.utility.likelihood import LikelihoodObjective
from evaluation.utility.newton import first_guess, maximise
from evaluation.utility.thurstonian import (
    Hyper,
    UtilityFit,
    central,
    objective_given,
    weighted_answers,
)
from plenary.preferences import ComparisonCounts, FloatArray


class Bootstrapped(NamedTuple):
    """Standard errors sd [K] and percentile ends low, high [K] of the utilities."""

    sd: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, slots=True)
class Refit:
    """Fits utilities to reweighted answers, from `start`, to `tolerance`."""

    base: LikelihoodObjective
    pattern: FisherPattern
    start: FloatArray
    tolerance: float
    max_iterations: int
    trim: float

    def __call__(self, weight: FloatArray) -> FloatArray:
        """Utilities [K] under weights [N] of the answers."""
        base, k = self.base, self.base.outcomes
        drawn = LikelihoodObjective(
            base.answers.weighted(weight), k, base.prior, base.link, self.pattern
        )
        theta = maximise(drawn, self.start, self.tolerance, self.max_iterations).theta
        return standardise(theta[:k], central(theta[:k], self.trim)).values


Each = Callable[[Callable[[FloatArray], FloatArray], Iterable[FloatArray]], Iterable[FloatArray]]


def edge_bootstrap(
    cells: ComparisonCounts,
    fitted: UtilityFit,
    rng: np.random.Generator,
    replicates: int = 100,
    level: float = 0.9,
    each: Each = map,
) -> Bootstrapped:
    """Refit `replicates` times on pairs weighted at random (mean 1, exponential).

    `cells` are those that `fitted` was fitted to. Both orders of a pair share a weight; weights
    instead of draws keep the graph connected. Priors stay as fitted: if re-estimated, they would
    take the unequal weights for pair noise. What is estimated is the spread over repeated studies
    with other pairs; where priors carry much of the weight, the Laplace errors are rightly wider.
    each: the map function for the fits, which may use workers.
    """
    settings, k = fitted.settings, len(fitted.mu)
    answers = weighted_answers(cells, settings.exact_weight)
    pattern = FisherPattern(answers.first, answers.second, k)
    hyper = Hyper(fitted.tau, fitted.omega, fitted.intraclass)
    base = objective_given(answers, pattern, k, hyper, settings)
    limits = settings.tolerance * k, settings.max_iterations, settings.trim
    refit = Refit(base, pattern, first_guess(base), *limits)
    weights = [rng.exponential(size=pattern.pairs)[pattern.pair] for _ in range(replicates)]
    found = list(each(refit, weights))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Bootstrapped(np.std(found, axis=0, ddof=1), low, high)
