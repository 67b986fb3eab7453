"""Thurstonian utility fit (MAP) to pairwise choices, with order bias, lapses, Laplace errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluation.elicitation.comparison_graph import components, require_connected, separated
from evaluation.utility.fisher import FisherPattern
from evaluation.utility.laplace import exact_errors, mean_variance, probed_errors, standardise
from evaluation.utility.likelihood import LINKS, LikelihoodObjective, LinkName, Observations, Prior
from evaluation.utility.newton import Optimum, first_guess, maximise
from plenary.errors import DataError, NotMeasured
from plenary.preferences import BoolArray, ComparisonCounts, FloatArray, IntArray

FIRST_TAU, FIRST_OMEGA = 2.0, 0.4

PRIOR_ROUNDS, CHEAP_LIMIT = 12, 120

ROUGH_NATS, ROUGH_LIMIT = 2e-2, 3

# Laplace errors treat the priors' spreads and the pair noise as known and the mode as the mean; in
# the worlds of benchmarks/utility_fit.py they are too small by this factor.
PLUG_IN = 1.05


class FitSettings(BaseModel):
    """How utilities are fitted. Method: docs/references.md, key fitting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    link: LinkName = Field(
        default="thurstonian", description="how differences become choices (likelihood.LINKS)"
    )
    order_bias_sd: float = Field(
        default=2.0, gt=0, description="prior sd of the order bias, in units of a typical sigma"
    )
    lapse_median: float = Field(
        default=0.02, gt=0, lt=0.5, description="prior median of the lapse rate (log-normal)"
    )
    lapse_spread: float = Field(default=1.0, gt=0, description="prior sd of the log lapse rate")
    exact_weight: float = Field(
        default=1000.0,
        ge=1,
        description="answers that an exact probability counts as, before pair noise is estimated",
    )
    trim: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="central share of outcomes over which utilities have mean 0 and sd 1",
    )
    disconnected: Literal["error", "flag"] = Field(
        default="error", description="what to do if the comparisons do not connect all outcomes"
    )
    tolerance: float = Field(
        default=1e-5,
        gt=0,
        description="predicted decrease of the log posterior, nats per outcome, at which to stop",
    )
    max_iterations: int = Field(
        default=200, ge=1, description="Gauss-Newton iterations per update of the priors"
    )
    dense_limit: int = Field(
        default=300,
        ge=2,
        description="most outcomes whose covariance is inverted; beyond, random probes",
    )


