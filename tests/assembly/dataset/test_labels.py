import numpy as np
import pytest
from support.held import held_from, provenance, spoken, votes_from

from assembly.aggregation.consensus import COUNTED
from assembly.analysis.influence import influence
from assembly.dataset.consensus_dataset import ConsensusDataset
from assembly.dataset.labels import HeldAssembly, build_dataset
from assembly.deliberation.seating import seat
from assembly.record.ballots import REFUSED, STATES, VoteRow, Votes
from assembly.record.ledger import Ledger
from assembly.record.settings import AssemblySettings
from plenary.errors import DataError
from plenary.outcomes import Outcome

RNG = np.random.default_rng(0)
SHARES = RNG.uniform(0.02, 0.98, (2, 12, 6))


def test_labels_are_the_weighted_shares_of_known_citizens() -> None:
    weights = RNG.uniform(0.5, 2, 12)
    made = build_dataset(held_from(SHARES, weights=weights))
    np.testing.assert_allclose(made.p, np.average(SHARES[1], axis=0, weights=weights))
    np.testing.assert_allclose(made.p_before, np.average(SHARES[0], axis=0, weights=weights))
    np.testing.assert_allclose(made.p_unweighted, SHARES[1].mean(axis=0))
    np.testing.assert_allclose(made.p_hard, np.average(SHARES[1] > 0.5, axis=0, weights=weights))
    assert np.isnan(made.p_follow_up).all()
    assert made.pair_ids[1] == "o2|o3"
    assert made.split == ("train", "train", "held_out") * 2
    east = [s.category for s in made.strata].index("East")
    own = slice(0, None, 2)
    np.testing.assert_allclose(
        made.stratum_p[:, east], np.average(SHARES[1, own], axis=0, weights=weights[own])
    )
    np.testing.assert_array_equal(made.stratum_counts.sum(axis=1), made.counts)


def test_a_third_ballot_is_the_follow_up() -> None:
    three = np.concatenate([SHARES, SHARES[:1]])
    made = build_dataset(held_from(three))
    np.testing.assert_allclose(made.p_follow_up, SHARES[0].mean(axis=0))


def test_no_ballot_of_another_state_becomes_a_vote() -> None:
    """One citizen a state, in one order or both; on the last pair nobody's ballot is valid."""
    state, lost = np.zeros((2, 2, 12, 6), dtype=int), len(STATES) - 1
    for code in range(1, len(STATES)):
        state[code % 2 :, 1, code - 1] = code
    state[:, 1, :, 5] = REFUSED
    made = build_dataset(held_from(SHARES, votes=votes_from(SHARES, state=state)))
    np.testing.assert_allclose(made.p[:5], SHARES[1, lost:, :5].mean(axis=0))
    row = dict(zip(COUNTED, made.counts[0].tolist(), strict=True))
    assert [row[name] for name in STATES[1:]] == [1] * lost
    assert row["first"] + row["second"] + row["tie"] == 12 - lost
    assert np.isnan([made.p[5], made.low[5], made.p_hard[5], *made.stratum_p[5]]).all()
    assert made.counts[5, COUNTED.index("refused")] == 12
    assert len(made.targets(tuple(f"o{k}" for k in range(12))).p) == 5


def test_incomplete_pairs_are_refused_by_name_and_can_be_left_out() -> None:
    votes = votes_from(SHARES)
    lost = (votes.pair == 4) & (votes.citizen == 7) & (votes.phase == 1)
    lost |= votes.pair == 1
    columns = [getattr(votes, name)[~lost] for name in Votes.__slots__]
    said = [spoken(1, 0, 0, "gone"), spoken(2, 0, 0, "kept")]
    held = held_from(SHARES, votes=Votes(*columns), statements=said, merit=np.array([1.0, 2.0]))
    with pytest.raises(DataError, match=r"2 of 6 pairs lack ballots: 'o2\|o3', 'o8\|o9'; resume"):
        build_dataset(held)
    rest = held.only(held.complete())
    assert [s.text for s in rest.statements] == ["kept"]
    assert rest.statements[0].pair == 1
    made = build_dataset(rest)
    assert made.pair_ids == ("o0|o1", "o4|o5", "o6|o7", "o10|o11")
    np.testing.assert_allclose(made.p, SHARES[1].mean(axis=0)[[0, 2, 3, 5]])


def test_no_votes_at_all_are_refused() -> None:
    empty = Votes.of([VoteRow(0, 0, 0, 0, 0.5, 0, 1.0)])
    with pytest.raises(DataError, match="6 of 6 pairs lack ballots"):
        build_dataset(held_from(SHARES, votes=empty))


def test_a_held_assembly_becomes_a_dataset_with_the_minority_s_own_argument(
    world_of, tmp_path
) -> None:
    """Two regions with opposite utilities: the smaller one dissents wherever they differ."""
    world = world_of(citizens=18, outcomes=10, pairs=12)
    west = np.arange(18) < 6
    world.utilities[:] = np.where(west[:, None], 1, -1) * world.utilities[0]
    settings = AssemblySettings(table_size=6, block=6)
    votes = world.hold(world.backend(swing=0.1), tmp_path, settings)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        said = ledger.transcript()
    tables = seat(18, 12, settings, 3).table_of()
    held = HeldAssembly(
        votes,
        [Outcome(id=f"o{k}", text=text, topic="t") for k, text in enumerate(world.texts)],
        world.pairs,
        np.zeros(12, dtype=bool),
        np.ones(18),
        tables,
        {"region": ["West" if w else "East" for w in west]},
        provenance(18),
        said,
        influence(votes, 12, tables, said).of_statement,
    )
    made = build_dataset(held)
    made.write(tmp_path / "consensus.parquet")
    assert ConsensusDataset.read(tmp_path / "consensus.parquet").minority == made.minority
    decided = np.abs(made.p - 0.5) > 0.02
    assert decided.sum() >= 8
    for k in np.flatnonzero(decided):
        (dissent,) = made.minority[k]
        assert (dissent.category, dissent.citizens) == ("West", 6)
        spoke = [s for s in said if s.pair == k and west[s.citizen]]
        if spoke:
            assert dissent.text in {s.text for s in spoke}
