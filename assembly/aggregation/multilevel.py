"""Multilevel (partially pooled) utilities: each stratum's own, shrunk toward the shared mean.

Shapes: K outcomes, G strata, P pairs, N cells of a stratum and a pair.

P(i over j in stratum g) = lapse / 2 + (1 - lapse) * Phi(u_gi - u_gj), u_gi = m_i + d_gi, with m_i
Student's t of spread tau as in evaluation.utility.likelihood and d_gi normal of sd tau_strata; both
spreads are estimated (MacKay 1992 [mackay1992]). Multilevel regression and post-stratification
[gelman1997] on paired comparisons; docs/references.md, fitting, compares it with the alternatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse, special
from scipy.optimize import fminbound
from scipy.sparse.linalg import cg

from assembly.aggregation.electorate import Electorate, stratum_shares
from evaluation.elicitation.comparison_graph import components
from evaluation.utility.likelihood import DEGREES, WIDTH, normal_tails
from evaluation.utility.thurstonian import FitSettings
from plenary.errors import ConvergenceError, NotMeasured
from plenary.preferences import FloatArray, IntArray
from plenary.seeding import generator

FIRST_TAU, FIRST_TAU_STRATA = 1.0, 0.5
TAU_BOUNDS = (0.02, 20.0)
ROUNDS, SETTLED, TOLERANCE = 100, 0.01, 1e-6
LEAST_DECIDED, HIGHEST_LOG_LAPSE = 0.01, -0.7
DENSE, PROBES, PROBE_TOLERANCE, STEP_TOLERANCE = 500, 8, 1e-2, 1e-3


@dataclass(frozen=True, slots=True)
class StrataUtilities:
    """Fitted utilities in probits, one unit being the noise of a choice between two outcomes.

    utilities [G, K]: of each stratum, higher is preferred; NaN for outcomes outside the largest
    component that the votes connect. strata_shares [G]: of the population. tau, tau_strata: sds of
    the shared part and of the strata's deviations from it. lapse: share of random answers. members
    [M]: the connected outcomes. information [(1 + G) M, same]: of the log posterior at the mode in
    (m, d), of which precision [(1 + G) M] is the part of the normal priors tangent to the priors at
    the mode.
    """

    utilities: FloatArray
    strata_shares: FloatArray
    tau: float
    tau_strata: float
    lapse: float
    iterations: int
    members: IntArray
    information: sparse.csr_array
    precision: FloatArray

    @property
    def mean(self) -> FloatArray:
        """Utilities [K] of the population: mean over strata, weighted by population share."""
        return self.strata_shares @ self.utilities

    def strata_probability(self, pairs: IntArray) -> FloatArray:
        """Share [G, P] of each stratum that prefers pairs[:, 0], also for pairs without votes."""
        lead = self.utilities[:, pairs[:, 0]] - self.utilities[:, pairs[:, 1]]
        return self.lapse / 2 + (1 - self.lapse) * special.ndtr(lead)

    def probability(self, pairs: IntArray) -> FloatArray:
        """Share [P] of the population that prefers pairs[:, 0]: the post-stratified mean."""
        return self.strata_shares @ self.strata_probability(pairs)


class _Cells(NamedTuple):
    """One row per stratum and pair with votes [N]; design [N, (1 + G) K] takes (m, d) to leads."""

    wins: FloatArray
    trials: FloatArray
    design: sparse.csr_array
    strata: int
    outcomes: int


class _Prior(NamedTuple):
    """Prior sds in probits: of the shared part and of the strata's deviations from it."""

    tau: float
    tau_strata: float

    @property
    def reach(self) -> float:
        """Squared distance at which the tails of the t prior begin."""
        return DEGREES * (WIDTH * self.tau) ** 2

    def precision(self, theta: FloatArray, outcomes: int) -> FloatArray:
        """Precision [(1 + G) K] of the normal priors tangent to the priors at theta from below."""
        near = (DEGREES + 1) / (self.reach + theta[:outcomes] ** 2)
        return np.append(near, np.full(len(theta) - outcomes, 1 / self.tau_strata**2))

    def log_density(self, theta: FloatArray, outcomes: int) -> float:
        """Log prior density of theta [(1 + G) K] up to a constant."""
        shared, apart = np.split(theta, [outcomes])
        far = (DEGREES + 1) * np.log1p(shared**2 / self.reach).sum()
        return -float(far + apart @ apart / self.tau_strata**2) / 2


