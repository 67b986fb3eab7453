"""Citizens by survey group, and the survey's answer shares for people of their demographics.

Shapes: C citizens, A answers, D demographic terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from personas.persona import Panel
from personas.survey.survey import ALL, Survey
from plenary.errors import DataError
from plenary.preferences import FloatArray, IntArray

SWEEPS = 200
SETTLED = 1e-7
SMALLEST = 1e-6
DEGREES = {
    "no high school diploma": 0,
    "high school diploma": 1,
    "some college": 1,
    "associate degree": 2,
    "bachelor's degree": 3,
}
GRADUATE = 4


class Group(NamedTuple):
    """Members of one group, by position in the panel, and their weights."""

    by: str
    name: str
    members: IntArray
    weight: FloatArray


def groups(survey: Survey, panel: Panel, *, crossed: bool = False) -> list[Group]:
    """Groups with members in the panel, by one grouping or by two that the survey crosses."""
    labels = {
        name: [grouping.group(persona) for persona in panel]
        for name, grouping in survey.file.groupings.items()
    }
    kinds = sorted({by for _, by, _ in survey.shares if (("|" in by) == crossed) and by != ALL})
    found: dict[tuple[str, str], list[int]] = {}
    for by in kinds:
        parts = by.split("|")
        if not set(parts) <= set(labels):
            continue
        for at in range(len(panel)):
            names = [labels[part][at] for part in parts]
            if None not in names:
                found.setdefault((by, "|".join(map(str, names))), []).append(at)
    if not found and not crossed:
        raise DataError(
            f"no citizen falls into a group of {survey.file.name!r}; check its groupings"
        )
    return [
        Group(by, name, np.array(members), panel.weight[members])
        for (by, name), members in found.items()
    ]


def people_like_them(survey: Survey, panel: Panel, item: str) -> FloatArray:
    """Share of each answer among people of a citizen's demographics [C, A].

    A log-linear regression with main effects of every grouping, fitted by proportional adjustment
    to the survey's group shares: averaged over any group, it gives that group's share.
    """
    known = [
        (group, survey.shares[item, group.by, group.name])
        for group in groups(survey, panel)
        if (item, group.by, group.name) in survey.shares
    ]
    answers = np.tile(survey.marginal(item).clip(SMALLEST), (len(panel), 1))
    for _ in range(SWEEPS):
        before = answers.copy()
        for group, target in known:
            part = answers[group.members]
            now = group.weight @ part / group.weight.sum()
            part = part * (target.clip(SMALLEST) / now.clip(SMALLEST))
            answers[group.members] = part / part.sum(axis=1, keepdims=True)
        if np.abs(answers - before).max() < SETTLED:
            break
    return answers


def demographic_terms(panel: Panel) -> Mapping[str, FloatArray]:
    """Term -> value of every citizen [C], coded as in the survey's regressions.

    DataError if the panel's source lacks race, region or education.
    """
    people = panel.personas
    for name in ("race_origin", "region", "education"):
        if any(getattr(person, name) is None for person in people):
            raise DataError(
                f"citizens have no {name!r}, which the survey's regressions need; map that column"
            )
    income = np.array([p.household_income or 0 for p in people], dtype=np.float64)
    rank = np.argsort(np.argsort(income, kind="stable")) / max(len(people) - 1, 1)
    flags = {
        "female": [p.sex == "woman" for p in people],
        "black": [p.race_origin == "Black" for p in people],
        "hispanic": [p.race_origin == "Hispanic" for p in people],
        "other_race": [p.race_origin not in ("white", "Black", "Hispanic") for p in people],
        **{r.lower(): [p.region == r for p in people] for r in ("Midwest", "South", "West")},
    }
    numbers = {
        "age_decades": np.array([p.age / 10 for p in people]),
        "degree": np.array([float(DEGREES.get(p.education or "", GRADUATE)) for p in people]),
        "income_rank": rank,
    }
    return {name: np.array(flag, dtype=np.float64) for name, flag in flags.items()} | numbers