class _Numbers(BaseModel):
    """The scalar part of a fit, as stored in JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order_bias: float
    order_bias_sd: float
    lapse: float
    intraclass: float
    tau: float
    omega: float
    log_likelihood: float
    iterations: int
    converged: bool
    settings: FitSettings
    tie: float = 0.0


@dataclass(frozen=True, slots=True)
class UtilityFit:
    """Fitted utilities in the normalisation in which the central outcomes have mean 0 and sd 1.

    Central is the middle `settings.trim` share by rank: how far out the few best and worst outcomes
    are is poorly known, and errors on a scale that depends on them would cover too little.
    mu [K]: utilities, higher is preferred. sd [K]: their Laplace standard errors, those of the
    scale included.
    log_sigma [K]: log spread of each outcome's latent value, in units of mu.
    component [K]: part of the comparison graph, 0 the largest. separated [K]: finite only because
    of the prior.
    order_bias: added to the outcome shown first, in units of mu; order_bias_sd its standard error.
    lapse: share of answers given at random. intraclass: correlation of answer errors within a pair
    (0: none).
    tau, omega: spreads that set the priors of mu and log sigma, estimated in the raw normalisation.
    log_likelihood: of the weighted answers, nats. tie: Davidson's nu if a third answer was offered
    (davidson.py), else 0.
    """

    mu: FloatArray
    sd: FloatArray
    log_sigma: FloatArray
    component: IntArray
    separated: BoolArray
    order_bias: float
    order_bias_sd: float
    lapse: float
    intraclass: float
    tau: float
    omega: float
    log_likelihood: float
    iterations: int
    converged: bool
    settings: FitSettings
    tie: float = 0.0

    def _z(self, i: IntArray, j: IntArray, bias: float) -> FloatArray:
        spread = np.exp(2 * self.log_sigma)
        return (self.mu[i] - self.mu[j] + bias) / np.sqrt(spread[i] + spread[j])

    def shown_first(self, i: IntArray, j: IntArray) -> FloatArray:
        """Probability [...] that i, shown first, is chosen over j; bias and lapses included."""
        return self.lapse / 2 + (1 - self.lapse) * LINKS[self.settings.link].cdf(
            self._z(i, j, self.order_bias)
        )

    def probability(self, i: IntArray, j: IntArray) -> FloatArray:
        """Probability [...] that i is chosen over j, mean over the two presentation orders."""
        return (self.shown_first(i, j) + 1 - self.shown_first(j, i)) / 2

    @property
    def order_bias_probit(self) -> float:
        """Order bias in probits for a pair of median spread; 0 none, positive favours first."""
        return float(self.order_bias / (np.sqrt(2) * np.exp(np.median(self.log_sigma))))

    def save(self, stem: Path) -> None:
        """Write `stem`.parquet (one row per outcome) and `stem`.json (the numbers and settings)."""
        pq.write_table(
            pa.table({name: getattr(self, name) for name in _COLUMNS}), stem.with_suffix(".parquet")
        )
        numbers = _Numbers(**{name: getattr(self, name) for name in _Numbers.model_fields})
        stem.with_suffix(".json").write_text(numbers.model_dump_json(indent=2), encoding="utf-8")

    @classmethod
    def load(cls, stem: Path) -> UtilityFit:
        """Read what `save` wrote; DataError if a file is missing or altered."""
        try:
            table = pq.read_table(stem.with_suffix(".parquet"))
            numbers = _Numbers.model_validate_json(stem.with_suffix(".json").read_bytes())
            columns = {name: table[name].to_numpy() for name in _COLUMNS}
        except (OSError, KeyError, pa.ArrowInvalid, ValidationError) as error:
            raise DataError(f"cannot read a fit from {str(stem)!r}: {error}; fit again") from error
        return cls(**columns, **{name: getattr(numbers, name) for name in _Numbers.model_fields})


_COLUMNS = ("mu", "sd", "log_sigma", "component", "separated")


class Hyper(NamedTuple):
    """Spreads of raw mu (tau) and log sigma (omega); correlation of errors in a pair."""

    tau: float
    omega: float
    intraclass: float


class _Fitted(NamedTuple):
    objective: LikelihoodObjective
    optimum: Optimum
    hyper: Hyper
    iterations: int


def weighted_answers(cells: ComparisonCounts, exact_weight: float) -> Observations:
    """Cells with a valid answer; exact probabilities (with a mass) have weight `exact_weight`.

    DataError if some chose neither outcome, for which this model has no place.
    """
    if cells.undecided.any():
        raise DataError(
            f"{float(cells.undecided.sum()):g} answers are for no preference, which this model "
            "does not have; fit them with evaluation.utility.davidson.fit_answers"
        )
    cells = cells.select(cells.trials > 0)
    low, high = np.minimum(cells.first, cells.second), np.maximum(cells.first, cells.second)
    # Cells of a pair are adjacent, so that sums over pairs run through memory in order.
    cells = cells.select(np.argsort(low * (high.max(initial=0) + 1) + high, kind="stable"))
    weight = np.where(np.isnan(cells.mass), 1.0, exact_weight)
    return Observations(cells.first, cells.second, cells.wins * weight, cells.trials * weight)


def objective_given(
    answers: Observations,
    pattern: FisherPattern,
    outcomes: int,
    hyper: Hyper,
    settings: FitSettings,
) -> LikelihoodObjective:
    """The log posterior of K = `outcomes` outcomes for given prior sds and correlation."""
    log_lapse = float(np.log(settings.lapse_median))
    prior = Prior(hyper.tau, hyper.omega, settings.order_bias_sd, log_lapse, settings.lapse_spread)
    weighted = effective(answers, pattern, hyper.intraclass)
    return LikelihoodObjective(weighted, outcomes, prior, LINKS[settings.link], pattern)


def _raw(start: UtilityFit) -> FloatArray:
    """Theta [2K + 2] near that of a fit: the raw normalisation has log sigma centred at about 0."""
    log_scale = -start.log_sigma.mean()
    scale = np.exp(log_scale)
    rest = [scale * start.order_bias, np.log(start.lapse)]
    centred = scale * (start.mu - start.mu.mean())
    return np.concatenate([centred, start.log_sigma + log_scale, rest])


def _search(
    answers: Observations, outcomes: int, settings: FitSettings, start: UtilityFit | None
) -> _Fitted:
    """Alternate a few steps given the priors with updates of the priors, then climb fully."""
    pattern = FisherPattern(answers.first, answers.second, outcomes)
    hyper, iterations = Hyper(FIRST_TAU, FIRST_OMEGA, 0.0), 0
    if start is not None:
        hyper = Hyper(start.tau, start.omega, start.intraclass)
    objective = objective_given(answers, pattern, outcomes, hyper, settings)
    theta = first_guess(objective) if start is None else _raw(start)
    exact = outcomes <= CHEAP_LIMIT
    for _ in range(PRIOR_ROUNDS):
        limit = min(ROUGH_LIMIT, settings.max_iterations)
        rough = maximise(objective, theta, ROUGH_NATS * outcomes, limit)
        theta, iterations = rough.theta, iterations + rough.iterations
        updated = update(objective, rough, answers, exact)
        settled = close(hyper, updated)
        if settled and rough.converged:
            break
        hyper = updated
        objective = objective_given(answers, pattern, outcomes, hyper, settings)
    optimum = maximise(objective, theta, settings.tolerance * outcomes, settings.max_iterations)
    return _Fitted(objective, optimum, hyper, iterations + optimum.iterations)


def central(mu: FloatArray, share: float) -> BoolArray:
    """Mask [K] of the central `share` of the outcomes by rank (at least two)."""
    rank = np.argsort(np.argsort(mu, kind="stable"), kind="stable")
    cut = round(len(mu) * (1 - share) / 2)
    mask = (rank >= cut) & (rank < len(mu) - cut)
    return mask if mask.sum() > 1 else np.ones(len(mu), dtype=bool)


def joined(first: IntArray, second: IntArray, outcomes: int, settings: FitSettings) -> IntArray:
    """Component [K] of each outcome by the answered cells [N]; NotMeasured if no fit can be."""
    if outcomes < 2 or not len(first):
        raise NotMeasured(
            f"{len(first)} answered cells on {outcomes} outcomes; "
            "a fit needs at least one answered pair"
        )
    highest = int(max(first.max(), second.max()))
    if highest >= outcomes:
        raise DataError(
            f"cell names outcome {highest!r} of {outcomes}; "
            "pass the number of outcomes of the catalogue"
        )
    labels = components(first, second, outcomes)
    if settings.disconnected == "error":
        require_connected(labels)
    return labels


def fit(
    cells: ComparisonCounts,
    outcomes: int,
    settings: FitSettings | None = None,
    start: UtilityFit | None = None,
) -> UtilityFit:
    """Fit utilities of `outcomes` (K) to cells [N] with their presentation order.

    A cell with a mass is an exact probability; one without is a count. Invalid answers carry no
    information and are never imputed. start: an earlier fit of the same outcomes, from which the
    search starts; it saves time and, up to the tolerance, changes nothing. Raises NotMeasured if
    nothing was answered or the comparisons do not connect the outcomes, DataError if `start` is for
    others, or if some chose neither outcome (use davidson.fit_answers).
    """
    settings = settings or FitSettings()
    answers = weighted_answers(cells, settings.exact_weight)
    labels = joined(answers.first, answers.second, outcomes, settings)
    if start is not None and len(start.mu) != outcomes:
        raise DataError(
            f"a start of {len(start.mu)!r} outcomes for a fit of {outcomes!r}; start from a fit of "
            "the same outcomes"
        )
    fitted = _search(answers, outcomes, settings, start)
    return _result(fitted, answers, labels, settings)


def _result(
    fitted: _Fitted, answers: Observations, labels: IntArray, settings: FitSettings
) -> UtilityFit:
    objective, optimum, hyper, iterations = fitted
    k, theta = objective.outcomes, optimum.theta
    normalisation = standardise(theta[:k], central(theta[:k], settings.trim))
    errors = exact_errors if k <= settings.dense_limit else probed_errors
    error = errors(optimum.fisher, normalisation)
    losses = answers.trials - answers.wins
    return UtilityFit(
        mu=normalisation.values,
        sd=PLUG_IN * error.utilities,
        log_sigma=theta[k : 2 * k] - np.log(normalisation.scale),
        component=labels,
        separated=separated(answers.first, answers.second, answers.wins, losses, k),
        order_bias=float(theta[2 * k] / normalisation.scale),
        order_bias_sd=error.order_bias / normalisation.scale,
        lapse=float(np.exp(theta[-1])),
        intraclass=hyper.intraclass,
        tau=hyper.tau,
        omega=hyper.omega,
        log_likelihood=optimum.point.log_likelihood,
        iterations=iterations,
        converged=optimum.converged,
        settings=settings,
    )


TAU_BOUNDS, OMEGA_BOUNDS = (0.2, 20.0), (0.1, 0.6)

RELATIVE, ABSOLUTE = 0.02, 1e-3


def effective(answers: Observations, pattern: FisherPattern, intraclass: float) -> Observations:
    """Answers reduced to the effective number of n correlated ones, n / (1 + (n - 1) rho)."""
    if not intraclass:
        return answers
    return answers.weighted(worth(answers.trials, pattern, intraclass))


def worth(trials: FloatArray, pattern: FisherPattern, intraclass: float) -> FloatArray:
    """The weight of each answer of a cell [N], as all n answers of a pair are correlated."""
    total = pattern.by_pair(trials)
    return (1 / (1 + np.maximum(total - 1, 0) * intraclass))[pattern.pair]


def intraclass_correlation(
    answers: Observations, pattern: FisherPattern, p: FloatArray, parameters: float
) -> float:
    """Moment estimate of the correlation of errors within a pair at fitted p [N]."""
    n = answers.trials
    return pair_correlation(answers.wins - n * p, n, p * (1 - p), pattern, parameters)


def pair_correlation(
    residual: FloatArray,
    n: FloatArray,
    spread: FloatArray,
    pattern: FisherPattern,
    parameters: float,
) -> float:
    """Correlation within a pair of the errors of n [N] answers, each of variance spread [N].

    residual [N]: their sum in favour of the outcome shown first. `parameters` is the effective
    number fitted: residuals are inflated for what the fit has absorbed.
    """
    residual = pattern.by_pair(pattern.sign * residual)
    variance = pattern.by_pair(n * spread)
    within = pattern.by_pair(n * np.sqrt(spread)) ** 2 - variance
    free = max(1 - parameters / len(variance), 0.1)
    if within.sum() <= 0:
        return 0.0
    return float(np.clip((residual @ residual / free - variance.sum()) / within.sum(), 0.0, 1.0))


def update(
    objective: LikelihoodObjective, optimum: Optimum, answers: Observations, exact: bool
) -> Hyper:
    """Prior spreads from second moments of the posterior; intraclass correlation of raw answers."""
    k, theta = objective.outcomes, optimum.theta
    variance = mean_variance(optimum.fisher, exact)
    tau = np.sqrt(np.mean(theta[:k] ** 2) + variance.mu)
    omega = np.sqrt(np.mean(theta[k : 2 * k] ** 2) + variance.log_sigma)
    absorbed = k * (2 - optimum.point.precision[:k].mean() * variance.mu)
    absorbed -= k * objective.precision[k] * variance.log_sigma
    rho = intraclass_correlation(answers, objective.pattern, optimum.point.p_first, absorbed)
    return Hyper(float(np.clip(tau, *TAU_BOUNDS)), float(np.clip(omega, *OMEGA_BOUNDS)), rho)


def close(old: Hyper, new: Hyper) -> bool:
    """Whether another update of the priors would change next to nothing."""
    return bool(np.allclose(old, new, rtol=RELATIVE, atol=ABSOLUTE))
