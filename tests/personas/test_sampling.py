"""Drawing a panel: determinism, unbiasedness, and what a persona takes from its record."""

from __future__ import annotations

import typing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from census_data.fidelity import panel_fidelity
from census_data.population import load_population
from personas.export import write_panel
from personas.sampling import (
    METHODS,
    PanelSettings,
    inclusion_probabilities,
    recruit,
    systematic_draw,
)
from plenary.errors import ConfigError
from plenary.seeding import generator

PEOPLE = load_population()


class FixedStart:
    """Stands in for a generator: a given random start, no shuffling."""

    def __init__(self, start: float) -> None:
        self.start = start

    def random(self) -> float:
        return self.start

    def permutation(self, values: np.ndarray) -> np.ndarray:
        return values


def test_same_seed_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_panel(recruit(PEOPLE, PanelSettings(), 11), tmp_path / f"{name}.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    write_panel(recruit(PEOPLE, PanelSettings(), 12), tmp_path / "other.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() != (tmp_path / "other.jsonl").read_bytes()


def test_panel_carries_what_the_record_says():
    panel = recruit(PEOPLE, PanelSettings(citizens=40), 3)
    assert [persona.id for persona in panel][:2] == ["c001", "c002"]
    assert len({persona.row_id for persona in panel}) == len(panel) == 40
    for persona in panel:
        at = int(np.flatnonzero(PEOPLE.row_id == persona.row_id)[0])
        assert persona.age == PEOPLE.values("age")[at]
        assert persona.weight == PEOPLE.weight[at]
        assert persona.imputed == PEOPLE.donor[at] == (persona.state in ("California", "Texas"))
        for name in ("sex", "race_origin", "education", "state", "metro", "tenure", "industry"):
            assert getattr(persona, name) == PEOPLE.label(name, at)
        assert persona.name_kind == "invented"
    assert panel.imputed_share == pytest.approx(np.mean([p.imputed for p in panel]))


def test_weights_after_a_proportional_draw_are_equal():
    panel = recruit(PEOPLE, PanelSettings(citizens=60), 0)
    np.testing.assert_allclose(panel.weight, 1)
    assert panel.effective_size == pytest.approx(60)
    inclusion = np.array([persona.inclusion for persona in panel])
    design = np.array([persona.weight for persona in panel])
    np.testing.assert_allclose(inclusion, 60 * design / PEOPLE.weight.sum())


def test_weights_after_a_draw_with_certainties():
    few = PEOPLE.select(np.arange(20))
    panel = recruit(few, PanelSettings(citizens=19), 0)
    assert panel.weight.mean() == pytest.approx(1)
    design = np.array([persona.weight for persona in panel])
    chance = np.array([persona.inclusion for persona in panel])
    np.testing.assert_allclose(panel.weight, design / chance / (design / chance).mean())
    everybody = recruit(few, PanelSettings(citizens=20), 0)
    assert {p.row_id for p in everybody} == set(few.row_id.tolist())
    assert {p.inclusion for p in everybody} == {1.0}


def test_the_draw_has_exactly_the_stated_probabilities():
    weight = generator(1, "weights").uniform(1, 9, 50)
    starts = (np.arange(20_000) + 0.5) / 20_000
    taken = np.zeros(50)
    for start in starts:
        taken[systematic_draw(weight, 7, FixedStart(start)).positions] += 1
    np.testing.assert_allclose(taken / 20_000, inclusion_probabilities(weight, 7), atol=1.1e-4)


def test_weighted_shares_are_unbiased():
    traits = {
        "disability": 0,
        "sex": 1,
        "education": 4,
        "marital": 0,
        "region": 2,
        "race_origin": 1,
        "tenure": 2,
        "insured": 1,
    }
    has = np.array([PEOPLE.values(name) == code for name, code in traits.items()])
    truth = has @ PEOPLE.weight / PEOPLE.weight.sum()
    draws = [systematic_draw(PEOPLE.weight, 60, generator(5, "draw", k)) for k in range(1_000)]
    shares = np.array([has[:, draw.positions].mean(axis=1) for draw in draws])
    error = shares.std(axis=0) / np.sqrt(len(shares))
    assert np.abs((shares.mean(axis=0) - truth) / error).max() < 4
    # The sample of records over-represents small states: the weights matter for the region.
    region = list(traits).index("region")
    assert abs(has[region].mean() - shares[:, region].mean()) > 10 * error[region]


def test_states_are_spread_better_than_by_chance():
    (row,) = panel_fidelity(
        PEOPLE, *_ids(recruit(PEOPLE, PanelSettings(citizens=500), 2)), ["state"]
    )
    assert row.distance < row.expected / 2


def _ids(panel):
    return np.array([persona.row_id for persona in panel]), panel.weight


@given(
    weight=st.lists(st.floats(0.01, 1e4), min_size=2, max_size=40).map(np.array),
    share=st.floats(0.01, 1),
    seed=st.integers(0, 2**31),
)
def test_any_draw_is_whole(weight, share, seed):
    citizens = max(1, round(share * len(weight)))
    chance = inclusion_probabilities(weight, citizens)
    assert chance.sum() == pytest.approx(citizens)
    assert chance.min() > 0
    assert chance.max() <= 1
    draw = systematic_draw(weight, citizens, generator(seed))
    assert len(set(draw.positions.tolist())) == citizens
    np.testing.assert_array_equal(draw.inclusion, chance[draw.positions])


def test_settings():
    with pytest.raises(ValidationError):
        PanelSettings(citizens=1)
    with pytest.raises(ValidationError):
        PanelSettings.model_validate({"method": "lottery"})
    assert set(METHODS) == set(typing.get_args(PanelSettings.model_fields["method"].annotation))
    with pytest.raises(
        ConfigError, match=r"21 citizens from a population of 20 records; ask for fewer"
    ):
        recruit(PEOPLE.select(np.arange(20)), PanelSettings(citizens=21), 0)
