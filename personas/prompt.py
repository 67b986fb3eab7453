"""The persona prompt: the description of a citizen that a model gets as its system prompt.

By default in second person and plain facts: richer, model-written profiles drift and flatten. The
name is left out, since names are cues. The wording is part of the method: the version and the hash
go into every record, and the embedded model is trained on exactly this text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from personas.persona import Persona
from plenary.errors import DataError
from plenary.hashing import content_hash

TEMPLATE_VERSION: Final = "persona-2"
Trait = Literal[
    "name", "age", "sex", "race", "state", "region", "metro", "education", "income", "marital",
    "occupation", "attitudes",
]  # fmt: skip
RenderingName = Literal["second", "first", "facts", "interview"]
NAME = "Your name is {name}."
IDENTITY = "You are {who}{place}."
PLACE = "You live in {}."
EDUCATION = "You {}."
INCOME = "Your household income is {} a year."
MARITAL = "You are {}."
OCCUPATION = "Your line of work is {}."
FIRST_PERSON = (("You are", "I am"), ("You ", "I "), ("Your", "My"), ("you are", "I am"))
FACTS: dict[str, Trait] = {
    "Age": "age",
    "Sex": "sex",
    "State": "state",
    "Area": "metro",
    "Education": "education",
    "Marital status": "marital",
    "Race or origin": "race",
    "Household income": "income",
    "Occupation": "occupation",
}
INTERVIEW: dict[Trait, str] = {
    "name": "What is your name?",
    "age": "How old are you?",
    "sex": "Are you a woman or a man?",
    "race": "How do you describe your race or origin?",
    "state": "Where do you live?",
    "metro": "What kind of place is that?",
    "education": "How far did you go in school?",
    "income": "What is the income of your household?",
    "marital": "What is your marital status?",
    "occupation": "What is your line of work?",
}
# A drawn answer in each rendering; only panels with attitudes have any.
ATTITUDE = {
    "second": "On {about} your answer is: {answer}.",
    "first": "On {about} my answer is: {answer}.",
    "facts": "Answer on {about}: {answer}",
    "interview": "Q: What is your answer on {about}?\nA: {answer}.",
}
JOINS = {"second": " ", "first": " ", "facts": "\n", "interview": "\n"}
SENTENCES = (NAME, IDENTITY, PLACE, EDUCATION, INCOME, MARITAL, OCCUPATION)
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
TEMPLATE_HASH: Final = content_hash(
    json.dumps([SENTENCES, INCOME_STEP, WORDS, FIRST_PERSON, FACTS, INTERVIEW, ATTITUDE])
)


class ProfileSettings(BaseModel):
    """How citizens are described to the model that speaks for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rendering: RenderingName = Field(
        default="second", description="second person, first person, list of facts, or interview"
    )
    omit: tuple[Trait, ...] = Field(
        default=(), description="traits left out of the text, for ablation"
    )
    names: Literal["none", "invented"] = Field(
        default="none", description="names are cues of sex, age and origin, so none by default"
    )


DEFAULT_PROFILE = ProfileSettings()


def describe(persona: Persona, settings: ProfileSettings = DEFAULT_PROFILE) -> str:
    """System prompt of a citizen; what does not apply or is unknown is left out."""
    text = RENDERINGS[settings.rendering](persona, settings)
    if not persona.attitudes or "attitudes" in settings.omit:
        return text
    template, join = ATTITUDE[settings.rendering], JOINS[settings.rendering]
    held = [template.format(about=a.about, answer=a.answer) for a in persona.attitudes]
    return join.join([text, *held])


