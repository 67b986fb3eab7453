"""The assembly's utilities, fitted to its votes and post-stratified to the population.

Shapes: C citizens, K outcomes, G strata, P pairs, Q clusters. Strata are fitted together and
post-stratified (assembly.aggregation.multilevel); the result has the form of any other fit, so that
it can be compared with the model's own utilities.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse, special

from assembly.aggregation.electorate import Electorate, stratum_shares
from assembly.aggregation.multilevel import StrataUtilities, fit_strata, tails
from evaluation.elicitation.comparison_graph import separated
from evaluation.utility.laplace import standardise
from evaluation.utility.thurstonian import PLUG_IN, FitSettings, UtilityFit, central
from plenary.errors import NotMeasured
from plenary.preferences import FloatArray, IntArray


def population_utilities(
    electorate: Electorate,
    settings: FitSettings | None = None,
    clusters: IntArray | None = None,
) -> UtilityFit:
    """Post-stratified utilities of the population: mean over strata, spread, standard errors.

    mu [K]: mean over strata by population share, normalised as in any fit. log_sigma: answer noise
    and the strata's differences on that outcome together, so that `probability` is the population's
    share, except that correlations of the strata between outcomes are ignored. sd: see
    `mean_covariance`, and PLUG_IN as in any fit.
    clusters [C]: citizens with dependent votes (`Seating.group_of()`); by default one per citizen.
    The link is normal whatever `settings.link` is. NotMeasured where the votes do not connect all
    outcomes.
    """
    settings = settings or FitSettings()
    fitted = fit_strata(electorate, settings)
    if len(fitted.members) < electorate.outcomes:
        raise NotMeasured(
            f"votes connect {len(fitted.members)!r} of {electorate.outcomes!r} outcomes; ask pairs "
            "that connect the rest, or set fit.disconnected to 'flag' and pool the strata"
        )
    mean = fitted.mean
    normalisation = standardise(mean, central(mean, settings.trim))
    covariance = mean_covariance(electorate, fitted, clusters)
    between = electorate.strata_shares @ (fitted.utilities - mean) ** 2
    votes = _votes(electorate, fitted)
    first, second = electorate.pairs.T
    return UtilityFit(
        mu=normalisation.values,
        sd=PLUG_IN * normalisation.errors(covariance),
        log_sigma=np.log(0.5 + between) / 2 - np.log(normalisation.scale),
        component=np.zeros(len(mean), dtype=np.int64),
        separated=separated(first, second, votes.wins, votes.losses, len(mean)),
        order_bias=0.0,
        order_bias_sd=0.0,
        lapse=fitted.lapse,
        intraclass=0.0,
        tau=fitted.tau,
        omega=0.0,
        log_likelihood=votes.log_likelihood,
        iterations=fitted.iterations,
        converged=True,
        settings=settings.model_copy(update={"link": "thurstonian"}),
    )


class _Votes(NamedTuple):
    """Effective votes [P] for and against the pair's first outcome, and their log likelihood."""

    wins: FloatArray
    losses: FloatArray
    log_likelihood: float


def _votes(electorate: Electorate, fitted: StrataUtilities) -> _Votes:
    p, n = stratum_shares(electorate, electorate.strata, len(electorate.strata_shares))
    wins = n * np.nan_to_num(p)
    expected = fitted.strata_probability(electorate.pairs)
    likelihood = special.xlogy(wins, expected) + special.xlogy(n - wins, 1 - expected)
    return _Votes(wins.sum(axis=0), (n - wins).sum(axis=0), float(likelihood.sum()))