def fit_strata(electorate: Electorate, settings: FitSettings | None = None) -> StrataUtilities:
    """Fit the strata's utilities to weighted shares and effective votes of stratum x pair.

    settings: only the prior of the lapse rate is read.
    Design weights count within a stratum, `strata_shares` between strata. A stratum without a
    citizen gets the shared part. NotMeasured without a valid ballot, ConvergenceError when the sds
    do not converge.
    """
    count = len(electorate.strata_shares)
    shares = stratum_shares(electorate, electorate.strata, count)
    voted = electorate.pairs[shares.n.sum(axis=0) > 0]
    if not len(voted):
        raise NotMeasured(
            f"no valid ballot on any of {len(electorate.pairs)!r} pairs; check the invalid ones"
        )
    part = components(voted[:, 0], voted[:, 1], electorate.outcomes)
    members = np.flatnonzero(part == 0)
    position = np.full(electorate.outcomes, -1)
    position[members] = np.arange(len(members))
    stratum, pair = np.nonzero((shares.n > 0) & (part[electorate.pairs[:, 0]] == 0))
    trials = shares.n[stratum, pair]
    design = _design(stratum, position[electorate.pairs[pair]], count, len(members))
    cells = _Cells(trials * shares.p[stratum, pair], trials, design, count, len(members))
    return _spread(_search(cells, settings or FitSettings()), members, electorate)


class _Fitted(NamedTuple):
    theta: FloatArray
    prior: _Prior
    lapse: float
    iterations: int
    information: sparse.csr_array
    precision: FloatArray


def _design(stratum: IntArray, pairs: IntArray, strata: int, outcomes: int) -> sparse.csr_array:
    rows = np.repeat(np.arange(len(pairs)), 4)
    own = (1 + stratum)[:, None] * outcomes + pairs
    columns = np.concatenate([pairs, own], axis=1).ravel()
    signs = np.tile([1.0, -1.0, 1.0, -1.0], len(pairs))
    shape = (len(pairs), (1 + strata) * outcomes)
    return sparse.coo_array((signs, (rows, columns)), shape=shape).tocsr()


def _search(cells: _Cells, settings: FitSettings) -> _Fitted:
    """Alternate one Newton step given the priors with priors and lapse given the mode."""
    theta = np.zeros((1 + cells.strata) * cells.outcomes)
    prior, log_lapse = _Prior(FIRST_TAU, FIRST_TAU_STRATA), float(np.log(settings.lapse_median))
    for iteration in range(1, ROUNDS + 1):
        step = _step(cells, theta, prior, log_lapse)
        theta = step.theta
        updated = _updated(theta, step.information, cells.outcomes, prior)
        lapse = _lapse(cells, theta, log_lapse, settings)
        settled = np.allclose([*prior, log_lapse], [*updated, lapse], rtol=SETTLED)
        prior, log_lapse = updated, lapse
        if settled and step.gain < TOLERANCE * len(theta):
            precision = prior.precision(theta, cells.outcomes)
            lapse = float(np.exp(log_lapse))
            return _Fitted(theta, prior, lapse, iteration, step.information, precision)
    raise ConvergenceError(
        f"sds {prior.tau!r} and {prior.tau_strata!r} of the utilities still move after {ROUNDS!r} "
        "rounds; ask more pairs, or pool the strata (rule 'pooled_thurstonian', "
        "dataset.utilities=pooled)"
    )


def _lapse(cells: _Cells, theta: FloatArray, log_lapse: float, settings: FitSettings) -> float:
    """The best log lapse within one unit of the current one, under its log-normal prior."""
    leads, losses = cells.design @ theta, cells.trials - cells.wins

    def depth(at: float) -> float:
        tail = tails(leads, at)
        away = (at - np.log(settings.lapse_median)) / settings.lapse_spread
        return float(away**2 / 2 - cells.wins @ tail.log_first - losses @ tail.log_second)

    bounds = (log_lapse - 1, min(log_lapse + 1, HIGHEST_LOG_LAPSE))
    return float(np.asarray(fminbound(depth, *bounds, xtol=0.01)))


class SignedTails(NamedTuple):
    """Per cell [N]: log P(first), log P(second), and the derivative of each in its own lead."""

    log_first: FloatArray
    log_second: FloatArray
    up: FloatArray
    down: FloatArray


