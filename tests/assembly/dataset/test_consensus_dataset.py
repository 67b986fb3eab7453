from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.held import held_from, spoken, votes_from

from assembly.aggregation.consensus import COUNTED
from assembly.dataset.consensus_dataset import MEANING, SCHEMA, ConsensusDataset
from assembly.dataset.labels import build_dataset
from assembly.record.ballots import REFUSED
from assembly.record.ledger import BallotCalls
from plenary.errors import DataError

SHARES = np.random.default_rng(0).uniform(0.02, 0.98, (2, 12, 6))


@pytest.fixture
def made() -> ConsensusDataset:
    state = np.zeros((2, 2, 12, 6), dtype=int)
    state[:, :, :, 4] = REFUSED
    lean = np.where(np.arange(12)[:, None] % 2 == 1, 0.9, 0.05)
    shares = SHARES.copy()
    shares[:, :, 0] = lean[:, 0]
    held = held_from(
        shares,
        votes=votes_from(shares, state=state),
        statements=[spoken(0, 1, 0, "it is fair")],
        calls=[BallotCalls(keys) for keys in (("a", "b"), (), ("c",), (), (), ())],
    )
    return build_dataset(held)


def same(one: ConsensusDataset, two: ConsensusDataset) -> None:
    for field in fields(ConsensusDataset):
        mine, other = getattr(one, field.name), getattr(two, field.name)
        if isinstance(mine, np.ndarray):
            np.testing.assert_array_equal(mine, other)
        else:
            assert mine == other


def test_a_dataset_reads_back_as_written(made, tmp_path) -> None:
    assert made.minority[0][0].text == "it is fair"
    made.write(tmp_path / "consensus.parquet")
    same(made, ConsensusDataset.read(tmp_path / "consensus.parquet"))


@pytest.mark.parametrize("mask", [[True, False, True, True, False, True], [False] * 6])
def test_a_part_of_it_reads_back_too(made, tmp_path, mask) -> None:
    part = made.select(np.array(mask))
    assert len(part) == sum(mask)
    part.write(tmp_path / "part.parquet")
    again = ConsensusDataset.read(tmp_path / "part.parquet")
    np.testing.assert_array_equal(again.p, part.p)
    assert again.pair_ids == part.pair_ids


def test_an_altered_file_is_refused(made, tmp_path) -> None:
    """One share moved inside its own interval: every rule holds but the digest."""
    path = tmp_path / "consensus.parquet"
    made.write(path)
    table = pq.read_table(path)
    p = table["p"].to_pylist()
    p[1] = (p[1] + table["low"].to_pylist()[1]) / 2
    moved = table.set_column(
        table.schema.get_field_index("p"), table.schema.field("p"), pa.array(p, pa.float64())
    )
    pq.write_table(moved.replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(DataError, match="was altered after it was written"):
        ConsensusDataset.read(path)
    facts = {**table.schema.metadata, b"level": b"0.5"}
    pq.write_table(table.replace_schema_metadata(facts), path)
    with pytest.raises(DataError, match="was altered after it was written"):
        ConsensusDataset.read(path)


def test_a_foreign_a_torn_and_a_missing_file_are_refused(made, tmp_path) -> None:
    path = tmp_path / "consensus.parquet"
    with pytest.raises(DataError, match=r"cannot read a consensus dataset from .*; export"):
        ConsensusDataset.read(path)
    pq.write_table(pa.table({"p": [0.5]}), path)
    with pytest.raises(DataError, match="format None"):
        ConsensusDataset.read(path)
    made.write(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot read a consensus dataset"):
        ConsensusDataset.read(path)
    made.write(path)
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["p_hard"]), path)
    with pytest.raises(DataError, match="the columns of"):
        ConsensusDataset.read(path)


def broken(made: ConsensusDataset) -> dict[str, dict[str, object]]:
    high, first = made.high.copy(), made.p.copy()
    high[3], first[1] = made.p[3] - 0.01, 1.2
    counts, strata = made.counts.copy(), made.stratum_counts.copy()
    counts[2, 0] += 1
    strata[2, 0, 0] += 1
    invented = made.p.copy()
    invented[4] = 0.5
    return {
        r"an interval that does not hold its share in 'o6\|o7'": {"high": high},
        r"a share outside 0..1 in 'o2\|o3'": {"p": first, "high": first},
        r"do not add up to the citizens in 'o4\|o5'": {"counts": counts},
        r"that do not add up to the citizens in 'o4\|o5'": {"stratum_counts": strata},
        r"in 'o8\|o9'": {"p": invented, "low": invented, "high": invented},
        r"a split other than train or held_out in 'o0\|o1'": {"split": ("t", *made.split[1:])},
        r"a held-out outcome that is trained on in 'o4\|o5'": {
            "second_id": ("o5", *made.second_id[1:])
        },
        r"two equal outcomes, or a pair met before, in 'o2\|o2'": {
            "second_id": (made.second_id[0], "o2", *made.second_id[2:])
        },
        "columns of different length": {"split": ("train",)},
    }


@pytest.mark.parametrize("k", range(9))
def test_rules_name_the_pair_that_breaks_them(made, k) -> None:
    message, change = list(broken(made).items())[k]
    with pytest.raises(DataError, match=message):
        replace(made, **change)


def test_targets_follow_the_catalogue_given(made) -> None:
    ids = tuple(f"o{k}" for k in reversed(range(12)))
    targets = made.targets(ids)
    assert len(targets.p) == 5
    np.testing.assert_array_equal(targets.pairs[0], [11, 10])
    np.testing.assert_array_equal(targets.weight, made.effective_n[made.effective_n > 0])
    with pytest.raises(DataError, match="outcome 'o0'"):
        made.targets(ids[:-1])


def test_the_documentation_names_every_column() -> None:
    text = (Path(__file__).parents[3] / "docs/data/consensus.md").read_text(encoding="utf-8")
    assert set(MEANING) == set(SCHEMA.names)
    counted = {f"count_{name}" for name in COUNTED[3:]}
    assert [name for name in SCHEMA.names if f"`{name}`" not in text and name not in counted] == []
