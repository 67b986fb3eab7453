"""Traits read back from the text that describes a citizen."""

from __future__ import annotations

import re
from typing import get_args

from plenary.embedded.citizens import EDUCATION, IDEOLOGY, RACES
from plenary.embedded.values import Region, Traits

_AGE = re.compile(r"(?:Age: |an? )(\d+)")
_INCOME = re.compile(r"ousehold income(?: is|:) \$([\d,]+)")


def read_traits(text: str) -> Traits:
    """Planted traits that a persona text of any rendering states; silent fields are None."""
    age, income = _AGE.search(text), _INCOME.search(text)
    lowered = text.casefold()
    words = r"\b(?:{})\b"
    race = re.search(words.format("|".join(map(str.casefold, RACES))), lowered)
    region = re.search(r"(?:in the |\()(" + "|".join(get_args(Region)) + r")\b", text)
    ideology = re.search(
        r"politic\w*:?(?: you are| i am)? ((?:very |slightly )?(?:liberal|conservative)|moderate)",
        lowered,
    )
    degree = next(
        (d for phrase, d in EDUCATION.items() if phrase.split(" ", 1)[1] in lowered), None
    )
    if "did not finish high school" in lowered or "no high school" in lowered:
        degree = 0
    sex = re.search(r"\b(wo)?man\b", lowered)
    return Traits(
        age=int(age[1]) if age else None,
        sex=None if sex is None else ("woman" if sex[1] else "man"),
        race=race[0] if race else None,
        degree=degree,
        income=int(income[1].replace(",", "")) if income else None,
        region=region[1] if region else None,  # type: ignore[arg-type]
        ideology=IDEOLOGY.index(ideology[1]) + 1 if ideology else None,
    )
