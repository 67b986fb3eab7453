"""Persona texts: how citizens are described to the embedded model, and how traits are read back."""

from __future__ import annotations

import hashlib
import re
from importlib import resources
from typing import NamedTuple

import numpy as np

from plenary.embedded.values import Region, Traits

STATES: dict[str, Region] = {
    **dict.fromkeys(
        ("Connecticut", "Maine", "Massachusetts", "New Hampshire", "Rhode Island", "Vermont",
         "New Jersey", "New York", "Pennsylvania"), "Northeast"),
    **dict.fromkeys(
        ("Illinois", "Indiana", "Michigan", "Ohio", "Wisconsin", "Iowa", "Kansas", "Minnesota",
         "Missouri", "Nebraska", "North Dakota", "South Dakota"), "Midwest"),
    **dict.fromkeys(
        ("Delaware", "District of Columbia", "Florida", "Georgia", "Maryland", "North Carolina",
         "South Carolina", "Virginia", "West Virginia", "Alabama", "Kentucky", "Mississippi",
         "Tennessee", "Arkansas", "Louisiana", "Oklahoma", "Texas"), "South"),
    **dict.fromkeys(
        ("Arizona", "Colorado", "Idaho", "Montana", "Nevada", "New Mexico", "Utah", "Wyoming",
         "Alaska", "California", "Hawaii", "Oregon", "Washington"), "West"),
}  # fmt: skip
EDUCATION = {
    "did not finish high school": 0,
    "have a high school diploma": 1,
    "have some college education but no degree": 1,
    "have an associate degree": 2,
    "have a bachelor's degree": 3,
    "have a master's degree": 4,
    "have a professional degree": 4,
    "have a doctorate": 4,
}
RACES = (
    "white",
    "Black",
    "Hispanic",
    "Asian",
    "American Indian",
    "Pacific Islander",
    "multiracial",
)
METRO = (
    "a large metropolitan area",
    "a mid-sized metropolitan area",
    "a small metropolitan area",
    "a rural area",
)
MARITAL = ("married", "widowed", "divorced", "separated", "single")
IDEOLOGY = (
    "very liberal",
    "liberal",
    "slightly liberal",
    "moderate",
    "slightly conservative",
    "conservative",
    "very conservative",
)
HELD_OUT_SHARE = 0.1


class Citizen(NamedTuple):
    """Everything a persona text can say about a citizen."""

    age: int
    sex: str
    race: str | None
    state: str
    metro: str
    education: str
    income: int | None
    marital: str
    occupation: str | None
    ideology: int | None


def occupations() -> tuple[str, ...]:
    """Occupation titles for training texts; they carry no planted effect."""
    path = resources.files("plenary.embedded") / "occupations.txt"
    return tuple(path.read_text(encoding="utf-8").split("\n")[:-1])


def draw_citizen(rng: np.random.Generator, *, held_out: bool, titles: tuple[str, ...]) -> Citizen:
    """Random citizen, from the trained or the held-out combinations of traits."""
    while True:
        citizen = Citizen(
            age=int(rng.integers(18, 95)),
            sex=("woman", "man")[rng.integers(2)],
            race=RACES[rng.integers(len(RACES))] if rng.random() < 0.96 else None,
            state=list(STATES)[rng.integers(len(STATES))],
            metro=METRO[rng.integers(4)],
            education=list(EDUCATION)[rng.integers(len(EDUCATION))],
            income=int(round(float(np.exp(rng.normal(11.3, 1.0))), -3)) or None
            if rng.random() < 0.92
            else None,
            marital=MARITAL[rng.integers(5)],
            occupation=titles[rng.integers(len(titles))] if rng.random() < 0.65 else None,
            ideology=int(rng.integers(1, 8)) if rng.random() < 0.25 else None,
        )
        if is_held_out(citizen) == held_out:
            return citizen


def is_held_out(citizen: Citizen) -> bool:
    """Whether the combination of age, race, state and education is never trained on."""
    key = f"{citizen.age}|{citizen.race}|{citizen.state}|{citizen.education}"
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64 < HELD_OUT_SHARE


def traits(citizen: Citizen) -> Traits:
    """What bears on the planted weights."""
    return Traits(
        age=citizen.age,
        sex="woman" if citizen.sex == "woman" else "man",
        race=citizen.race,
        degree=EDUCATION[citizen.education],
        income=citizen.income,
        region=STATES[citizen.state],
        ideology=citizen.ideology,
    )


def _article(age: int) -> str:
    return "an" if re.match(r"8|11\b|18\b", str(age)) else "a"


def _place(state: str) -> str:
    return f"the {state}" if state == "District of Columbia" else state


def second_person(c: Citizen) -> str:
    """The default persona text, as the package personas writes it."""
    who = f"{c.race} {c.sex}" if c.race else c.sex
    home = f"{_place(c.state)} in the {STATES[c.state]}"
    parts = [
        f"You are {_article(c.age)} {c.age}-year-old {who} from {home}.",
        f"You live in {c.metro}.",
        f"You {c.education}.",
    ]
    if c.income:
        parts.append(f"Your household income is ${c.income:,} a year.")
    parts.append(f"You are {c.marital}.")
    if c.occupation:
        parts.append(f"Your line of work is {c.occupation}.")
    if c.ideology:
        parts.append(f"Politically you are {IDEOLOGY[c.ideology - 1]}.")
    return " ".join(parts)


def first_person(c: Citizen) -> str:
    """The same in the first person."""
    text = second_person(c)
    for old, new in (("You are", "I am"), ("You ", "I "), ("Your", "My"), ("you are", "I am")):
        text = text.replace(old, new)
    return text


def facts_list(c: Citizen) -> str:
    """The same as a list of facts."""
    education = c.education.replace("have ", "").replace("did not finish", "no")
    facts = {
        "Age": c.age, "Sex": c.sex, "State": f"{c.state} ({STATES[c.state]})", "Area": c.metro,
        "Education": education, "Marital status": c.marital,
    }  # fmt: skip
    if c.race:
        facts["Race or origin"] = c.race
    if c.income:
        facts["Household income"] = f"${c.income:,} a year"
    if c.occupation:
        facts["Occupation"] = c.occupation
    if c.ideology:
        facts["Politics"] = IDEOLOGY[c.ideology - 1]
    return "\n".join(f"{name}: {fact}" for name, fact in facts.items())
