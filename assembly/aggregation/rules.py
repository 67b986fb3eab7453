"""Aggregation (voting) rules, where a new one is added: majority, Borda, Copeland, Schulze, ...

Also maximal lotteries, group-informed consensus, maximin, Nash welfare and Thurstonian rules.
Shapes: C citizens, P pairs, K outcomes.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog
from scipy.special import ndtr

from assembly.aggregation.electorate import (
    TIED,
    Electorate,
    Rule,
    RuleResult,
    by_score,
    hard,
    mean_won,
    stratum_shares,
    verdict,
    weighted_mean,
    won,
)
from assembly.aggregation.multilevel import StrataUtilities, fit_strata
from assembly.record.settings import RuleName
from evaluation.comparison.compare import target_cells
from evaluation.elicitation.comparison_graph import among, components
from evaluation.utility.thurstonian import fit
from plenary.errors import ConvergenceError, NotMeasured
from plenary.preferences import BoolArray, FloatArray, Targets


def weighted_share(electorate: Electorate) -> RuleResult:
    """Weighted mean share per pair, p = sum(w s) / sum(w): the default; close pairs stay close.

    Two citizens with shares .9 and .2 and weights 1 and 3: p = (.9 + .6) / 4 = .375.
    Scores are the mean share an outcome wins over the pairs it is in, 0 to 1.
    """
    p = weighted_mean(electorate.shares, electorate.weights)
    return verdict(p, mean_won(p, electorate.pairs, electorate.outcomes))


def majority(electorate: Electorate) -> RuleResult:
    """Weighted majority of votes cast per pair; a citizen at one half counts half for each side.

    Two citizens with shares .9 and .2 and weights 1 and 3: 1 against 3, so p = 0.
    Scores are the mean weighted vote share over the pairs an outcome is in, 0 to 1.
    """
    cast = weighted_mean(hard(electorate.shares), electorate.weights)
    return verdict(hard(cast), mean_won(cast, electorate.pairs, electorate.outcomes))


def borda(electorate: Electorate) -> RuleResult:
    """Borda count from pairwise votes cast: mean weighted vote share over an outcome's pairs.

    With all pairs and rankings as ballots the score is Borda's count divided by (K - 1) n
    [borda1784]. A pair goes to the outcome with the higher score, whatever the vote on the pair
    itself. Tennessee's capital (42 % M>N>C>K, 26 % N>C>K>M, 15 % C>K>N>M, 17 % K>C>N>M):
    M 126, N 194, C 173, K 107 of 300 each; Nashville wins.
    """
    cast = weighted_mean(hard(electorate.shares), electorate.weights)
    return by_score(mean_won(cast, electorate.pairs, electorate.outcomes), electorate.pairs)


def copeland(electorate: Electorate) -> RuleResult:
    """Copeland's score: pairs won plus half the pairs tied, over the pairs an outcome is in.

    [copeland1951]; dividing keeps scores comparable where outcomes are compared with unequally many
    others. Tennessee's capital: Nashville 3 of 3, Chattanooga 2, Knoxville 1, Memphis 0.
    """
    decided = hard(weighted_mean(hard(electorate.shares), electorate.weights))
    return by_score(mean_won(decided, electorate.pairs, electorate.outcomes), electorate.pairs)


def votes_for(electorate: Electorate) -> FloatArray:
    """Weight [K, K] of the citizens who cast a vote for row over column; one half is no vote."""
    cast = hard(electorate.shares)
    first, second = electorate.pairs.T
    total = np.zeros((electorate.outcomes, electorate.outcomes))
    np.add.at(total, (first, second), electorate.weights @ (cast == 1))
    np.add.at(total, (second, first), electorate.weights @ (cast == 0))
    return total


def strongest_paths(votes: FloatArray) -> FloatArray:
    """Strength [K, K] of the strongest path from row to column over won pairs [schulze2011].

    A pair's strength is its winning votes, a path's that of its weakest pair. 21 citizens (8 acdb,
    2 badc, 4 cdba, 4 dbac, 3 dcba): b reaches a with 13 votes directly, d reaches a with 11, but
    with min(19, 13) = 13 by way of b.
    """
    strength = np.where(votes - votes.T > TIED * votes.max(initial=0.0), votes, 0.0)
    for via in range(len(strength)):
        np.maximum(strength, np.minimum.outer(strength[:, via], strength[via]), out=strength)
    np.fill_diagonal(strength, 0.0)
    return strength


def schulze(electorate: Electorate) -> RuleResult:
    """Schulze's method: the first outcome wins if its strongest path beats the path back.

    [schulze2011] with winning votes, O(K^3). Scores are the outcomes beaten in this way plus half
    those tied, over K - 1 with K the outcomes voted on; beating is transitive, so scores never
    contradict p where it is decided. Needs dense votes: on sparse ones it is far worse than a
    fitted rule (docs/references.md, fitting). The 21 citizens above: d beats a, a beats c, c beats
    b.
    """
    votes = votes_for(electorate)
    paths = strongest_paths(votes)
    lead = won((paths - paths.T) / max(paths.max(initial=0.0), 1e-300))
    met = _met(electorate)
    standing = (lead[:, met].sum(axis=1) - 0.5) / max(met.sum() - 1, 1)
    first, second = electorate.pairs.T
    known = met[first] & met[second]
    return verdict(np.where(known, lead[first, second], np.nan), np.where(met, standing, np.nan))


def maximal_lotteries(electorate: Electorate) -> RuleResult:
    """Maximal lottery: probabilities of the outcomes that no other lottery beats in expectation.

    [fishburn1984], [brandl2016]: x >= 0, sum x = 1, x' M >= 0 with M the margins of votes, solved
    by HiGHS; of several such lotteries, the one whose largest probability is smallest. Scores are
    the probabilities (a Condorcet winner has 1); a pair without votes has margin 0. Sparse noisy
    margins spread the lottery over many outcomes. Five citizens (2 abc, 2 bca, 1 cab) have margins
    ab 1, bc 3, ca 1: a 3/5, b 1/5, c 1/5. ConvergenceError if the solver fails.
    """
    votes, met = votes_for(electorate), _met(electorate)
    scores = np.full(electorate.outcomes, np.nan)
    if met.any():
        margins = (votes - votes.T)[np.ix_(met, met)]
        scores[met] = _lottery(margins / max(np.abs(margins).max(), 1e-300))
    return by_score(scores, electorate.pairs)


def _lottery(margins: FloatArray) -> FloatArray:
    k = len(margins)
    below = np.hstack([np.eye(k), np.full((k, 1), -1.0)])
    unbeaten = np.hstack([-margins.T, np.zeros((k, 1))])
    found = linprog(
        np.append(np.zeros(k), 1.0),
        A_ub=np.vstack([unbeaten, below]),
        b_ub=np.zeros(2 * k),
        A_eq=np.append(np.ones(k), 0.0)[None, :],
        b_eq=[1.0],
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if not found.success:
        raise ConvergenceError(
            f"no maximal lottery over {k!r} outcomes: {found.message!r}; use another rule"
        )
    return np.where(found.x[:k] > TIED, found.x[:k], 0.0)


def _met(electorate: Electorate) -> BoolArray:
    """Mask [K] of the outcomes in a pair that a citizen of positive weight voted on."""
    voted = electorate.weights @ ~np.isnan(electorate.shares) > 0
    met = np.zeros(electorate.outcomes, dtype=bool)
    met[electorate.pairs[voted].ravel()] = True
    return met


JEFFREYS = 0.5


def group_informed_consensus(electorate: Electorate) -> RuleResult:
    """Polis' rule: the share for an outcome, each stratum, large or small, having an equal say.

    Support of a side is the geometric mean over the strata with a ballot of (n s + 1/2) / (n + 1),
    s the stratum's weighted share for that side and n Kish's effective votes [small2021]; p is the
    first outcome's support over the sum of both. Polis multiplies Laplace's (A + 1) / (N + 2) over
    groups; the geometric mean does not fall with the number of strata, and Jeffreys' half shrinks
    less.
    Two strata with 3 of 4 and 1 of 2 votes for first: supports sqrt(.7 * .5) = .5916 and
    sqrt(.3 * .5) = .3873, so p = .6044. Scores are the mean p over an outcome's pairs, 0 to 1.
    """
    p, n = stratum_shares(electorate, electorate.strata, len(electorate.strata_shares))
    support = smoothed_support(p, n), smoothed_support(1 - p, n)
    pooled = support[0] / (support[0] + support[1])
    return verdict(pooled, mean_won(pooled, electorate.pairs, electorate.outcomes))


def smoothed_support(p: FloatArray, n: FloatArray) -> FloatArray:
    """Geometric mean [P] over strata of shares p [G, P], NaN left out, with Jeffreys' smoothing."""
    smooth = (n * p + JEFFREYS) / (n + 2 * JEFFREYS)
    return np.exp(weighted_mean(np.log(smooth), np.ones(len(smooth))))


