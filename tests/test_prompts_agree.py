"""The embedded model was trained on the very texts that the stages above it use."""

import numpy as np
import pytest
from support.traits import read_traits

from assembly.deliberation import prompts
from census_data.population import load_population
from personas.prompt import describe
from personas.sampling.recruit import PanelSettings, recruit
from plenary.embedded import citizens, dialogue
from plenary.embedded.values import citizen_weights
from plenary.prompt_templates import PROMPT_TEMPLATES, question

SHOWN = prompts.ShownPair("The river is clean", "The mill stays open", order=1)
TEXTS = ("The mill stays open", "The river is clean")


def test_forced_choice():
    trained = dialogue.conversation("S", f"{dialogue.CHOOSE[0]}\n{dialogue.options(*TEXTS)}")
    assert question(PROMPT_TEMPLATES["plain"], *TEXTS, system="S") == trained


def test_digest_declaration_and_statement():
    said = [prompts.Statement(0, "it is clean"), prompts.Statement(1, "it pays")]
    lines: list[tuple[dialogue.Side, str]] = [("B", "it is clean"), ("A", "it pays")]
    assert prompts.digest(said, SHOWN) == dialogue.digest(lines)
    declared = f"{dialogue.DECLARE[0]}\n{dialogue.options(*TEXTS)}"
    assert prompts.declare("S", SHOWN, None) == dialogue.conversation("S", declared)
    order = dialogue.SPEAK_ORDER.format(side="B")
    spoken = f"{dialogue.SPEAK}\n{dialogue.options(*TEXTS)}\n{order}"
    assert prompts.speak("S", SHOWN, 0, None) == dialogue.conversation("S", spoken)


@pytest.fixture(scope="module")
def panel():
    return recruit(load_population(), PanelSettings(citizens=200), seed=3)


@pytest.mark.slow
def test_persona_text_states_the_planted_traits(panel):
    for persona in panel.personas:
        traits = read_traits(describe(persona))
        assert (traits.age, traits.sex, traits.region) == (persona.age, persona.sex, persona.region)
        assert traits.degree is not None
        assert (traits.race is None) == (persona.race_origin == "another race")
        if persona.household_income and persona.household_income >= 1000:
            assert traits.income == pytest.approx(persona.household_income, abs=500)


def test_persona_text_is_a_text_of_the_training(panel):
    states = {citizens.second_person(_as_trained(p)) for p in panel.personas}
    assert states == {describe(p) for p in panel.personas}


def _as_trained(persona):
    words = {"no high school diploma": "did not finish high school"}
    known = (e for e in citizens.EDUCATION if persona.education in e)
    education = next(known, None) or words[persona.education]
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


def test_panel_of_the_snapshot_differs_in_planted_weights(panel):
    weights = np.array([citizen_weights(read_traits(describe(p))) for p in panel.personas])
    assert (weights.std(axis=0) > 0.1).all()
