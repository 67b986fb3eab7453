"""Attitudes come from the survey's shares of people like the citizen, and say so."""

from __future__ import annotations

import numpy as np
import pytest

from census_data.population import load_population
from personas.panel_file import data_sheet, read_panel, write_panel
from personas.prompt import RENDERINGS, ProfileSettings, describe
from personas.sampling.recruit import PanelSettings, recruit
from personas.survey.attitudes import draw_attitudes, with_attitudes
from personas.survey.groups import people_like_them
from personas.survey.survey import load_survey
from plenary.errors import ConfigError, DataError

GSS = load_survey()
PEOPLE = load_population()
PANEL = recruit(PEOPLE, PanelSettings(citizens=400, method="systematic"), 1)


def test_shares_are_those_of_people_like_them():
    drawn = draw_attitudes(GSS, PANEL, ("gunlaw", "natenvir"), 3)
    assert drawn == draw_attitudes(GSS, PANEL, ("gunlaw", "natenvir"), 3)
    favor = np.array([own[0].answer == "favor" for own in drawn])
    chance = people_like_them(GSS, PANEL, "gunlaw")[:, 0]
    error = np.sqrt((chance * (1 - chance)).sum())
    assert abs(favor.sum() - chance.sum()) < 4 * error
    assert {a.source for own in drawn for a in own} == {GSS.file.source}


def test_they_are_off_by_default_and_marked_when_on():
    settings = PanelSettings(citizens=12, method="systematic")
    plain = recruit(PEOPLE, settings, 2)
    assert not any(persona.attitudes for persona in plain)
    on = recruit(PEOPLE, settings.model_copy(update={"attitudes": ("gunlaw", "natenvir")}), 2)
    for with_, without in zip(on, plain, strict=True):
        assert [a.item for a in with_.attitudes] == ["gunlaw", "natenvir"]
        assert {a.source for a in with_.attitudes} == {GSS.file.source}
        assert with_.model_copy(update={"attitudes": ()}) == without
        answer = with_.attitudes[0].answer
        assert f"On police permit before buying a gun your answer is: {answer}." in describe(with_)
        assert describe(with_, ProfileSettings(omit=("attitudes",))) == describe(without)
    sheet = data_sheet(on)
    assert f"- drawn attitudes: gunlaw, from {GSS.file.source}" in sheet
    assert "- drawn attitudes: none" in data_sheet(plain)


@pytest.mark.parametrize("rendering", list(RENDERINGS))
def test_every_rendering_says_them(rendering):
    persona = with_attitudes(GSS, PANEL, ("gunlaw",), 3).personas[0]
    text = describe(persona, ProfileSettings(rendering=rendering))
    (held,) = persona.attitudes
    assert text.endswith((f"{held.answer}.", f"{held.answer}"))
    assert held.about in text
    assert ("your answer" in text) == (rendering in ("second", "interview"))


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_they_go_through_files(tmp_path, ending):
    panel = with_attitudes(GSS, PANEL, ("gunlaw", "natenvir"), 3)
    write_panel(panel, tmp_path / f"p{ending}")
    assert read_panel(tmp_path / f"p{ending}").personas == panel.personas


def test_a_broken_cell_is_refused(tmp_path):
    write_panel(PANEL, tmp_path / "p.csv")
    text = (tmp_path / "p.csv").read_text("utf-8")
    (tmp_path / "p.csv").write_text(text.replace(",[],", ",[,", 1), "utf-8")
    with pytest.raises(DataError, match=r"has '\[' at 'attitudes'"):
        read_panel(tmp_path / "p.csv")


def test_unknown_items():
    with pytest.raises(ConfigError, match=r"attitudes on \['hats'\]; use items of"):
        draw_attitudes(GSS, PANEL, ("hats",), 3)
    with pytest.raises(ConfigError, match=r"attitudes on \[\]"):
        draw_attitudes(GSS, PANEL, (), 3)