def mean_covariance(
    electorate: Electorate, fitted: StrataUtilities, clusters: IntArray | None = None
) -> FloatArray:
    """Covariance [K, K] of the post-stratified mean utilities, probits squared.

    H^-1 (B + prior precision) H^-1 with H the information at the mode and B the spread of the
    citizens' own scores: the answers of one citizen are correlated, which counting votes would
    miss. Where B is what the likelihood implies, this is Laplace's H^-1 (White 1982 [white1982]).
    Each citizen's score is taken at the fit without that citizen, to first order [bell2002]: a fit
    follows its own votes, most of all where few citizens represent a stratum, so that its own
    residuals would be too small. Dependence within `clusters` [C] enters as one design effect for
    all outcomes, the ratio of the traces, at least 1, since a few clusters estimate a whole matrix
    poorly.
    """
    solved, votes = _solved(fitted), _votes_by_citizen(electorate, fitted)
    design, itself = _differences(electorate), np.eye(electorate.outcomes)
    moves = np.zeros((len(electorate.strata), electorate.outcomes))
    for stratum, pull in enumerate(solved.pull):
        spread = design @ solved.spread[stratum]
        for citizen in np.flatnonzero(electorate.strata == stratum):
            followed = design.T @ (votes.information[citizen, :, None] * spread)
            slope = design.T @ votes.slope[citizen]
            moves[citizen] = np.linalg.solve(itself - followed, slope) @ pull
    return moves.T @ moves * _design_effect(moves, clusters) + solved.prior


class _Solved(NamedTuple):
    """The inverse information by strata [G, K, K].

    spread: posterior covariance of a stratum's utilities. pull: how far a slope in them moves the
    population's mean. prior [K, K]: covariance of that mean due to the priors.
    """

    spread: FloatArray
    pull: FloatArray
    prior: FloatArray


def _solved(fitted: StrataUtilities) -> _Solved:
    """Invert the information by blocks: strata are linked only through the shared part."""
    shares = fitted.strata_shares[:, None, None]
    outcomes = len(fitted.members)
    shared = fitted.information[:outcomes].toarray()
    own = shared[:, outcomes:].reshape(outcomes, len(shares), outcomes).swapaxes(0, 1)
    near, apart = fitted.precision[:outcomes], fitted.precision[-1]
    given = np.linalg.inv(own + apart * np.eye(outcomes))
    common = np.linalg.inv(np.diag(near) + apart * (own @ given).sum(axis=0))
    mean = apart * common @ (shares * given).sum(axis=0)
    pull = shares * given + apart * given @ mean
    spread = given + apart**2 * given @ common @ given
    moved = pull - mean
    prior = mean.T @ (near[:, None] * mean) + apart * (moved.swapaxes(1, 2) @ moved).sum(axis=0)
    return _Solved(spread, pull, prior)


class _CitizenVotes(NamedTuple):
    """Slope of the weighted log likelihood in a pair's lead, and information on it [C, P]."""

    slope: FloatArray
    information: FloatArray


def _votes_by_citizen(electorate: Electorate, fitted: StrataUtilities) -> _CitizenVotes:
    n = stratum_shares(electorate, electorate.strata, len(electorate.strata_shares)).n
    lead = fitted.utilities[:, electorate.pairs[:, 0]] - fitted.utilities[:, electorate.pairs[:, 1]]
    tail = tails(lead, float(np.log(fitted.lapse)))
    voted = ~np.isnan(electorate.shares)
    member = np.equal.outer(np.arange(len(n)), electorate.strata) * electorate.weights
    total = member @ voted
    each = np.divide(n, total, out=np.zeros(n.shape), where=total > 0)
    share, of = np.nan_to_num(electorate.shares), electorate.strata
    votes = voted * each[of] * electorate.weights[:, None]
    slope = votes * (share * tail.up[of] - (1 - share) * tail.down[of])
    return _CitizenVotes(slope, votes * (tail.up * tail.down)[of])


def _differences(electorate: Electorate) -> sparse.csr_array:
    """Matrix [P, K] that takes utilities to the pairs' leads."""
    rows = np.arange(len(electorate.pairs))
    at = (np.tile(rows, 2), electorate.pairs.T.ravel())
    signs = np.repeat([1.0, -1.0], len(rows))
    return sparse.coo_array((signs, at), shape=(len(rows), electorate.outcomes)).tocsr()


def _design_effect(moves: FloatArray, clusters: IntArray | None) -> float:
    """How much larger the spread of clusters' sums is than that of independent citizens."""
    if clusters is None:
        return 1.0
    names, at = np.unique(clusters, return_inverse=True)
    summed = np.zeros((len(names), moves.shape[1]))
    np.add.at(summed, at, moves)
    alone = float((moves**2).sum())
    if len(names) < 2 or alone == 0:
        return 1.0
    return max(1.0, float((summed**2).sum()) * len(names) / (len(names) - 1) / alone)
