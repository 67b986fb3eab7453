"""Stories and bare comparisons: linked, unlinked, and linked the wrong way round."""

from __future__ import annotations

import asyncio
import re

import numpy as np
import pytest
from scipy import stats
from support.choosers import Chooser, NullChooser

from evaluation.batteries.base import (
    BatteryMaterial,
    BatteryResult,
    BatterySettings,
    Measure,
    load_stimuli,
)
from evaluation.batteries.behaviour_link import (
    ContextStimuli,
    Linked,
    correlations,
    findings,
    link,
    measure,
)
from evaluation.batteries.utility_maximisation import split_pairs
from plenary.models.base import Conversation
from plenary.outcomes import Catalogue, Outcome
from plenary.seeding import generator

STORIES = load_stimuli(ContextStimuli, "behaviour_link").contexts
TOPICS = ("town", "sea", "wood")
MATERIAL = BatteryMaterial(
    Catalogue(
        tuple(
            Outcome(id=f"o{k}", text=f"Thing number {k:02d} happens", topic=TOPICS[k % 3])
            for k in range(48)
        )
    ),
    settings=BatterySettings(outcomes=40, bootstrap=200),
)
TRUE = np.random.default_rng(7).normal(0, 1, 48)


def worth(text: str) -> float:
    return float(TRUE[int(re.search(r"\d+", text).group())])


class Turned(Chooser):
    """In stories it chooses by what `turn` makes of its preference."""

    turn = -1.0

    def lead(self, conversation: Conversation) -> float:
        inside = any(conversation[-1].content.startswith(story.text) for story in STORIES)
        return super().lead(conversation) * (self.turn if inside else 1.0)


class Elsewhere(Turned):
    turn = 0.0


def asked(chooser: Chooser) -> tuple[BatteryResult, dict[str, Measure]]:
    found = asyncio.run(measure(chooser, MATERIAL, 1))
    return found, {m.name: m for m in found.measures}


def test_a_chooser_with_one_utility_is_linked_in_every_story_and_topic() -> None:
    found, values = asked(Chooser(worth, 0.7, bias=0.3))
    assert values["link over all stories"].value > 0.9
    assert values["share of topics with a positive link"].value == 1
    assert min(values[f"link, {story.name}"].value for story in STORIES) > 0.8
    assert found.findings[0].shown


@pytest.mark.parametrize("chooser", [Turned(worth), Elsewhere(worth), NullChooser(5)])
def test_no_link_is_shown_where_there_is_none(chooser: Chooser) -> None:
    found, _ = asked(chooser)
    assert not found.findings[0].shown


@pytest.mark.exhaustive
def test_false_findings_stay_within_the_nominal_rate() -> None:
    runs, shown = 200, 0
    for run in range(runs):
        rng = generator(run, "test", "behaviour")
        mu = rng.normal(0, 1, 48)
        _, pairs = split_pairs(48, 420, rng)
        of = Linked(pairs, mu[pairs[:, 0]] - mu[pairs[:, 1]], rng.uniform(0, 1, len(pairs)))
        shown += findings(link("all", of, rng, MATERIAL))[0].shown
    assert shown <= stats.binom.ppf(0.999, runs, 0.025)


def test_the_correlation_is_that_of_scipy() -> None:
    rng = generator(1, "test", "ranks")
    of = Linked(rng.integers(0, 9, (30, 2)), rng.normal(0, 1, 30), rng.uniform(0, 1, 30))
    expected = stats.spearmanr(of.lead, of.p).statistic
    assert correlations(of, np.ones((1, 30)))[0] == pytest.approx(expected)