def _kept(persona: Persona, settings: ProfileSettings) -> dict[Trait, str]:
    """What the text says about each trait, in the second person."""
    income = persona.household_income
    rounded = 0 if income is None else (income + INCOME_STEP // 2) // INCOME_STEP * INCOME_STEP
    race, marital = persona.race_origin or "", persona.marital or ""
    found: dict[Trait, str] = {
        "age": str(persona.age),
        "sex": persona.sex,
        "race": RACE_WORDS.get(race, race),
        "state": persona.state or "",
        "region": persona.region or "",
        "metro": f"a {persona.metro}" if persona.metro else "",
        "education": _education(persona),
        "income": f"${rounded:,}" if rounded > 0 else "",
        "marital": MARITAL_WORDS.get(marital, marital),
        "occupation": (persona.occupation or "").lower(),
    }
    return {trait: text for trait, text in found.items() if text and trait not in settings.omit}


def _second(persona: Persona, settings: ProfileSettings) -> str:
    kept = _kept(persona, settings)
    sentences = [NAME.format(name=persona.name)] if settings.names == "invented" else []
    sentences += [_identity(kept)] if {"age", "sex", "race", "state", "region"} & set(kept) else []
    templates: dict[Trait, str] = {
        "metro": PLACE,
        "education": EDUCATION,
        "income": INCOME,
        "marital": MARITAL,
        "occupation": OCCUPATION,
    }
    sentences += [line.format(kept[t]) for t, line in templates.items() if t in kept]
    return " ".join(sentences)


def _first(persona: Persona, settings: ProfileSettings) -> str:
    text = _second(persona, settings)
    for old, new in FIRST_PERSON:
        text = text.replace(old, new)
    return text


def _facts(persona: Persona, settings: ProfileSettings) -> str:
    kept = _kept(persona, settings)
    facts = {"Name": persona.name if settings.names == "invented" else ""}
    facts |= {name: kept.get(trait, "") for name, trait in FACTS.items()}
    facts["State"] = _where(kept, "{state} ({region})")
    facts["Education"] = facts["Education"].replace("have ", "").replace("did not finish", "no")
    facts["Household income"] += " a year" if facts["Household income"] else ""
    return "\n".join(f"{name}: {fact}" for name, fact in facts.items() if fact)


def _interview(persona: Persona, settings: ProfileSettings) -> str:
    kept = _kept(persona, settings)
    kept["education"] = f"I {kept['education']}" if "education" in kept else ""
    kept["state"] = _where(kept, "{state}, in the {region}")
    kept["income"] = f"{kept['income']} a year" if "income" in kept else ""
    if settings.names == "invented":
        kept["name"] = persona.name
    lines = [
        f"Q: {question}\nA: {kept[trait][:1].upper() + kept[trait][1:]}."
        for trait, question in INTERVIEW.items()
        if kept.get(trait)
    ]
    return "\n".join(lines)


RENDERINGS: dict[RenderingName, Callable[[Persona, ProfileSettings], str]] = {
    "second": _second,
    "first": _first,
    "facts": _facts,
    "interview": _interview,
}


def article(age: int) -> str:
    """Article before an age: "an" before 8, 11, 18 and 80 to 89, else "a"."""
    return "an" if str(age).startswith("8") or age in (11, 18) else "a"


def _identity(kept: Mapping[Trait, str]) -> str:
    who = kept.get("sex", "person")
    if "race" in kept:
        who = f"{kept['race']} {who}"
    if "age" in kept:
        age = kept["age"]
        who = f"{article(int(age))} {age}-year-old {who}"
    else:
        who = f"{'an' if who.startswith(('A', 'a')) else 'a'} {who}"
    state = STATE_WORDS.get(kept.get("state", ""), kept.get("state", ""))
    place = (f" from {state}" if state else "") + (
        f" {'in' if state else 'from'} the {kept['region']}" if "region" in kept else ""
    )
    return IDENTITY.format(who=who, place=place)


def _where(kept: Mapping[Trait, str], both: str) -> str:
    if "state" in kept and "region" in kept:
        return both.format(state=kept["state"], region=kept["region"])
    return kept.get("state", kept.get("region", ""))


def _education(persona: Persona) -> str:
    if persona.education is None:
        return ""
    words = EDUCATION_WORDS.get(persona.education)
    if words is None:
        raise DataError(
            f"no words for education {persona.education!r}; use one of {', '.join(EDUCATION_WORDS)}"
        )
    return words
