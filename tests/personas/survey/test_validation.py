"""Personas against a survey: planted citizens score as they must."""

from __future__ import annotations

import asyncio
import json
import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from census_data.population import load_population
from personas.sampling.recruit import PanelSettings, recruit
from personas.survey.build_survey import build
from personas.survey.groups import groups, people_like_them
from personas.survey.interviews import interview, question
from personas.survey.survey import load_survey
from personas.survey.validation import ValidationSettings, planted, validate
from plenary.errors import BackendError, ConfigError, DataError
from plenary.models.base import Choice, Message

GSS = load_survey()
PANEL = recruit(load_population(), PanelSettings(citizens=100), 2)
FOLDER = Path(str(resources.files("personas"))) / "surveys"


def run(way, **settings):
    backend = planted(GSS, PANEL, way)
    return asyncio.run(validate(backend, PANEL, GSS, ValidationSettings(**settings)))


@pytest.fixture(scope="module")
def by_shares():
    return run("shares")


@pytest.mark.slow
def test_the_surveys_own_shares_score_at_the_ceiling(by_shares):
    assert by_shares.median("personas", "mean_group_distance") < 0.04
    assert by_shares.median("personas", "within_ratio") == pytest.approx(1, abs=0.05)
    assert by_shares.median("personas", "between_ratio") == pytest.approx(1, abs=0.2)
    assert by_shares.median("personas", "signs") >= 0.75
    for score in by_shares.scores["personas"]:
        assert score.accuracy == pytest.approx(score.reachable)
    assert by_shares.verdict() == ()
    assert by_shares.invalid == 0


@pytest.mark.slow
def test_the_marginal_shows_flattening(by_shares):
    flat = run("marginal")
    assert flat.median("personas", "distance") < 1e-9
    assert flat.median("personas", "between_ratio") < 1e-9
    assert flat.verdict() == ("differences between groups are flattened",)
    worst = [
        flat.median("personas", "worst_distance"),
        by_shares.median("personas", "worst_distance"),
    ]
    assert worst[0] > worst[1]
    assert flat.median("personas", "signs") == 0


def test_baselines_stand_beside(by_shares):
    assert set(by_shares.scores) == {"personas", "marginal", "regression", "no persona"}
    for way in ("marginal", "no persona"):
        assert by_shares.median(way, "between_ratio") < 1e-9
    for regression, own in zip(
        by_shares.scores["regression"], by_shares.scores["personas"], strict=True
    ):
        np.testing.assert_allclose(regression[4:], own[4:])


def test_planted_citizens_are_stable(by_shares):
    assert by_shares.wording == pytest.approx(1)
    assert by_shares.naming == pytest.approx(1)
    brief = run("shares", stability=False, items=("gunlaw", "natenvir"))
    assert np.isnan(brief.wording)
    assert len(brief.scores["personas"]) == 2
    retest = GSS.file.items["gunlaw"].retest
    score = brief.scores["personas"][0]
    assert score.normalised == pytest.approx(score.accuracy / retest)


def test_regression_gives_back_the_groups_shares():
    answers = people_like_them(GSS, PANEL, "gunlaw")
    np.testing.assert_allclose(answers.sum(axis=1), 1)
    for group in groups(GSS, PANEL):
        truth = GSS.shares["gunlaw", group.by, group.name]
        mean = group.weight @ answers[group.members] / group.weight.sum()
        assert np.abs(mean - truth).max() < 0.05


class OneLetter:
    """Always the first letter, by sampling; or never a valid answer."""

    name, supports_seed, exact_choice = "letter", True, False

    def __init__(self, valid):
        self.valid = valid

    async def choose(self, conversations, labels, *, samples=1, seed=0):
        first = (1.0, *[0.0] * (len(labels) - 1))
        one = Choice(first, None, samples, samples) if self.valid else Choice((), None, 1, 0, "no")
        return [one] * len(conversations)


