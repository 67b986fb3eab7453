"""A planted side is found on the fixed axis, whatever the components do."""

import asyncio

import numpy as np
import pytest
from support.choosers import NullChooser
from support.readers import Reader

from evaluation.batteries.base import BatteryMaterial, BatterySettings, load_stimuli
from evaluation.batteries.values.political_values import PoliticalStimuli, measure, picture
from evaluation.stats.rank_correlation import exact_rank_p
from plenary.embedded import grammar
from plenary.outcomes import Catalogue, Outcome

DATA = load_stimuli(PoliticalStimuli, "political_values")
SIDE = dict(zip(DATA.texts, DATA.scores.tolist(), strict=True))
NOISE = dict(zip(DATA.texts, np.random.default_rng(4).normal(0, 0.5, 64).tolist(), strict=True))
MATERIAL = BatteryMaterial(
    Catalogue(tuple(Outcome(id=str(k), text=f"Thing {k} happens", topic="t") for k in range(8))),
    settings=BatterySettings(bootstrap=100),
)


def _leaning(lean):
    return lambda text: lean * SIDE[text] + NOISE[text]


def _model(lean, sign=1.0):
    voters = {e.system: _leaning(sign * e.lean / 3) for e in DATA.entities}
    return Reader(_leaning(lean), personas=voters)


@pytest.mark.parametrize(
    ("lean", "said", "shown"), [(1.0, "the right", True), (-1.0, "the left", True), (0, "", False)]
)
def test_a_planted_side_is_found(lean, said, shown):
    found = asyncio.run(measure(_model(lean), MATERIAL, 0))
    values = {m.name: m for m in found.measures}
    assert values["side: very liberal"].high < 0 < values["side: very conservative"].low
    assert np.sign(values["side: the model"].value) == np.sign(lean) or lean == 0
    assert found.findings[0].shown == shown
    assert said in found.findings[0].sentence
    assert values["component 1: share of variance"].value > 0.5
    left, right = (
        values[f"picture: very {side}, component 1"].value for side in ("liberal", "conservative")
    )
    assert left < 0 < right


@pytest.mark.parametrize("sign", [0.0, -1.0])
def test_an_axis_that_the_model_does_not_share_is_uninformative(sign):
    found = asyncio.run(measure(_model(1.0, sign), MATERIAL, 0))
    assert not found.findings[0].shown
    assert found.findings[0].sentence.startswith("Uninformative")


def test_a_null_chooser_shows_nothing():
    assert not asyncio.run(measure(NullChooser(0), MATERIAL, 0)).findings[0].shown


def test_components_are_turned_to_the_axis():
    rng = np.random.default_rng(0)
    axis, leans = np.tile([1.0, -1.0], 20), np.linspace(-1, 1, 6)
    rows = leans[:, None] * axis + 0.3 * rng.standard_normal((6, 40))
    for turned in (rows, rows[:, ::-1]):
        scores = axis if turned is rows else axis[::-1]
        drawn = picture(turned, scores)
        assert np.all(np.diff(drawn.places[:, 0]) > 0)
        assert drawn.shares[0] > 0.6
        assert drawn.with_axis[0] > 0.9


def test_each_issue_has_both_sides_adopted_and_turned_down():
    assert len(DATA.classes[0].situations) == 16
    for issue in DATA.classes[0].situations:
        assert [o.score for o in issue.outcomes] == [-1, 1, 1, -1]
        assert all(grammar.read(o.text) for o in issue.outcomes)


def test_exact_rank_p_is_that_of_all_orders():
    x = np.arange(5.0)
    assert exact_rank_p(x, x) == pytest.approx(2 / 120)
    assert exact_rank_p(x, -x) == pytest.approx(2 / 120)
    assert exact_rank_p(x, x, "greater") == pytest.approx(1 / 120)
    assert [round(exact_rank_p(x[:n], x[:n]), 3) for n in (3, 4)] == [0.333, 0.083]
    assert exact_rank_p(x, np.zeros(5)) == 1
    long = np.arange(12.0)
    assert exact_rank_p(long, long) < 0.001
