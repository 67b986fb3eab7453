"""Drawing a panel: determinism, unbiasedness, and what a persona takes from its record."""

from __future__ import annotations

import typing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from census_data.cells import columns_of
from census_data.fidelity import ATTRIBUTES, full_fidelity, panel_fidelity
from census_data.population import load_population
from census_data.sources.mapping import MappedColumn, PopulationMapping, import_table
from personas.panel_file import write_panel
from personas.prompt import RENDERINGS, ProfileSettings, describe
from personas.sampling.build_personas import stream_personas
from personas.sampling.draws import (
    inclusion_probabilities,
    simple_draw,
    stratified_draw,
    systematic_draw,
)
from personas.sampling.quotas import Quota
from personas.sampling.recruit import METHODS, PanelSettings, recruit
from plenary.errors import ConfigError
from plenary.seeding import generator

PEOPLE = load_population()
SYSTEMATIC = PanelSettings(method="systematic")


class FixedStart:
    """Stands in for a generator: a given random start, no shuffling."""

    def __init__(self, start: float) -> None:
        self.start = start

    def random(self) -> float:
        return self.start

    def permutation(self, values: np.ndarray) -> np.ndarray:
        return values


@pytest.mark.slow
def test_same_seed_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_panel(recruit(PEOPLE, PanelSettings(), 11), tmp_path / f"{name}.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    write_panel(recruit(PEOPLE, PanelSettings(), 12), tmp_path / "other.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() != (tmp_path / "other.jsonl").read_bytes()


def test_panel_carries_what_the_record_says():
    panel = recruit(PEOPLE, PanelSettings(citizens=40, method="systematic"), 3)
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
    assert panel.imputed_share == pytest.approx(
        np.average([p.imputed for p in panel], weights=panel.weight)
    )


def test_design_weights_after_a_proportional_draw_are_equal():
    panel = recruit(PEOPLE, SYSTEMATIC, 0)
    np.testing.assert_allclose(panel.design_weight, 1)
    inclusion = np.array([persona.inclusion for persona in panel])
    design = np.array([persona.weight for persona in panel])
    np.testing.assert_allclose(inclusion, 60 * design / PEOPLE.weight.sum())
    assert {persona.inclusion_kind for persona in panel} == {"exact"}


def test_post_stratified_weights_meet_the_margins_they_name():
    panel = recruit(PEOPLE, PanelSettings(citizens=200, method="simple", by=("sex", "region")), 0)
    assert panel.raked == ("sex", "region")
    assert full_fidelity(PEOPLE, *_ids(panel), panel.raked).worst(1).distance < 1e-4
    assert panel.weight.mean() == pytest.approx(1)
    assert panel.design_effect == pytest.approx(len(panel) / panel.effective_size)


def test_weights_after_a_draw_with_certainties():
    few = PEOPLE.select(np.arange(20))
    panel = recruit(few, PanelSettings(citizens=19, method="systematic"), 0)
    assert panel.design_weight.mean() == pytest.approx(1)
    everybody = recruit(few, PanelSettings(citizens=20, method="systematic"), 0)
    assert {p.row_id for p in everybody} == set(few.row_id.tolist())
    assert {p.inclusion for p in everybody} == {1.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("citizens", "one_way", "two_way"), [(100, 0.02, 0.08), (500, 0.005, 0.03)]
)
def test_swap_panels_have_the_margins_of_the_population(citizens, one_way, two_way):
    panel = recruit(PEOPLE, PanelSettings(citizens=citizens), 5)
    found = full_fidelity(PEOPLE, *_ids(panel))
    assert found.worst(1).distance <= one_way
    assert found.median(2) <= two_way
    assert panel.design_effect <= 1.05
    assert panel.raked == ATTRIBUTES
    assert {persona.inclusion_kind for persona in panel} == {"estimated"}


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_repeats_itself(method):
    settings = PanelSettings(citizens=20, method=method, by=("sex", "region", "metro"), pool=80)
    panel = recruit(PEOPLE, settings, 7)
    assert panel.personas == recruit(PEOPLE, settings, 7).personas
    assert panel.personas != recruit(PEOPLE, settings, 8).personas
    assert len({persona.row_id for persona in panel}) == 20


def test_strata_get_their_seats_rounded_up_or_down():
    columns = columns_of(PEOPLE, ("region", "sex"))
    draw = stratified_draw(PEOPLE.weight, columns, 77, generator(2, "strata"))
    seats = columns[0].codes * 3 + columns[1].codes
    expected = np.bincount(seats, PEOPLE.weight) / PEOPLE.weight.sum() * 77
    drawn = np.bincount(seats[draw.positions], minlength=len(expected))
    assert np.abs(drawn - expected).max() < 1
    np.testing.assert_allclose(
        draw.inclusion, 77 * PEOPLE.weight[draw.positions] / PEOPLE.weight.sum()
    )


def test_simple_draw_ignores_weights():
    draw = simple_draw(np.array([1.0, 100.0, 3.0, 4.0]), 2, generator(0, "simple"))
    np.testing.assert_array_equal(draw.inclusion, 0.5)


def test_lottery_panel_meets_its_quotas():
    quotas = (
        Quota(attribute="sex", category="woman", lower=12, upper=12),
        Quota(attribute="age", category="under 25", lower=6, upper=8),
    )
    settings = PanelSettings(citizens=24, method="lottery", quotas=quotas, pool=150)
    panel = recruit(PEOPLE, settings, 1)
    assert sum(persona.sex == "woman" for persona in panel) == 12
    assert 6 <= sum(persona.age < 25 for persona in panel) <= 8
    assert {persona.inclusion_kind for persona in panel} == {"exact"}
    with pytest.raises(ConfigError, match=r"'swap' .* 2 quotas; use method lottery"):
        recruit(PEOPLE, PanelSettings(quotas=quotas), 1)
    with pytest.raises(ConfigError, match=r"a panel of 30 from a pool of 20; ask for fewer"):
        recruit(PEOPLE, PanelSettings(citizens=30, method="lottery", quotas=quotas, pool=20), 1)


def test_a_stream_is_in_proportion_and_whole():
    few = PEOPLE.select(np.arange(0, len(PEOPLE), 900))
    people = [persona for chunk in stream_personas(few, 2_000, 3, 700) for persona in chunk]
    assert len(people) == len({persona.id for persona in people}) == 2_000
    rows, copies = np.unique([persona.row_id for persona in people], return_counts=True)
    expected = few.weight / few.weight.sum() * 2_000
    assert np.abs(copies - expected[np.searchsorted(few.row_id, rows)]).max() <= 1
    assert people == [p for chunk in stream_personas(few, 2_000, 3, 999) for p in chunk]
    same = [p.name for p in people if p.row_id == people[0].row_id]
    assert len(set(same)) > 1
    with pytest.raises(ConfigError, match=r"0 personas in chunks of 10000; ask for at least one"):
        next(stream_personas(few, 0, 1))


@pytest.mark.slow
def test_the_draw_has_exactly_the_stated_probabilities():
    weight = generator(1, "weights").uniform(1, 9, 50)
    starts = (np.arange(20_000) + 0.5) / 20_000
    taken = np.zeros(50)
    for start in starts:
        taken[systematic_draw(weight, 7, FixedStart(start)).positions] += 1
    np.testing.assert_allclose(taken / 20_000, inclusion_probabilities(weight, 7), atol=1.1e-4)


@pytest.mark.slow
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
        PEOPLE,
        *_ids(recruit(PEOPLE, PanelSettings(citizens=500, method="systematic"), 2)),
        ["state"],
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
        PanelSettings.model_validate({"method": "weighted"})
    assert set(METHODS) == set(typing.get_args(PanelSettings.model_fields["method"].annotation))
    with pytest.raises(
        ConfigError, match=r"21 citizens from a population of 20 records; ask for fewer"
    ):
        recruit(PEOPLE.select(np.arange(20)), PanelSettings(citizens=21), 0)
    with pytest.raises(ConfigError, match=r"unknown attribute 'hat'; use one of age, sex"):
        recruit(PEOPLE, PanelSettings(by=("hat",)), 0)
    with pytest.raises(ConfigError, match=r"attributes \['sex', 'sex'\]; name at least one"):
        recruit(PEOPLE, PanelSettings(by=("sex", "sex")), 0)


def test_citizens_of_a_table_that_leaves_columns_out(tmp_path):
    (tmp_path / "people.csv").write_text("years,sex,n\n30,w,2\n41,m,3\n55,w,1\n")
    mapping = PopulationMapping(
        source="made up",
        licence="CC0-1.0",
        universe="adults",
        year=2024,
        weight="n",
        columns={
            "age": MappedColumn(column="years"),
            "sex": MappedColumn(column="sex", recode={"w": "woman", "m": "man"}),
        },
    )
    population = import_table(tmp_path / "people.csv", mapping)
    panel = recruit(population, PanelSettings(citizens=2, by=("sex",)), 0)
    assert {persona.state for persona in panel} == {None}
    for rendering in RENDERINGS:
        text = describe(panel.personas[0], ProfileSettings(rendering=rendering))
        assert "None" not in text
        assert str(panel.personas[0].age) in text
