"""Rules that fit utilities first, so that they answer for pairs nobody voted on.

Shapes: C citizens, P pairs, K outcomes, G strata. Scores are utilities with mean 0 and sd 1.
"""

from __future__ import annotations

import numpy as np

from assembly.electorate import Electorate, Verdict, stratum_shares, verdict
from assembly.multilevel import fit_strata
from evaluation.comparison import target_cells
from evaluation.connectivity import among, components
from evaluation.thurstonian import fit
from plenary.errors import NotMeasured
from plenary.preferences import FloatArray, Targets


def pooled_thurstonian(electorate: Electorate) -> Verdict:
    """One Thurstonian fit to the weighted share of every pair, as if all citizens were alike.

    [thurstone1927], by `evaluation.thurstonian.fit`; a pair counts as Kish's effective number of
    votes, half in either order. p is fitted, for voted and unvoted pairs. NaN for outcomes outside
    the largest part that the votes join. NotMeasured without a ballot.
    """
    everybody = np.zeros(len(electorate.weights), dtype=np.int64)
    shares = stratum_shares(electorate, everybody, 1)
    p, n = shares.p[0], shares.n[0]
    voted = n > 0
    if not voted.any():
        raise NotMeasured(
            f"no valid ballot on any of {len(electorate.pairs)!r} pairs; look at the invalid ones"
        )
    cells = target_cells(Targets(electorate.pairs[voted], p[voted], n[voted]))
    members = np.flatnonzero(components(cells.first, cells.second, electorate.outcomes) == 0)
    fitted = fit(among(cells, members), len(members))
    position = np.full(electorate.outcomes, -1)
    position[members] = np.arange(len(members))
    first, second = position[electorate.pairs].T
    scores = np.full(electorate.outcomes, np.nan)
    scores[members] = fitted.mu
    known = (first >= 0) & (second >= 0)
    p = np.where(known, fitted.probability(first, second), np.nan)
    return verdict(p, _standardised(scores))


def multilevel_thurstonian(electorate: Electorate) -> Verdict:
    """Strata's utilities fitted together, then averaged by their shares of the population.

    The default for utilities and for pairs never voted on; best of the rules compared in
    docs/references.md, fitting. p is the population's fitted share. See assembly.multilevel.
    """
    fitted = fit_strata(electorate)
    return verdict(fitted.probability(electorate.pairs), _standardised(fitted.mean))


def _standardised(utilities: FloatArray) -> FloatArray:
    return (utilities - np.nanmean(utilities)) / np.nanstd(utilities)
