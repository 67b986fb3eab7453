"""The wording study on planted models."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from evaluation.consistency.wording_study import (
    TemplateAnswers,
    WordingStudy,
    ask_wordings,
    concordance,
    factor_effects,
    wording_study,
)
from evaluation.elicitation.elicit import ElicitationSettings
from plenary.models.planted import PlantedBackend, PlantedWorld
from plenary.preferences import Targets
from plenary.prompt_templates import PROMPT_TEMPLATES, plackett_burman

TEXTS = [f"the town plants {k} trees" for k in range(12)]
PAIRS = np.array([(a, b) for a in range(12) for b in range(a + 1, 12)])[::2]
SETTINGS = ElicitationSettings()
FORMS = tuple(PROMPT_TEMPLATES.values())


def answers(utilities: np.ndarray, forms=FORMS, **world: object) -> TemplateAnswers:
    planted = PlantedWorld(utilities=dict(zip(TEXTS, utilities.tolist(), strict=True)), **world)
    return asyncio.run(
        ask_wordings(PlantedBackend(planted), TEXTS, PAIRS, forms, ("plain",), SETTINGS, 1)
    )


def target(utilities: np.ndarray) -> Targets:
    u = utilities[PAIRS]
    return Targets(PAIRS, 1 / (1 + np.exp(u[:, 1] - u[:, 0])), np.ones(len(PAIRS)))


def budget(before: np.ndarray, after: np.ndarray, **world: object) -> WordingStudy:
    sides = {"before": answers(before, **world), "after": answers(after, **world)}
    return wording_study(sides, PAIRS, target(after), 3)


RNG = np.random.default_rng(5)
OLD, NEW = RNG.standard_normal(12), RNG.standard_normal(12)


def test_a_utility_maximiser_is_all_outcome_in_every_wording() -> None:
    found = budget(OLD, NEW)
    assert found.note == ""
    assert set(found.used) == set(PROMPT_TEMPLATES)
    side = found.sides["after"]
    assert side.shares["outcome"] > 0.6
    assert side.shares["position"] + side.shares["template"] < 0.1
    assert side.icc.value > 0.6
    assert side.concordance > 0.9
    assert len(side.factors) == 11
    assert found.gain is not None
    assert found.gain.low > 0
    assert sum(side.shares.values()) == pytest.approx(1)


def test_a_chooser_by_slot_has_no_outcome_share() -> None:
    side = budget(np.zeros(12), np.zeros(12), order_bias=2.0).sides["before"]
    assert side.shares["position"] > 0.9
    assert side.position.value == 1.0
    assert not side.named


def test_a_model_that_did_not_change_gained_nothing() -> None:
    found = budget(OLD, OLD)
    assert found.gain is not None
    assert found.gain.value == 0.0


def test_outcomes_that_rose_did_so_in_every_wording() -> None:
    raised = OLD + 3 * (np.arange(12) == 4)
    found = budget(OLD, raised)
    assert found.rises[4] == (12, 0)
    assert len(found.used) == 12


def test_wordings_that_are_not_answered_are_listed_and_left_out() -> None:
    whole = answers(OLD, FORMS[:3])
    silent = answers(OLD, FORMS[:4], invalid=0.999, exact=False)
    assert [bool(row.excluded) for row in silent.rows] == [True] * 4
    lost = silent.rows[3]
    part = whole._replace(rows=(*whole.rows, lost), invalid=silent.invalid)
    found = wording_study({"before": part, "after": part}, PAIRS, target(NEW), 3)
    assert found.wordings["before"][-1].excluded
    assert found.used == ("plain", "pb-01", "pb-02")
    assert found.sides["before"].factors == ()
    assert found.invalid > 0


class SomeMass(PlantedBackend):
    """Gives two of the pairs of every question too little answer mass."""

    async def choose(self, conversations, labels, *, samples=1, seed=0):
        choices = await super().choose(conversations, labels, samples=samples, seed=seed)
        texts = [c[-1].content for c in conversations]
        few = ["plants 0 trees" in t and "plants 11 trees" in t for t in texts]
        return [replace(c, mass=0.01) if low else c for c, low in zip(choices, few, strict=True)]


def test_answers_without_mass_do_not_count_in_a_wording_that_is_answered() -> None:
    utilities = dict(zip(TEXTS, OLD.tolist(), strict=True))
    model = SomeMass(PlantedWorld(utilities=utilities))
    pairs = np.unique(np.vstack([PAIRS, [(0, 11)]]), axis=0)
    asking = ask_wordings(model, TEXTS, pairs, FORMS[:3], (), SETTINGS, 1)
    found = wording_study({"model": asyncio.run(asking)}, pairs, None, 3)
    assert len(found.used) == 3
    assert set(found.pairs) == {(int(a), int(b)) for a, b in pairs} - {(0, 11)}
    assert found.gain is None
    assert found.rises == {}


def test_one_wording_is_no_budget() -> None:
    sides = {name: answers(OLD, FORMS[:1]) for name in ("before", "after")}
    found = wording_study(sides, PAIRS, target(NEW), 3)
    assert found.sides == {}
    assert "1 wordings are answered" in found.note
    assert WordingStudy.model_validate_json(found.model_dump_json()) == found


def test_concordance_of_known_rankings() -> None:
    ranks = np.arange(6.0)
    assert concordance(np.stack([ranks, ranks, ranks], axis=1)) == pytest.approx(1)
    assert concordance(np.stack([ranks, -ranks], axis=1)) == pytest.approx(0)


def test_a_planted_factor_is_found_and_no_other() -> None:
    names, factor = list(PROMPT_TEMPLATES), 2
    slot = np.tile(2.0 * plackett_burman()[:, factor], (4, 1))
    assert factor_effects(np.zeros((4, 11)), slot[:, :11], names[:11]) == ()
    effects = [row.slot for row in factor_effects(np.ones((4, 12)), slot, names)]
    assert effects == pytest.approx([2.0 if k == factor else 0.0 for k in range(11)])
