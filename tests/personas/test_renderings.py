"""First person, facts and interview; the embedded model was trained on the first two."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from census_data.population import load_population
from personas.prompt import RENDERINGS, ProfileSettings, describe
from personas.sampling.recruit import PanelSettings, recruit
from plenary.embedded import citizens

PANEL = recruit(load_population(), PanelSettings(citizens=150, method="systematic"), 3)
SOME = PANEL.personas[0]


def as_trained(persona):
    words = {"no high school diploma": "did not finish high school"}
    education = next(
        (e for e in citizens.EDUCATION if persona.education in e), words.get(persona.education)
    )
    income = persona.household_income
    return citizens.Citizen(
        age=persona.age,
        sex=persona.sex,
        race=None if persona.race_origin == "another race" else persona.race_origin,
        state=persona.state,
        metro=f"a {persona.metro}",
        education=education,
        income=(income + 500) // 1000 * 1000 if income and income > 0 else None,
        marital="single" if persona.marital == "never married" else persona.marital,
        occupation=persona.occupation.lower() if persona.occupation else None,
        ideology=None,
    )


@pytest.mark.parametrize(
    ("rendering", "trained"),
    [
        ("second", citizens.second_person),
        ("first", citizens.first_person),
        ("facts", citizens.facts_list),
    ],
)
def test_texts_are_those_of_the_training(rendering, trained):
    settings = ProfileSettings(rendering=rendering)
    for persona in PANEL:
        assert describe(persona, settings) == trained(as_trained(persona))


def test_interview():
    text = describe(SOME, ProfileSettings(rendering="interview"))
    lines = text.split("\n")
    assert lines[:2] == ["Q: How old are you?", f"A: {SOME.age}."]
    assert f"A: {SOME.state}, in the {SOME.region}." in lines
    assert len(lines) % 2 == 0


@pytest.mark.parametrize("rendering", sorted(RENDERINGS))
def test_names_are_left_out_unless_asked_for(rendering):
    for persona in PANEL.personas[:20]:
        last = persona.name.split(" ", 1)[1]
        assert f" {last}" not in describe(persona, ProfileSettings(rendering=rendering))
        assert persona.name in describe(
            persona, ProfileSettings(rendering=rendering, names="invented")
        )


@pytest.mark.parametrize("rendering", sorted(RENDERINGS))
def test_ablation(rendering):
    whole = ("age", "sex", "race", "state", "region", "metro", "education", "income", "marital")
    for trait in whole:
        kept = describe(SOME, ProfileSettings(rendering=rendering))
        less = describe(SOME, ProfileSettings(rendering=rendering, omit=(trait,)))
        assert len(less) < len(kept) or trait == "sex"
        assert less != kept
    assert describe(SOME, ProfileSettings(omit=("age", "race", "state", "region"))).startswith(
        f"You are a {SOME.sex}. You live in"
    )
    assert (
        describe(SOME, ProfileSettings(omit=("state",)))
        .split(". ")[0]
        .endswith(f"from the {SOME.region}")
    )
    nothing = ProfileSettings(rendering=rendering, omit=(*whole, "occupation"))
    assert describe(SOME, nothing) == ""


def test_settings():
    with pytest.raises(ValidationError):
        ProfileSettings.model_validate({"rendering": "third"})
    with pytest.raises(ValidationError):
        ProfileSettings.model_validate({"omit": ["hat"]})
