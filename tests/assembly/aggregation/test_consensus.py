import numpy as np
import pytest

from assembly.aggregation.ceiling import reliability_ceiling
from assembly.aggregation.consensus import COUNTED, Consensus, consensus
from assembly.record.ballots import FAILED, INVALID, REFUSED, VALID, Votes
from plenary.errors import ConfigError, DataError

NAN = float("nan")


def votes_of(shares, order_bias: float = 0.0, state=None, phase: int = 0) -> Votes:
    """Votes in both orders from shares [C, P] of the first outcome; state [2, C, P] optional."""
    citizens, pairs = shares.shape
    state = np.zeros((2, citizens, pairs), dtype=int) if state is None else state
    shown = np.stack([shares + order_bias, 1 - shares + order_bias])
    order, citizen, pair = (grid.ravel() for grid in np.indices(shown.shape))
    share = np.where(state == VALID, shown, NAN).ravel()
    return Votes(
        pair, citizen, np.full(len(pair), phase), order, share, state.ravel(), np.ones(len(pair))
    )


def pairs_of(count: int):
    return np.stack([np.arange(count), np.arange(count) + 1], axis=1)


def test_share_counts_and_effective_size() -> None:
    shares = np.array([[0.9, 0.5], [0.2, 0.1], [0.4, 0.3]])
    found = consensus(votes_of(shares), pairs_of(2), np.array([1.0, 2.0, 1.0]), 0)
    np.testing.assert_allclose(found.p, [(0.9 + 0.4 + 0.4) / 4, (0.5 + 0.2 + 0.3) / 4])
    np.testing.assert_array_equal(found.counts[:, :3], [[1, 2, 0], [0, 2, 1]])
    np.testing.assert_array_equal(found.weighted[:, :3], [[1, 3, 0], [0, 3, 1]])
    assert not found.counts[:, 3:].any()
    np.testing.assert_allclose(found.effective_n, 16 / 6)
    assert (found.low <= found.p).all()
    assert (found.p <= found.high).all()


def test_every_ballot_is_counted_and_none_imputed() -> None:
    shares = np.full((5, 1), 0.9)
    state = np.zeros((2, 5, 1), dtype=int)
    state[0, 1], state[1, 2], state[0, 3] = REFUSED, INVALID, FAILED
    state[0, 4], state[1, 4] = FAILED, REFUSED
    found = consensus(votes_of(shares, state=state), pairs_of(1), np.arange(1.0, 6.0), 0)
    counted = {
        name: (int(n), float(w))
        for name, n, w in zip(COUNTED, found.counts[0], found.weighted[0], strict=True)
        if n
    }
    assert counted == {"first": (1, 1), "refused": (2, 2 + 5), "invalid": (1, 3), "failed": (1, 4)}
    assert found.p[0] == pytest.approx(0.9)
    assert found.effective_n[0] == 1
    assert found.unusable_share == 0.8
    assert (found.low[0], found.high[0]) == (0, 1)


def test_a_pair_without_ballots_has_no_target() -> None:
    state = np.zeros((2, 3, 2), dtype=int)
    state[:, :, 1] = REFUSED
    found = consensus(votes_of(np.full((3, 2), 0.6), state=state), pairs_of(2), np.ones(3), 0)
    assert np.isnan([found.p[1], found.low[1], found.high[1]]).all()
    assert not found.contested[1]
    targets = found.targets()
    np.testing.assert_array_equal(targets.pairs, [[0, 1]])
    np.testing.assert_allclose(targets.p, 0.6)
    np.testing.assert_allclose(targets.weight, 3)


def test_order_gap_is_told_apart_from_preference() -> None:
    found = consensus(votes_of(np.full((4, 1), 0.6), order_bias=0.15), pairs_of(1), np.ones(4), 0)
    assert found.order_gap[0] == pytest.approx(0.15)
    assert found.p[0] == pytest.approx(0.6)


