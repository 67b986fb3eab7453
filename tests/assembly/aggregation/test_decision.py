from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from support.held import held_from

from assembly.aggregation.ceiling import reliability_ceiling, rule_ceiling
from assembly.aggregation.consensus import consensus, decided_by
from assembly.aggregation.electorate import Electorate
from assembly.aggregation.rules import RULES
from assembly.dataset.labels import build_dataset
from assembly.record.ballots import AFTER, citizen_shares
from assembly.record.settings import RuleName
from plenary.errors import DataError

CITIZENS, PAIRS = 24, 12


@pytest.fixture(scope="module")
def room():
    """Citizens on 12 pairs of 8 outcomes with known utilities."""
    rng = np.random.default_rng(4)
    every = np.array([(a, b) for a in range(8) for b in range(a + 1, 8)])
    pairs = every[rng.permutation(len(every))[:PAIRS]]
    utilities = np.linspace(-1, 1, 8) + 0.3 * rng.standard_normal((CITIZENS, 8))
    shares = 1 / (1 + np.exp(-2 * (utilities[:, pairs[:, 0]] - utilities[:, pairs[:, 1]])))
    held = held_from(np.stack([shares, shares]), pairs=pairs, held_out=np.zeros(PAIRS, dtype=bool))
    plain = consensus(held.votes, pairs, held.weights, AFTER, clusters=held.clusters)
    laid = citizen_shares(held.votes, AFTER, CITIZENS, PAIRS)
    electorate = Electorate.unstratified(laid, pairs, held.weights, 8)
    return held, plain, electorate


def decide(room, rule: RuleName):
    held, plain, electorate = room
    rng = np.random.default_rng(0)
    parts = np.zeros(PAIRS, dtype=np.int64)
    return decided_by(RULES[rule], electorate, plain, parts, held.clusters, rng, replicates=20)


def test_settings_name_every_rule() -> None:
    assert set(get_args(RuleName)) == set(RULES)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["majority", "borda", "pooled_thurstonian", "maximin"])
def test_a_rule_makes_the_labels_of_a_dataset(room, rule: RuleName) -> None:
    held, plain, _ = room
    decided = decide(room, rule)
    made = build_dataset(held, decided=decided)
    np.testing.assert_array_equal(made.p, decided.p)
    np.testing.assert_array_equal(made.counts, plain.counts)
    assert (decided.low <= decided.p).all()
    assert (decided.p <= decided.high).all()
    sure = ~plain.contested
    np.testing.assert_array_equal((decided.p > 0.5)[sure], (plain.p > 0.5)[sure])


def test_the_weighted_share_is_itself(room) -> None:
    np.testing.assert_allclose(decide(room, "weighted_share").p, room[1].p)


def test_parts_are_decided_apart(room) -> None:
    held, plain, electorate = room
    parts = np.arange(PAIRS) % 2
    rng = np.random.default_rng(0)
    borda = RULES["borda"]
    both = decided_by(borda, electorate, plain, parts, held.clusters, rng, replicates=5)
    even = replace(electorate, shares=electorate.shares[:, ::2], pairs=electorate.pairs[::2])
    np.testing.assert_array_equal(both.p[::2], borda(even).p)


def test_the_ceiling_of_the_weighted_share_is_that_of_its_panels(room) -> None:
    held, _, electorate = room
    rng = np.random.default_rng(1)
    found = rule_ceiling(RULES["weighted_share"], electorate, held.clusters, rng, draws=100)
    known = reliability_ceiling(
        held.votes, held.pairs, held.weights, AFTER, rng, draws=100, clusters=held.clusters
    )
    assert found.half_agreement == pytest.approx(known.half_agreement, abs=0.03)
    assert known.half_agreement <= found.agreement <= 1
    assert found.low <= found.agreement <= found.high
    split = np.where(np.arange(CITIZENS)[:, None] < CITIZENS // 2, 0.9, 0.1) + 0 * electorate.shares
    divided = rule_ceiling(
        RULES["majority"], replace(electorate, shares=split), np.arange(CITIZENS), rng
    )
    assert divided.agreement == pytest.approx(0.5, abs=0.2)


def test_a_pair_without_a_ballot_has_no_label_and_a_rule_without_an_answer_is_refused(room) -> None:
    held, plain, electorate = room
    blank = plain.p.copy()
    blank[3] = np.nan
    parts, rng = np.zeros(PAIRS, dtype=np.int64), np.random.default_rng(0)
    arguments = (electorate, replace(plain, p=blank), parts, held.clusters, rng)
    decided = decided_by(RULES["pooled_thurstonian"], *arguments, replicates=5)
    assert np.isnan(decided.p[3])
    assert np.isnan(decided.low[3])
    mute = RULES["majority"](electorate)
    with pytest.raises(DataError, match="no answer for 11 pairs"):
        decided_by(lambda e: mute._replace(p=mute.p * np.nan), *arguments, replicates=5)
