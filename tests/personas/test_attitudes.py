"""Attitudes come from the survey's shares of people like the citizen, and say so."""

from __future__ import annotations

import numpy as np
import pytest

from census_data.population import load_population
from personas.attitudes import draw_attitudes, with_attitudes
from personas.groups import people_like_them
from personas.prompt import describe
from personas.sampling import PanelSettings, recruit
from personas.survey import load_survey
from plenary.errors import ConfigError

GSS = load_survey()
PANEL = recruit(load_population(), PanelSettings(citizens=400, method="systematic"), 1)


def test_shares_are_those_of_people_like_them():
    drawn = draw_attitudes(GSS, PANEL, ("gunlaw", "natenvir"), 3)
    assert drawn == draw_attitudes(GSS, PANEL, ("gunlaw", "natenvir"), 3)
    favor = np.array([own[0].answer == "favor" for own in drawn])
    chance = people_like_them(GSS, PANEL, "gunlaw")[:, 0]
    error = np.sqrt((chance * (1 - chance)).sum())
    assert abs(favor.sum() - chance.sum()) < 4 * error
    assert {a.source for own in drawn for a in own} == {GSS.file.source}


def test_text_and_unknown_items():
    (own, *_) = draw_attitudes(GSS, PANEL, ("gunlaw",), 3)
    text = with_attitudes(describe(PANEL.personas[0]), own)
    assert text.endswith(f"On police permit before buying a gun your answer is: {own[0].answer}.")
    with pytest.raises(ConfigError, match=r"attitudes on \['hats'\]; use items of"):
        draw_attitudes(GSS, PANEL, ("hats",), 3)
    with pytest.raises(ConfigError, match=r"attitudes on \[\]"):
        draw_attitudes(GSS, PANEL, (), 3)