def test_both_orders_are_asked():
    answers = asyncio.run(interview(OneLetter(True), GSS, [None]))
    np.testing.assert_allclose(answers["gunlaw"], [[0.5, 0.5]])
    with pytest.raises(BackendError, match=r"'letter' gave no valid answer"):
        asyncio.run(validate(OneLetter(False), PANEL, GSS, ValidationSettings(items=("trust",))))


def test_question_text():
    item = GSS.file.items["gunlaw"]
    assert question(item, "plain", "You are X.", reverse=True) == (
        Message("system", "You are X."),
        Message(
            "user",
            "A survey asks about police permit before buying a gun. Which answer is yours? "
            "Answer with one letter only.\nA: oppose\nB: favor",
        ),
    )


def test_unknown_items_and_ways():
    with pytest.raises(ConfigError, match=r"unknown item 'hats' of 'General Social Survey'"):
        run("shares", items=("hats",))
    with pytest.raises(ConfigError, match=r"planted survey citizens 'odd'; use shares or marginal"):
        planted(GSS, PANEL, "odd")


@pytest.fixture
def own(tmp_path):
    survey = {
        "name": "town",
        "source": "asked in the market",
        "items": {"bus": {"about": "a new bus line", "answers": ["yes", "no"]}},
        "groupings": {"sex": {"attribute": "sex", "groups": {"f": ["woman"], "m": ["man"]}}},
    }
    (tmp_path / "survey.json").write_text(json.dumps(survey))
    (tmp_path / "shares.csv").write_text(
        "item,by,stratum,response,n,share\nbus,all,all,1,90,0.5\nbus,all,all,2,90,0.5\n"
        "bus,sex,f,1,45,0.8\nbus,sex,f,2,45,0.2\nbus,sex,m,1,45,0.2\nbus,sex,m,2,45,0.8\n"
    )
    return tmp_path


def test_a_survey_of_ones_own(own):
    town = load_survey(own)
    backend = planted(town, PANEL, "shares")
    (score,) = asyncio.run(validate(backend, PANEL, town)).scores["personas"]
    assert score.mean_group_distance < 1e-4
    assert score.between_ratio == pytest.approx(1, abs=0.1)
    assert np.isnan(score.normalised)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("survey.json", '"sex", "groups"', '"hat", "groups"', r"by 'hat', which no persona has"),
        ("survey.json", '"yes", "no"', '"yes"', r"at 'items.bus.answers'"),
        (
            "survey.json",
            '"groups": {"f": ["woman"], "m": ["man"]}',
            '"edges": [1]',
            r"needs either",
        ),
        ("shares.csv", "bus,all,all,1", "bus,all,all,7", r"response '7' of item 'bus'"),
        ("shares.csv", "90,0.5", "90,half", r"'half' is not a number, in row 1 of .*shares.csv"),
        ("shares.csv", "45,0.8", "45,0.9", r"do not add up to 1"),
        ("shares.csv", "all,all", "sex,f", r"no shares of everybody for item 'bus'"),
        ("shares.csv", "share\n", "part\n", r"lacks the columns \['share'\]"),
    ],
)
def test_refused_surveys(own, file, old, new, message):
    text = (own / file).read_text().replace(old, new)
    if new == "sex,f":
        text = "\n".join(
            line
            for line in text.split("\n")
            if "sex,m" not in line and "5,0.8" not in line and "5,0.2" not in line
        )
    (own / file).write_text(text)
    with pytest.raises(DataError, match=message):
        load_survey(own)


def test_unreadable_surveys(own):
    (own / "shares.csv").write_bytes(b"item,by\n\xe9,1\n")
    with pytest.raises(DataError, match=r"is not UTF-8"):
        load_survey(own)
    with pytest.raises(DataError, match=r"cannot read survey"):
        load_survey(own / "absent")


def test_the_packaged_survey_is_what_its_script_makes(tmp_path):
    source = Path("/work/shared/data")
    if not (source / "gss_items.json").exists():
        pytest.skip("the source figures are not on this machine")
    build(source, tmp_path)
    for name in ("survey.json", "shares.csv", "coefficients.csv"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()
    shutil.rmtree(tmp_path)
