"""Rules that ask every stratum, so that a large one cannot simply outvote the rest.

Shapes: P pairs, K outcomes, G strata.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from assembly.electorate import (
    Electorate,
    Verdict,
    by_score,
    mean_won,
    stratum_shares,
    verdict,
    weighted_mean,
)
from assembly.multilevel import StrataUtilities, fit_strata
from plenary.preferences import FloatArray

JEFFREYS = 0.5


def group_informed_consensus(electorate: Electorate) -> Verdict:
    """Share for an outcome in which each stratum, large or small, has an equal say.

    Support of a side is the geometric mean over the strata with a ballot of (n s + 1/2) / (n + 1),
    s the stratum's weighted share for that side and n Kish's effective votes [small2021]; p is
    first's support over the sum of both. Polis multiplies Laplace's (A + 1) / (N + 2) over groups;
    the geometric mean does not fall with the number of strata, and Jeffreys' half shrinks less.
    Two strata with 3 of 4 and 1 of 2 votes for first: supports sqrt(.7 * .5) = .5916 and
    sqrt(.3 * .5) = .3873, so p = .6044. Scores are the mean p over an outcome's pairs, 0 to 1.
    """
    p, n = stratum_shares(electorate, electorate.strata, len(electorate.strata_shares))
    support = smoothed_support(p, n), smoothed_support(1 - p, n)
    pooled = support[0] / (support[0] + support[1])
    return verdict(pooled, mean_won(pooled, electorate.pairs, electorate.outcomes))


def smoothed_support(p: FloatArray, n: FloatArray) -> FloatArray:
    """Geometric mean [P] over strata of shares p [G, P], NaN left out, smoothed by Jeffreys."""
    smooth = (n * p + JEFFREYS) / (n + 2 * JEFFREYS)
    return np.exp(weighted_mean(np.log(smooth), np.ones(len(smooth))))


def maximin(electorate: Electorate) -> Verdict:
    """The outcome whose standing in the stratum that likes it least is highest (Rawls).

    Scores are that lowest standing, 0 to 1, `standings` says of what; a pair goes to the higher.
    Standings .9, .2 of one outcome in two strata and .5, .4 of another: .2 against .4.
    """
    return by_score(lowest(standings(fit_strata(electorate))), electorate.pairs)


def nash_welfare(electorate: Electorate) -> Verdict:
    """The outcome with the highest product of the strata's standings, each to its share's power.

    [kaneko1979]; between the sum, which a large stratum decides, and `maximin`. Scores are that
    weighted geometric mean, 0 to 1; a pair goes to the higher. Standings .9, .2 in two strata of
    equal share: sqrt(.9 * .2) = .424, against .447 for .5, .4, though the sums say 1.1 against .9.
    """
    scores = product(standings(fit_strata(electorate)), electorate.strata_shares)
    return by_score(scores, electorate.pairs)


def standings(fitted: StrataUtilities) -> FloatArray:
    """Share of a stratum [G, K] that prefers the outcome to another drawn at random, as fitted.

    Comparable between strata, and there where votes are few: in the planted electorates of the
    tests the lowest standing is recovered far better than from the raw shares. NaN for outcomes
    that the votes do not join.
    """
    known = ~np.isnan(fitted.utilities[0])
    standing = np.full(fitted.utilities.shape, np.nan)
    for own, stratum in zip(standing, fitted.utilities[:, known], strict=True):
        won = ndtr(np.subtract.outer(stratum, stratum)).sum(axis=1) - 0.5
        own[known] = fitted.lapse / 2 + (1 - fitted.lapse) * won / (len(stratum) - 1)
    return standing


def lowest(standing: FloatArray) -> FloatArray:
    """Lowest standing [K] over strata [G, K]."""
    return standing.min(axis=0)


def product(standing: FloatArray, strata_shares: FloatArray) -> FloatArray:
    """Geometric mean [K] of the standings [G, K] by population shares [G]."""
    return np.exp(strata_shares @ np.log(standing))
