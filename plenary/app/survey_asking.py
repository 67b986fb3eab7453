"""The survey's items as the human anchor asks them."""

from __future__ import annotations

from evaluation.human_anchor import SurveyQuestion
from personas.interviews import question
from personas.survey import Survey
from plenary.preferences import FloatArray


def survey_questions(survey: Survey) -> tuple[SurveyQuestion, ...]:
    """The survey's items as the human anchor asks them; groups by one attribute."""
    of_groups: dict[str, dict[str, FloatArray]] = {}
    for (item, by, name), shares in survey.shares.items():
        if by in survey.file.groupings:
            of_groups.setdefault(item, {})[f"{by} {name}"] = shares
    return tuple(
        SurveyQuestion(
            key,
            (
                question(item, "plain", None, reverse=False),
                question(item, "plain", None, reverse=True),
            ),
            survey.marginal(key),
            of_groups.get(key, {}),
            item.retest,
        )
        for key, item in survey.file.items.items()
    )
