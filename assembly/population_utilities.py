"""The assembly's utilities with standard errors, in the form of any other fit.

Shapes: C citizens, K outcomes, G strata, P pairs, Q clusters. Strata are fitted together and
post-stratified (assembly.multilevel); the result stands beside the model's own utilities.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from assembly.electorate import Electorate, stratum_shares
from assembly.multilevel import StrataUtilities, fit_strata, solved, tails
from evaluation.connectivity import separated
from evaluation.laplace import standardise
from evaluation.thurstonian import FitSettings, UtilityFit, central
from plenary.errors import NotMeasured
from plenary.preferences import FloatArray, IntArray


def population_utilities(
    electorate: Electorate,
    settings: FitSettings | None = None,
    clusters: IntArray | None = None,
) -> UtilityFit:
    """Post-stratified utilities of the population as a fit: mean over strata, spread, errors.

    mu [K]: the strata's mean by population shares, in the gauge of any fit. log_sigma: answer noise
    and what sets the strata apart on that outcome, together, so that `probability` is the
    population's share up to the strata's agreement between outcomes. sd: see `mean_covariance`.
    clusters [C]: whose votes depend (`Seating.hall_of()`); default citizens. The link is the normal
    one whatever `settings.link` says. NotMeasured where the votes do not join all outcomes.
    """
    settings = settings or FitSettings()
    fitted = fit_strata(electorate, settings)
    if len(fitted.members) < electorate.outcomes:
        raise NotMeasured(
            f"votes join {len(fitted.members)!r} of {electorate.outcomes!r} outcomes; ask pairs "
            "that join the rest, or set fit.disconnected to 'flag' and pool the strata"
        )
    mean = fitted.mean
    gauge = standardise(mean, central(mean, settings.trim))
    covariance = mean_covariance(electorate, fitted, clusters)
    between = electorate.strata_shares @ (fitted.utilities - mean) ** 2
    votes = _votes(electorate, fitted)
    first, second = electorate.pairs.T
    return UtilityFit(
        mu=gauge.values,
        sd=gauge.errors(covariance),
        log_sigma=np.log(0.5 + between) / 2 - np.log(gauge.scale),
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
    citizens' own scores: a citizen's answers go together, which counting votes would miss. Where B
    is what the likelihood says, this is Laplace's H^-1 (White 1982 [white1982]). Dependence within
    `clusters` [C] enters as one design effect for all outcomes, the traces' ratio, at least 1,
    since a few clusters tell a whole matrix poorly.
    """
    outcomes, strata = electorate.outcomes, len(electorate.strata_shares)
    shares = np.concatenate([[1.0], electorate.strata_shares])
    weights = np.einsum("g,kl->gkl", shares, np.eye(outcomes)).reshape(-1, outcomes)
    pulled = solved(fitted.information, weights)
    blocks = pulled.reshape(1 + strata, outcomes, outcomes)
    scores, moves = _scores(electorate, fitted), np.zeros((len(electorate.strata), outcomes))
    for stratum, block in enumerate(blocks[1:]):
        of = electorate.strata == stratum
        moves[of] = scores[of] @ (blocks[0] + block)
    own = moves.T @ moves * len(moves) / max(len(moves) - 1, 1)
    prior = pulled.T @ (fitted.precision[:, None] * pulled)
    return own * _design_effect(moves, clusters) + prior


def _scores(electorate: Electorate, fitted: StrataUtilities) -> FloatArray:
    """Slope [C, K] of each citizen's weighted log likelihood in his stratum's utilities."""
    n = stratum_shares(electorate, electorate.strata, len(electorate.strata_shares)).n
    lead = fitted.utilities[:, electorate.pairs[:, 0]] - fitted.utilities[:, electorate.pairs[:, 1]]
    tail = tails(lead, float(np.log(fitted.lapse)))
    voted = ~np.isnan(electorate.shares)
    member = np.equal.outer(np.arange(len(n)), electorate.strata) * electorate.weights
    total = member @ voted
    each = np.divide(n, total, out=np.zeros(n.shape), where=total > 0)
    share, of = np.nan_to_num(electorate.shares), electorate.strata
    slope = share * tail.up[of] - (1 - share) * tail.down[of]
    slope *= voted * each[of] * electorate.weights[:, None]
    scores = np.zeros((electorate.outcomes, len(share)))
    np.add.at(scores, electorate.pairs[:, 0], slope.T)
    np.add.at(scores, electorate.pairs[:, 1], -slope.T)
    return scores.T


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
