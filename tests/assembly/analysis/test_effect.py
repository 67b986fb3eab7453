"""The effect of discussion on planted citizens, who also move by thinking alone."""

import numpy as np
import pytest
from scipy.special import ndtr

from assembly.analysis.effect import deliberation_effect
from assembly.deliberation.conditions import CONDITIONS
from assembly.deliberation.seating import seat
from assembly.record.ballots import AFTER, BEFORE, Votes
from assembly.record.ledger import Ledger
from assembly.record.settings import AssemblySettings
from plenary.errors import ConfigError, DataError
from plenary.models.planted import PlantedBackend, PlantedWorld

CITIZENS, PAIRS = 60, 12


def planted(world, swing: float) -> PlantedBackend:
    table = {
        system: dict(zip(world.texts, row, strict=True))
        for system, row in zip(world.systems, world.utilities.tolist(), strict=True)
    }
    return PlantedBackend(
        PlantedWorld(utilities=table[world.systems[0]], personas=table, sigma=1, swing=swing)
    )


def hold_conditions(world, folder, settings, swing) -> dict[str, Votes]:
    votes = {}
    for condition in CONDITIONS:
        (folder / condition).mkdir()
        chosen = settings.model_copy(update={"condition": condition})
        votes[condition] = world.hold(planted(world, swing), folder / condition, chosen)
    return votes


@pytest.fixture(scope="module")
def room(world_of, tmp_path_factory):
    world = world_of(citizens=CITIZENS, outcomes=8, pairs=PAIRS, seed=5)
    settings = AssemblySettings(table_size=5, block=12, speakers=2)
    folder = tmp_path_factory.mktemp("conditions")
    return world, settings, folder, hold_conditions(world, folder, settings, 0.6)


def truth(world, settings, folder) -> np.ndarray:
    """Expected difference of shares [P], from the utilities and what stands in the transcripts."""
    leads = world.utilities[:, world.pairs[:, 0]] - world.utilities[:, world.pairs[:, 1]]
    after = {}
    tables = seat(CITIZENS, PAIRS, settings, seed=3).tables
    for condition in ("deliberation", "reflection"):
        moved = leads.copy()
        with Ledger(folder / condition / "ledger.sqlite") as ledger:
            for s in ledger.transcript():
                who = list(tables[s.table]) if condition == "deliberation" else [s.citizen]
                moved[who, s.pair] += 0.6 * (1 - 2 * s.side)
        after[condition] = ndtr(moved / np.sqrt(2))
    weights = world.weights / world.weights.sum()
    return weights @ (after["deliberation"] - after["reflection"])


def test_the_planted_effect_is_post_minus_reflection(room) -> None:
    world, settings, folder, votes = room
    tables = seat(CITIZENS, PAIRS, settings, seed=3).group_of()
    effect = deliberation_effect(votes, world.pairs, world.weights, tables)
    expected = truth(world, settings, folder)
    np.testing.assert_allclose(effect.shift, expected, atol=1e-9)
    assert ((effect.low < expected) & (expected < effect.high)).all()
    assert (effect.compared == CITIZENS).all()
    against_before = deliberation_effect(votes, world.pairs, world.weights, tables, control="none")
    assert np.abs(against_before.shift - expected).max() > 0.01


def test_arms_share_their_first_ballot_and_a_reflection_hears_nobody(room) -> None:
    _, _, folder, votes = room
    first = {condition: v.share_first[v.phase == BEFORE].tolist() for condition, v in votes.items()}
    assert first["none"] == first["reflection"] == first["deliberation"]
    none = votes["none"]
    assert none.share_first[none.phase == AFTER].tolist() == first["none"]
    with Ledger(folder / "reflection" / "ledger.sqlite") as ledger:
        thoughts = ledger.transcript()
    assert len(thoughts) == CITIZENS * PAIRS


def test_citizens_who_do_not_listen_show_none(room, tmp_path) -> None:
    world, settings, _, _ = room
    votes = hold_conditions(world, tmp_path, settings, 0.0)
    tables = seat(CITIZENS, PAIRS, settings, seed=3).group_of()
    effect = deliberation_effect(votes, world.pairs, world.weights, tables)
    np.testing.assert_allclose(effect.shift, 0.0, atol=1e-12)
    assert effect.size == pytest.approx(0.0, abs=1e-9)
    assert effect.toward_majority.low <= 0 <= effect.toward_majority.high


def drawn(rng, effect, citizens, tables) -> dict[str, Votes]:
    """Two conditions on one pair: table effects and noise about a known effect."""
    conditions = {}
    table = rng.normal(0, 0.05, tables.max() + 1)[tables]
    for condition, shift in (("deliberation", effect), ("reflection", 0.0)):
        share = 0.5 + shift + (table if shift is effect else 0) + rng.normal(0, 0.05, citizens)
        rows = []
        for order in (0, 1):
            faced = share if order == 0 else 1 - share
            rows += [
                (0, c, phase, order, faced[c], 0, 1.0) for c in range(citizens) for phase in (0, 1)
            ]
        conditions[condition] = Votes.of(rows)
    return conditions


@pytest.mark.exhaustive
def test_intervals_cover_and_single_citizens_would_not() -> None:
    rng, tables = np.random.default_rng(0), np.repeat(np.arange(12), 10)
    pairs, weights = np.array([[0, 1]]), rng.uniform(0.5, 1.5, 120)
    covered = {"tables": 0, "citizens": 0}
    for _ in range(200):
        votes = drawn(rng, 0.1, 120, tables)
        for name, clusters in (("tables", tables), ("citizens", np.arange(120))):
            effect = deliberation_effect(votes, pairs, weights, clusters)
            covered[name] += bool(effect.low[0] < 0.1 < effect.high[0])
    assert covered["tables"] >= 180
    assert covered["citizens"] < 170


def test_an_arm_that_was_not_held_and_ballots_that_are_all_bad(room) -> None:
    world, _, _, votes = room
    tables = np.zeros(CITIZENS, dtype=int)
    with pytest.raises(
        ConfigError, match="no votes of condition 'reflection'; hold that condition"
    ):
        deliberation_effect({"deliberation": votes["none"]}, world.pairs, world.weights, tables)
    effect = deliberation_effect(votes, world.pairs, world.weights, tables)
    assert np.isinf(effect.high).all()
    bad = Votes.of(
        (p, c, phase, o, None, 2, None)
        for p in range(PAIRS) for c in range(CITIZENS) for phase in (0, 1) for o in (0, 1)
    )  # fmt: skip
    with pytest.raises(DataError, match="valid in both conditions"):
        deliberation_effect(
            {"deliberation": bad, "reflection": bad}, world.pairs, world.weights, tables
        )
