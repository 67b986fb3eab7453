"""The exact text that a model is given about a citizen."""

from __future__ import annotations

import pytest

from personas.persona import Persona
from personas.prompt import TEMPLATE_HASH, TEMPLATE_VERSION, article, describe
from plenary.errors import DataError

PERSONA = Persona(
    id="c001",
    row_id=7,
    weight=900.0,
    inclusion=0.01,
    imputed=False,
    name="Maria Kim",
    age=18,
    sex="woman",
    race_origin="Hispanic",
    education="some college",
    field_of_degree=None,
    marital="never married",
    employment="employed, at work",
    class_of_worker="employee of a private company",
    occupation="Laborers And Freight, Stock, And Material Movers, Hand",
    industry="Warehousing And Storage",
    hours=30,
    personal_income=12_000,
    household_income=62_500,
    household_type="married couple",
    household_size=4,
    children=1,
    tenure="rented",
    citizenship="born in the United States",
    nativity="native-born",
    language="Spanish",
    english="very well",
    veteran="never served",
    disability="not disabled",
    insured="insured",
    state="Texas",
    region="South",
    metro="large metropolitan area",
    metro_area="Dallas-Fort Worth-Arlington, TX",
)


def persona(**changes: object) -> Persona:
    return Persona.model_validate(PERSONA.model_dump() | changes)


def test_full_text():
    assert describe(PERSONA) == (
        "You are an 18-year-old Hispanic woman from Texas in the South. You live in a large "
        "metropolitan area. You have some college education but no degree. Your household income "
        "is $63,000 a year. You are single. Your line of work is laborers and freight, stock, and "
        "material movers, hand."
    )


def test_retired_widower_in_the_country():
    old = persona(
        age=80,
        sex="man",
        race_origin="white",
        education="no high school diploma",
        marital="widowed",
        occupation=None,
        household_income=1_234_499,
        state="Iowa",
        region="Midwest",
        metro="rural area",
    )
    assert describe(old) == (
        "You are an 80-year-old white man from Iowa in the Midwest. You live in a rural area. You "
        "did not finish high school. Your household income is $1,234,000 a year. You are widowed."
    )


def test_student_in_a_dormitory():
    student = persona(
        age=20,
        race_origin="another race",
        education="high school diploma",
        occupation=None,
        household_income=None,
        state="District of Columbia",
        metro="mid-sized metropolitan area",
    )
    assert describe(student) == (
        "You are a 20-year-old woman from the District of Columbia in the South. You live in a "
        "mid-sized metropolitan area. You have a high school diploma. You are single."
    )


@pytest.mark.parametrize(
    ("education", "words"),
    [
        ("associate degree", "You have an associate degree."),
        ("bachelor's degree", "You have a bachelor's degree."),
        ("master's degree", "You have a master's degree."),
        ("professional degree", "You have a professional degree."),
        ("doctorate", "You have a doctorate."),
    ],
)
def test_degrees(education, words):
    assert words in describe(persona(education=education))


@pytest.mark.parametrize(
    ("race", "words"),
    [
        ("Black", "Black woman"),
        ("Asian", "Asian woman"),
        ("American Indian", "American Indian woman"),
        ("Pacific Islander", "Pacific Islander woman"),
        ("multiracial", "multiracial woman"),
    ],
)
def test_races(race, words):
    assert describe(persona(race_origin=race)).startswith(
        f"You are an 18-year-old {words} from Texas"
    )


@pytest.mark.parametrize("marital", ["married", "widowed", "divorced", "separated"])
def test_marital_status(marital):
    assert f"You are {marital}." in describe(persona(marital=marital))


@pytest.mark.parametrize("income", [None, 0, -11_600, 4, 499])
def test_no_sentence_about_income_that_is_none(income):
    assert "income" not in describe(persona(household_income=income))


@pytest.mark.parametrize(
    ("income", "text"), [(500, "$1,000"), (1_499, "$1,000"), (999_500, "$1,000,000")]
)
def test_income_is_rounded_to_thousands(income, text):
    assert f"Your household income is {text} a year." in describe(persona(household_income=income))


def test_article():
    assert {age for age in range(1, 121) if article(age) == "an"} == {8, 11, 18, *range(80, 90)}


def test_the_name_is_no_cue():
    assert describe(persona(name="Zebulon Xu")) == describe(PERSONA)


def test_unknown_education():
    with pytest.raises(DataError, match=r"no words for education 'Abitur'; use one of"):
        describe(persona(education="Abitur"))


def test_version_goes_with_the_wording():
    """Whoever changes the wording changes the version, and then this hash."""
    assert TEMPLATE_VERSION == "persona-2"
    assert TEMPLATE_HASH == "ea493005b4eb26f89533ae88796a98fa11647e45a19fca49f86146a618139e6b"
