"""Counting slice by slice gives what counting in memory gives, to the last bit."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from assembly.aggregation import streaming
from assembly.aggregation.consensus import Consensus, consensus
from assembly.aggregation.strata import Strata, strata_of
from assembly.record.ballots import AFTER, BEFORE, INVALID, VALID, Votes, citizen_shares
from assembly.record.ledger import Ledger
from plenary.errors import DataError

CITIZENS, PAIRS = 9, 23
OUTCOMES = np.array([(a, b) for a in range(8) for b in range(a + 1, 8)])[:PAIRS]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


@pytest.fixture
def votes(rng) -> Votes:
    """Every ballot of two phases, some invalid; shares in 64ths, whose sums are exact."""
    pair, citizen, phase, order = (
        axis.ravel() for axis in np.meshgrid(range(PAIRS), range(CITIZENS), (0, 1), (0, 1))
    )
    state = np.where(rng.random(len(pair)) < 0.1, INVALID, VALID)
    share = np.where(state == VALID, rng.integers(0, 65, len(pair)) / 64, np.nan)
    return Votes(pair, citizen, phase, order, share, state, np.full(len(pair), np.nan))


@pytest.fixture
def weights(rng) -> np.ndarray:
    return rng.integers(1, 64, CITIZENS) / 16


@pytest.fixture
def strata(rng) -> Strata:
    return strata_of({"region": rng.choice(["East", "North", "West"], CITIZENS).tolist()}, CITIZENS)


def rows(votes: Votes, keep) -> Votes:
    return Votes(*(getattr(votes, f.name)[keep] for f in fields(Votes)))


def same(one: Votes | Consensus, two: Votes | Consensus) -> None:
    for field in fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))


@pytest.mark.parametrize("cells", [1, 40, 10**6])
@pytest.mark.parametrize("phase", [BEFORE, AFTER])
def test_slices_count_as_memory_does(
    votes, weights, strata, rng, tmp_path: Path, monkeypatch, cells, phase
) -> None:
    monkeypatch.setattr(streaming, "CELLS", cells)
    shuffled = rng.permutation(len(votes))
    files = [tmp_path / f"{k}.parquet" for k in range(3)]
    for file, keep in zip(files, np.array_split(shuffled, 3), strict=True):
        rows(votes, keep).write(file)
    clusters = np.arange(CITIZENS) // 3
    found = streaming.tally(files, OUTCOMES, weights, strata, phase, clusters=clusters)
    same(found.overall, consensus(votes, OUTCOMES, weights, phase, clusters=clusters))
    shares = citizen_shares(votes, phase, CITIZENS, PAIRS)
    np.testing.assert_array_equal(found.stratum_p, strata.means(shares, weights))


def test_merged_files_hold_every_vote_once_and_in_order(
    votes, rng, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(streaming, "CELLS", 50)
    order = np.lexsort((votes.order, votes.phase, votes.citizen, votes.pair))
    one, two = rng.permutation(len(votes))[:600], rng.permutation(len(votes))
    rows(votes, one).write(tmp_path / "one.parquet")
    rows(votes, two).write(tmp_path / "two.parquet")
    files = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    assert streaming.merge(files, tmp_path / "all.parquet", PAIRS, CITIZENS) == len(votes)
    same(Votes.read(tmp_path / "all.parquet"), rows(votes, order))


def test_files_of_two_assemblies_are_not_merged(votes, tmp_path: Path) -> None:
    votes.write(tmp_path / "one.parquet")
    changed = votes.share_first.copy()
    changed[np.flatnonzero(votes.state == VALID)[0]] = 0.123
    Votes(*votes_columns(votes, share_first=changed)).write(tmp_path / "two.parquet")
    with pytest.raises(DataError, match="differ between files; merge files of one assembly"):
        streaming.merge(
            [tmp_path / "one.parquet", tmp_path / "two.parquet"], tmp_path / "all", PAIRS, CITIZENS
        )


def votes_columns(votes: Votes, **changed: np.ndarray) -> list[np.ndarray]:
    return [changed.get(f.name, getattr(votes, f.name)) for f in fields(Votes)]


def test_a_ledger_is_exported_in_slices(votes, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(streaming, "PAIRS_AT_ONCE", 4)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.add_votes(votes, ["0" * 32] * len(votes))
        assert streaming.export(ledger, tmp_path / "votes.parquet", PAIRS) == len(votes)
        same(Votes.read(tmp_path / "votes.parquet"), ledger.votes())


def test_a_missing_ballot_and_a_foreign_file_are_refused(
    votes, weights, strata, tmp_path: Path
) -> None:
    path = tmp_path / "votes.parquet"
    rows(votes, np.arange(len(votes)) > 0).write(path)
    with pytest.raises(DataError, match="1 of 414 ballots are missing"):
        streaming.tally([path], OUTCOMES, weights, strata, int(votes.phase[0]))
    path.write_text("no votes")
    with pytest.raises(DataError, match="cannot read votes"):
        streaming.tally([path], OUTCOMES, weights, strata, AFTER)