def test_a_unanimous_panel_does_not_claim_certainty() -> None:
    found = consensus(votes_of(np.ones((20, 1))), pairs_of(1), np.ones(20), 0)
    assert found.high[0] == 1
    assert 0.7 < found.low[0] < 0.9
    assert not found.contested[0]


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_intervals_cover_the_population_share(kind) -> None:
    """Panels of 60 unequally weighted citizens drawn from a planted population, 300 pairs x 10."""
    rng = np.random.default_rng(5)
    lean, hits = rng.normal(0, 1.2, 300), []
    crowd = lean + rng.normal(0, 1.5, (20_000, 300))
    truth = (_soft(crowd) if kind == "soft" else crowd > 0).mean(axis=0)
    for _ in range(10):
        panel = lean + rng.normal(0, 1.5, (60, 300))
        shares = _soft(panel) if kind == "soft" else (panel > 0).astype(float)
        found = consensus(votes_of(shares), pairs_of(300), rng.uniform(0.5, 2.0, 60), 0)
        hits.append((found.low <= truth) & (truth <= found.high))
    assert 0.93 <= np.mean(hits) <= 0.975


def test_clusters_widen_the_interval_as_tables_depend() -> None:
    """Citizens who agree within tables of 6: only clustering by table covers."""
    rng = np.random.default_rng(6)
    tables = np.repeat(np.arange(12), 6)
    covered = {"citizens": [], "tables": []}
    for _ in range(6):
        lean = rng.normal(0, 1, (12, 200))[tables] + rng.normal(0, 0.5, (72, 200))
        votes = votes_of(_soft(lean))
        for name, clusters in (("citizens", None), ("tables", tables)):
            found = consensus(votes, pairs_of(200), np.ones(72), 0, clusters=clusters)
            covered[name].append((found.low <= 0.5) & (found.high >= 0.5))
    assert np.mean(covered["citizens"]) < 0.75
    assert 0.92 <= np.mean(covered["tables"]) <= 0.98


def _soft(utility):
    return 1 / (1 + np.exp(-utility))


def test_written_consensus_reads_back(tmp_path) -> None:
    rng = np.random.default_rng(0)
    found = consensus(
        votes_of(rng.uniform(0, 1, (6, 4)), phase=1), pairs_of(4), np.ones(6), 1, level=0.9
    )
    found.write(tmp_path / "consensus.parquet")
    again = Consensus.read(tmp_path / "consensus.parquet")
    assert (again.phase, again.level) == (1, 0.9)
    for name in Consensus.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))


def test_a_foreign_file_is_refused(tmp_path) -> None:
    votes_of(np.ones((2, 1))).write(tmp_path / "votes.parquet")
    with pytest.raises(DataError, match="schema None"):
        Consensus.read(tmp_path / "votes.parquet")
    with pytest.raises(DataError, match="cannot read consensus"):
        Consensus.read(tmp_path / "none.parquet")


@pytest.mark.parametrize("spread", [0.15, 0.4, 1.5])
def test_ceiling_is_the_agreement_of_two_panels(spread) -> None:
    """Against the truth by simulation: two fresh panels of 60 on 250 pairs, 40 times over."""
    rng = np.random.default_rng(7)
    agreed, told, halves = [], [], []
    for number in range(40):
        lean = rng.normal(0, spread, 250)
        one, two = (
            _soft(lean + rng.normal(0, 1.5, (60, 250)) + rng.normal(0, 0.1, (60, 1)))
            for _ in range(2)
        )
        agreed.append(np.mean(np.sign(one.mean(0) - 0.5) == np.sign(two.mean(0) - 0.5)))
        if number < 12:
            ceiling = reliability_ceiling(
                votes_of(one), pairs_of(250), np.ones(60), 0, rng, draws=100
            )
            told.append(ceiling.agreement)
            halves.append(ceiling.half_agreement)
            assert ceiling.low <= ceiling.agreement <= ceiling.high
    assert np.mean(told) == pytest.approx(np.mean(agreed), abs=0.025)
    assert np.mean(halves) < np.mean(agreed)


def test_ceiling_of_a_unanimous_panel_is_one_and_ties_are_chance() -> None:
    rng = np.random.default_rng(0)
    sure = reliability_ceiling(votes_of(np.full((10, 5), 0.9)), pairs_of(5), np.ones(10), 0, rng)
    assert (sure.agreement, sure.low, sure.high, sure.half_agreement) == (1, 1, 1, 1)
    tied = reliability_ceiling(votes_of(np.full((10, 5), 0.5)), pairs_of(5), np.ones(10), 0, rng)
    assert tied.agreement == 0.5


def test_ceiling_needs_two_clusters() -> None:
    with pytest.raises(ConfigError, match="seat more tables"):
        reliability_ceiling(
            votes_of(np.full((4, 2), 0.9)),
            pairs_of(2),
            np.ones(4),
            0,
            np.random.default_rng(0),
            clusters=np.zeros(4, dtype=int),
        )
