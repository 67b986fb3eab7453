"""The description of a citizen that a model is given as its system text.

Second person and plain facts: richer, model-written profiles drift and flatten. The name is left
out, since names are cues. The wording is part of the method: the version and the hash go into
every record, and the embedded model is trained on exactly this text.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from personas.persona import Persona
from plenary.errors import DataError

TEMPLATE_VERSION: Final = "persona-1"
IDENTITY = "You are {article} {age}-year-old {person} from {state} in the {region}."
PLACE = "You live in a {metro}."
EDUCATION = "You {education}."
INCOME = "Your household income is ${income:,} a year."
MARITAL = "You are {marital}."
OCCUPATION = "Your line of work is {occupation}."
SENTENCES = (IDENTITY, PLACE, EDUCATION, INCOME, MARITAL, OCCUPATION)
INCOME_STEP = 1_000
EDUCATION_WORDS = {
    "no high school diploma": "did not finish high school",
    "high school diploma": "have a high school diploma",
    "some college": "have some college education but no degree",
    "associate degree": "have an associate degree",
    "bachelor's degree": "have a bachelor's degree",
    "master's degree": "have a master's degree",
    "professional degree": "have a professional degree",
    "doctorate": "have a doctorate",
}
RACE_WORDS = {"another race": ""}
MARITAL_WORDS = {"never married": "single"}
STATE_WORDS = {"District of Columbia": "the District of Columbia"}
WORDS = (EDUCATION_WORDS, RACE_WORDS, MARITAL_WORDS, STATE_WORDS)
TEMPLATE_HASH: Final = hashlib.sha256(
    json.dumps([SENTENCES, INCOME_STEP, WORDS]).encode()
).hexdigest()


def describe(persona: Persona) -> str:
    """System text of a citizen; sentences about what does not apply are left out."""
    sentences = [_identity(persona), PLACE.format(metro=persona.metro)]
    sentences.append(EDUCATION.format(education=_education(persona)))
    income = persona.household_income
    rounded = 0 if income is None else (income + INCOME_STEP // 2) // INCOME_STEP * INCOME_STEP
    if rounded > 0:
        sentences.append(INCOME.format(income=rounded))
    marital = MARITAL_WORDS.get(persona.marital, persona.marital)
    sentences.append(MARITAL.format(marital=marital))
    if persona.occupation is not None:
        sentences.append(OCCUPATION.format(occupation=persona.occupation.lower()))
    return " ".join(sentences)


def article(age: int) -> str:
    """Article before an age: "an" before 8, 11, 18 and 80 to 89, else "a"."""
    return "an" if str(age).startswith("8") or age in (11, 18) else "a"


def _identity(persona: Persona) -> str:
    race = RACE_WORDS.get(persona.race_origin, persona.race_origin)
    return IDENTITY.format(
        article=article(persona.age),
        age=persona.age,
        person=f"{race} {persona.sex}".strip(),
        state=STATE_WORDS.get(persona.state, persona.state),
        region=persona.region,
    )


def _education(persona: Persona) -> str:
    words = EDUCATION_WORDS.get(persona.education)
    if words is None:
        raise DataError(
            f"no words for education {persona.education!r}; use one of {', '.join(EDUCATION_WORDS)}"
        )
    return words
