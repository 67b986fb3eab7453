"""Rules held against pref_voting's, which is installed by hand: CONTRIBUTING.md says how."""

from __future__ import annotations

import string

import numpy as np
import pytest
from support.electorates import ranked_voters

from assembly.aggregation.rules import RULES

profiles = pytest.importorskip("pref_voting.profiles")
methods = pytest.importorskip("pref_voting.voting_methods")
lotteries = pytest.importorskip("pref_voting.probabilistic_methods")
OTHERS = {"borda": "borda", "copeland": "copeland", "schulze": "beat_path"}


def drawn(seed: int) -> tuple[list[list[int]], list[int]]:
    """Some rankings of five outcomes, best first, and how many voters hold each."""
    rng = np.random.default_rng(seed)
    rankings = {tuple(rng.permutation(5).tolist()) for _ in range(rng.integers(2, 9))}
    return [list(r) for r in rankings], rng.integers(1, 9, len(rankings)).tolist()


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("name", OTHERS)
def test_the_winners_are_the_same(name: str, seed: int) -> None:
    rankings, counts = drawn(seed)
    spelled = ["".join(string.ascii_lowercase[k] for k in r) for r in rankings]
    electorate = ranked_voters(dict(zip(spelled, map(float, counts), strict=True)))
    ours = RULES[name](electorate)
    theirs = getattr(methods, OTHERS[name])(profiles.Profile(rankings, rcounts=counts))
    if name == "schulze":
        # Schulze's winners are those that nobody beats; of several, ours ranks by whom they beat.
        beaten = np.where(ours.p < 0.5, *electorate.pairs.T)[ours.p != 0.5]
        assert sorted(set(range(5)) - set(beaten.tolist())) == sorted(theirs)
    else:
        assert np.flatnonzero(ours.ranks == 1).tolist() == sorted(theirs)


@pytest.mark.parametrize("seed", range(60))
def test_the_maximal_lottery_is_the_same(seed: int) -> None:
    rankings, counts = drawn(seed)
    counts[0] += 1 - sum(counts) % 2  # an odd electorate has one maximal lottery
    spelled = ["".join(string.ascii_lowercase[k] for k in r) for r in rankings]
    electorate = ranked_voters(dict(zip(spelled, map(float, counts), strict=True)))
    ours = RULES["maximal_lotteries"](electorate).scores
    found = lotteries.maximal_lottery(profiles.Profile(rankings, rcounts=counts))
    np.testing.assert_allclose(ours, [found.get(k, 0.0) for k in range(5)], atol=1e-5)