def tails(leads: FloatArray, log_lapse: float) -> SignedTails:
    """Tails at signed leads; the link itself knows only the smaller and the larger side."""
    tail, ahead = normal_tails(np.abs(leads), log_lapse), leads >= 0
    return SignedTails(
        np.where(ahead, tail.log_large, tail.log_small),
        np.where(ahead, tail.log_small, tail.log_large),
        np.where(ahead, tail.slope_large, tail.slope_small),
        np.where(ahead, tail.slope_small, tail.slope_large),
    )


class _Step(NamedTuple):
    """Where a Newton step ends, the information it used, nats gained in the log posterior."""

    theta: FloatArray
    information: sparse.csr_array
    gain: float


def _step(cells: _Cells, theta: FloatArray, prior: _Prior, log_lapse: float) -> _Step:
    precision = prior.precision(theta, cells.outcomes)

    def height(at: FloatArray) -> float:
        tail = tails(cells.design @ at, log_lapse)
        losses = cells.trials - cells.wins
        likelihood = float(cells.wins @ tail.log_first + losses @ tail.log_second)
        return likelihood + prior.log_density(at, cells.outcomes)

    tail = tails(cells.design @ theta, log_lapse)
    score = cells.wins * tail.up - (cells.trials - cells.wins) * tail.down
    gradient = cells.design.T @ score - precision * theta
    weight = sparse.diags_array(cells.trials * tail.up * tail.down)
    information = (cells.design.T @ weight @ cells.design + sparse.diags_array(precision)).tocsr()
    direction = _solve(information, gradient, STEP_TOLERANCE)
    here, length = height(theta), 1.0
    while (there := height(theta + length * direction)) < here and length > 1e-6:
        length /= 2
    return _Step(theta + length * direction, information, there - here)


def _solve(matrix: sparse.csr_array, right: FloatArray, tolerance: float) -> FloatArray:
    if len(right) <= DENSE:
        return np.linalg.solve(matrix.toarray(), right)
    return cg(matrix, right, rtol=tolerance, M=sparse.diags_array(1 / matrix.diagonal()))[0]


def _updated(
    theta: FloatArray, information: sparse.csr_array, outcomes: int, prior: _Prior
) -> _Prior:
    """Prior variances: a block's weighted squares over the count of parameters votes decide."""
    precision = prior.precision(theta, outcomes)
    pulls = np.split(precision * theta**2, [outcomes])
    sds: list[float] = []
    left = _undecided(information, outcomes, precision)
    for pull, undecided, sd in zip(pulls, left, prior, strict=True):
        decided = max(len(pull) - undecided, LEAST_DECIDED * len(pull))
        sds.append(float(np.clip(sd * np.sqrt(pull.sum() / decided), *TAU_BOUNDS)))
    return _Prior(*sds)


def _undecided(
    information: sparse.csr_array, outcomes: int, precision: FloatArray
) -> tuple[float, float]:
    """How many of m and of d the priors decide: exact, or by random signs if there are many."""
    size = len(precision)
    if size <= DENSE:
        share = precision * np.diag(np.linalg.inv(information.toarray()))
        return float(share[:outcomes].sum()), float(share[outcomes:].sum())
    rng, total = generator(0, "multilevel", "probes"), np.zeros(2)
    shared = np.arange(size) < outcomes
    for _ in range(PROBES):
        signs = rng.choice([-1.0, 1.0], size) * np.sqrt(precision)
        for block, chosen in enumerate((shared, ~shared)):
            probe = np.where(chosen, signs, 0.0)
            total[block] += probe @ _solve(information, probe, PROBE_TOLERANCE)
    return float(total[0] / PROBES), float(total[1] / PROBES)


def _spread(fitted: _Fitted, members: IntArray, electorate: Electorate) -> StrataUtilities:
    """Spread the fit over all outcomes, NaN where it has none."""
    blocks = fitted.theta.reshape(-1, len(members))
    utilities = np.full((len(blocks) - 1, electorate.outcomes), np.nan)
    utilities[:, members] = blocks[0] + blocks[1:]
    return StrataUtilities(
        utilities,
        electorate.strata_shares,
        fitted.prior.tau,
        fitted.prior.tau_strata,
        fitted.lapse,
        fitted.iterations,
        members,
        fitted.information,
        fitted.precision,
    )
