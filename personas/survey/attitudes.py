"""Attitudes drawn for citizens from a survey of similar people: a prior, never a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from personas.persona import Attitude, Panel
from personas.survey.groups import people_like_them
from personas.survey.survey import Survey
from plenary.errors import ConfigError
from plenary.seeding import uniforms


def draw_attitudes(
    survey: Survey, panel: Panel, items: Sequence[str], seed: int
) -> tuple[tuple[Attitude, ...], ...]:
    """An answer to each item for every citizen, drawn from the shares of people like them.

    Items are drawn independently of each other given demographics: correlations of opinions beyond
    demographics are not in the aggregates. A draw depends only on seed, item and row.
    """
    unknown = [item for item in items if item not in survey.file.items]
    if unknown or not items:
        raise ConfigError(
            f"attitudes on {unknown or list(items)!r}; use items of {survey.file.name!r}: "
            f"{', '.join(survey.file.items)}"
        )
    rows = np.array([persona.row_id for persona in panel])
    drawn: list[list[Attitude]] = [[] for _ in rows]
    for item in items:
        about = survey.file.items[item]
        cumulated = np.cumsum(people_like_them(survey, panel, item), axis=1)
        points = uniforms(seed, rows, 1, "attitude", item)
        answers = (points >= cumulated[:, :-1]).sum(axis=1)
        for citizen, at in enumerate(answers.tolist()):
            drawn[citizen].append(
                Attitude(
                    item=item,
                    about=about.about,
                    answer=about.answers[at],
                    source=survey.file.source,
                )
            )
    return tuple(tuple(own) for own in drawn)


def with_attitudes(survey: Survey, panel: Panel, items: Sequence[str], seed: int) -> Panel:
    """The panel with drawn answers in every citizen's record."""
    drawn = draw_attitudes(survey, panel, items, seed)
    personas = tuple(
        persona.model_copy(update={"attitudes": own})
        for persona, own in zip(panel, drawn, strict=True)
    )
    return replace(panel, personas=personas)