def maximin(electorate: Electorate) -> RuleResult:
    """The outcome whose standing in the stratum that likes it least is highest (Rawls).

    Scores are that lowest standing, 0 to 1 (see `standings`); a pair goes to the higher score.
    One outcome with standings .9, .2 in two strata and another with .5, .4: .2 against .4.
    """
    return by_score(lowest(standings(fit_strata(electorate))), electorate.pairs)


def nash_welfare(electorate: Electorate) -> RuleResult:
    """The outcome with the highest product of the strata's standings, each to its share's power.

    [kaneko1979]; between the sum, which a large stratum decides, and `maximin`. Scores are that
    weighted geometric mean, 0 to 1; a pair goes to the higher score. Standings .9, .2 in two strata
    of equal share: sqrt(.9 * .2) = .424, against .447 for .5, .4, though the sums say 1.1 against
    .9.
    """
    scores = product(standings(fit_strata(electorate)), electorate.strata_shares)
    return by_score(scores, electorate.pairs)


def standings(fitted: StrataUtilities) -> FloatArray:
    """Fitted share [G, K] of a stratum that prefers the outcome to another drawn at random.

    Comparable between strata, and defined where votes are few: in the planted electorates of the
    tests the lowest standing is recovered far better than from the raw shares. NaN for outcomes
    that the votes do not connect.
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


def pooled_thurstonian(electorate: Electorate) -> RuleResult:
    """One Thurstonian fit to the weighted share of every pair, as if all citizens were alike.

    [thurstone1927], by `evaluation.utility.thurstonian.fit`; a pair counts as Kish's effective
    number of votes, half in either order. p is fitted, for voted and unvoted pairs. NaN for
    outcomes outside the largest component that the votes connect. NotMeasured without a valid
    ballot.
    """
    everybody = np.zeros(len(electorate.weights), dtype=np.int64)
    shares = stratum_shares(electorate, everybody, 1)
    p, n = shares.p[0], shares.n[0]
    voted = n > 0
    if not voted.any():
        raise NotMeasured(
            f"no valid ballot on any of {len(electorate.pairs)!r} pairs; check the invalid ones"
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


def multilevel_thurstonian(electorate: Electorate) -> RuleResult:
    """Utilities of the strata fitted together, then averaged by population share.

    The default for utilities and for pairs never voted on; best of the rules compared in
    docs/references.md, fitting. p is the population's fitted share. See
    assembly.aggregation.multilevel.
    """
    fitted = fit_strata(electorate)
    return verdict(fitted.probability(electorate.pairs), _standardised(fitted.mean))


def _standardised(utilities: FloatArray) -> FloatArray:
    return (utilities - np.nanmean(utilities)) / np.nanstd(utilities)


RULES: dict[RuleName, Rule] = {
    "weighted_share": weighted_share,
    "majority": majority,
    "borda": borda,
    "copeland": copeland,
    "schulze": schulze,
    "maximal_lotteries": maximal_lotteries,
    "pooled_thurstonian": pooled_thurstonian,
    "multilevel_thurstonian": multilevel_thurstonian,
    "group_informed_consensus": group_informed_consensus,
    "maximin": maximin,
    "nash_welfare": nash_welfare,
}
