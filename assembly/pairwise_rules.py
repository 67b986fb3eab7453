"""Rules that see nothing but the votes on each pair. Shapes: C citizens, P pairs, K outcomes."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from assembly.electorate import (
    TIED,
    Electorate,
    Verdict,
    by_score,
    hard,
    mean_won,
    verdict,
    weighted_mean,
    won,
)
from plenary.errors import ConvergenceError
from plenary.preferences import BoolArray, FloatArray


def weighted_share(electorate: Electorate) -> Verdict:
    """Weighted mean share a pair: p = sum(w s) / sum(w). The default: it keeps how close a pair is.

    Two citizens with shares .9 and .2 and weights 1 and 3: p = (.9 + .6) / 4 = .375.
    Scores are the mean share an outcome wins over the pairs it is in, 0 to 1.
    """
    p = weighted_mean(electorate.shares, electorate.weights)
    return verdict(p, mean_won(p, electorate.pairs, electorate.outcomes))


def majority(electorate: Electorate) -> Verdict:
    """Weighted majority of cast votes a pair; a citizen at one half counts half for each side.

    Two citizens with shares .9 and .2 and weights 1 and 3: 1 against 3, so p = 0.
    Scores are the mean weighted vote share over the pairs an outcome is in, 0 to 1.
    """
    cast = weighted_mean(hard(electorate.shares), electorate.weights)
    return verdict(hard(cast), mean_won(cast, electorate.pairs, electorate.outcomes))


def borda(electorate: Electorate) -> Verdict:
    """Borda count from cast pairwise votes: mean weighted vote share over an outcome's pairs.

    With all pairs and rankings as ballots the score is Borda's count divided by (K - 1) n
    [borda1784]. A pair goes to the outcome with the higher score, whatever the vote on the pair
    itself. Tennessee's capital (42 % M>N>C>K, 26 % N>C>K>M, 15 % C>K>N>M, 17 % K>C>N>M):
    M 126, N 194, C 173, K 107 of 300 each; Nashville wins.
    """
    cast = weighted_mean(hard(electorate.shares), electorate.weights)
    return by_score(mean_won(cast, electorate.pairs, electorate.outcomes), electorate.pairs)


def copeland(electorate: Electorate) -> Verdict:
    """Copeland's score: pairs won plus half the pairs tied, over the pairs an outcome is in.

    [copeland1951]; dividing keeps scores comparable where outcomes meet unequally many others.
    Tennessee's capital: Nashville 3 of 3, Chattanooga 2, Knoxville 1, Memphis 0.
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


def schulze(electorate: Electorate) -> Verdict:
    """Schulze's method: first wins if its strongest path to second beats the one back.

    [schulze2011] with winning votes, O(K^3). Scores are the outcomes beaten so plus half those
    tied, over K - 1 of the outcomes voted on; beating is transitive, so scores never contradict p
    where it is decided. Needs dense votes: on sparse ones it is far worse than a fitted rule
    (docs/references.md, fitting). The 21 citizens above: d beats a, a beats c, c beats b.
    """
    votes = votes_for(electorate)
    paths = strongest_paths(votes)
    lead = won((paths - paths.T) / max(paths.max(initial=0.0), 1e-300))
    met = _met(electorate)
    standing = (lead[:, met].sum(axis=1) - 0.5) / max(met.sum() - 1, 1)
    first, second = electorate.pairs.T
    known = met[first] & met[second]
    return verdict(np.where(known, lead[first, second], np.nan), np.where(met, standing, np.nan))


def maximal_lotteries(electorate: Electorate) -> Verdict:
    """Maximal lottery: probabilities of the outcomes that no other lottery beats in expectation.

    [fishburn1984], [brandl2016]: x >= 0, sum x = 1, x' M >= 0 with M the margins of votes, solved
    by HiGHS; of several such lotteries the one whose largest probability is smallest. Scores are
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
    """Outcomes [K] in a pair that somebody of positive weight voted on."""
    voted = electorate.weights @ ~np.isnan(electorate.shares) > 0
    met = np.zeros(electorate.outcomes, dtype=bool)
    met[electorate.pairs[voted].ravel()] = True
    return met
