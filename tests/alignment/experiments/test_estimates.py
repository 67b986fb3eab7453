from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import numpy as np
import pytest

from alignment.experiments.control_table import ControlRow, control_table
from alignment.experiments.estimates import (
    Resampling,
    agreement_scores,
    compared,
    contrast,
    overlap,
)
from alignment.experiments.experiment import (
    Answered,
    ControlResult,
    ExperimentContext,
    answered,
    arm_result,
)
from evaluation.comparison.compare import ComparisonSettings
from evaluation.stats.intervals import node_weights
from plenary.models.base import ChatBackend, Choice, Conversation, Reply, Sampling
from plenary.models.planted import PlantedBackend, PlantedWorld
from plenary.preferences import Targets
from plenary.prompt_templates import PROMPT_TEMPLATES, question
from plenary.seeding import generator

PAIRS = np.array([(a, b) for a in range(12) for b in range(a)])
WORDINGS = tuple(
    f for f in PROMPT_TEMPLATES.values() if not f.trainable and f.after_reasoning is None
)


def resampling(replicates: int = 400) -> Resampling:
    return Resampling(node_weights(PAIRS, replicates, generator(0, "weights")), 0.95, 0)


def test_overlap_is_one_minus_total_variation() -> None:
    p, target = np.array([0.7, 0.0, 0.5, 1.0]), np.array([0.7, 1.0, 0.9, 0.6])
    by_hand = [
        1 - (abs(x - y) + abs((1 - x) - (1 - y))) / 2 for x, y in zip(p, target, strict=True)
    ]
    assert overlap(p, target) == pytest.approx(by_hand)
    # Nothing is higher than the target itself: being surer than the assembly costs.
    grid = np.linspace(0, 1, 101)
    assert grid[overlap(grid, np.full(101, 0.64)).argmax()] == pytest.approx(0.64)


def test_overlap_sees_the_shares_that_majorities_hide() -> None:
    target = generator(1, "target").uniform(0.55, 0.95, len(PAIRS))
    after = {"assembly": np.tile(target, (3, 1)), "sure": np.ones((3, len(PAIRS)))}
    before = np.full(len(PAIRS), 0.4)
    sides, shares = (
        compared(before, after, target, score, resampling(), "assembly")
        for score in (agreement_scores, overlap)
    )
    assert sides.behind["sure"].value == 0
    assert shares.behind["sure"].value == pytest.approx((1 - target).mean())
    assert shares.behind["sure"].low > 0


def test_contrast_counts_only_where_the_targets_differ() -> None:
    apart = np.zeros((2, len(PAIRS)), dtype=bool)
    apart[0, ::11], apart[1, 3::8] = True, True
    reference = np.ones((2, len(PAIRS)))
    scores = np.where(apart, 0.0, 1.0)
    scores[1, 3] = 1.0
    found = contrast("single_citizen", apart, scores, "assembly", reference, resampling())
    assert found.pairs == 7
    assert found.lead is not None
    assert found.lead.value == pytest.approx(13 / 14)
    assert 0 < found.lead.low < 13 / 14 < found.lead.high
    # The same answers everywhere are no lead, whatever happens on the other pairs.
    same = contrast("single_citizen", apart, reference, "assembly", reference, resampling())
    assert same.lead is not None
    assert (same.lead.value, same.lead.low, same.lead.high) == pytest.approx((0, 0, 0))


def test_contrast_without_pairs_says_nothing() -> None:
    none = np.zeros((2, len(PAIRS)), dtype=bool)
    scores = np.ones((2, len(PAIRS)))
    found = contrast("pre_deliberation", none, scores, "assembly", scores, resampling())
    assert (found.pairs, found.lead) == (0, None)
    single = none.copy()
    single[:, 0] = True  # most replicates miss the one pair
    assert contrast("x", single, scores, "assembly", scores, resampling()).lead is None


class Learner(ChatBackend):
    """Answers as `taught` in the wordings it was taught in, and as `untaught` in any other."""

    name = "learner"
    supports_seed = True
    exact_choice = True

    def __init__(
        self, taught: ChatBackend, untaught: ChatBackend, known: set[Conversation]
    ) -> None:
        self.taught, self.untaught, self.known = taught, untaught, known

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        raise NotImplementedError

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        found = []
        for asked in conversations:
            model = self.taught if asked in self.known else self.untaught
            found += await model.choose([asked], labels, samples=samples, seed=seed)
        return found


@pytest.fixture
def wide(lab: ExperimentContext) -> ExperimentContext:
    """Sixteen outcomes, all pairs held out, one wording trained on and two that are not."""
    texts = tuple(f"the town plants {k} trees" for k in range(10, 26))
    utility = np.linspace(-1, 1, len(texts))
    pairs = np.array([(a, b) for a in range(len(texts)) for b in range(a)])
    p = 1 / (1 + np.exp(-3 * (utility[pairs[:, 0]] - utility[pairs[:, 1]])))
    return dataclasses.replace(
        lab,
        evidence=dataclasses.replace(lab.evidence, texts=texts),
        held_out=Targets(pairs, p, np.ones(len(p))),
        wordings=(PROMPT_TEMPLATES["plain"], *WORDINGS),
        untouched=np.empty((0, 2), dtype=np.int64),
        comparison=ComparisonSettings(bootstrap=300),
    )


def planted(lab: ExperimentContext, sign: float, invalid: float = 0.0) -> PlantedBackend:
    values = sign * np.linspace(-1, 1, len(lab.texts))
    utilities = dict(zip(lab.texts, values.tolist(), strict=True))
    return PlantedBackend(PlantedWorld.model_validate({"utilities": utilities, "invalid": invalid}))


def told(lab: ExperimentContext, wordings: int) -> set[Conversation]:
    """All questions in the first `wordings` wordings."""
    return {
        question(wording, lab.texts[int(a)], lab.texts[int(b)])
        for wording in lab.wordings[:wordings]
        for pair in lab.held_out.pairs
        for a, b in (pair, pair[::-1])
    }


def judged(lab: ExperimentContext, learners: list[ChatBackend]) -> ControlRow:
    base = answered(planted(lab, -1.0), lab, None, 0)

    def result(seed: int, after: Answered) -> ControlResult:
        work = (1, 1, 1)
        return arm_result("assembly", seed, lab, base, after, None, work, time.monotonic())

    results = [
        result(seed, answered(model, lab, None, seed)) for seed, model in enumerate(learners)
    ]
    return control_table(results, lab.held_out, 1.0, lab.comparison, 0).row("assembly")


def test_a_model_that_learnt_the_content_keeps_the_gain_in_every_wording(
    wide: ExperimentContext,
) -> None:
    row = judged(wide, [planted(wide, 1.0)] * 2)
    assert row.gain.value == pytest.approx(1)
    assert row.wordings is not None
    assert (row.wordings.share, row.wordings.worst) == pytest.approx((1, 1))
    assert row.wordings.kept


@pytest.mark.parametrize("lost", [0.0, 0.9])
def test_a_model_that_learnt_the_wording_alone_fails(wide: ExperimentContext, lost: float) -> None:
    """Its gain in the trained wording is whole; elsewhere it is as before, or answers no more."""
    model = Learner(planted(wide, 1.0), planted(wide, -1.0, lost), told(wide, 1))
    row = judged(wide, [model] * 2)
    assert row.gain.value == pytest.approx(1)
    assert row.wordings is not None
    assert (row.wordings.share, row.wordings.worst) == pytest.approx((0, 0))
    assert not row.wordings.kept


def test_one_wording_without_the_gain_is_seen(wide: ExperimentContext) -> None:
    """Half on average is not more than half, and the worst wording is named apart."""
    model = Learner(planted(wide, 1.0), planted(wide, -1.0), told(wide, len(wide.wordings) - 1))
    row = judged(wide, [model])
    assert row.wordings is not None
    assert (row.wordings.share, row.wordings.worst) == pytest.approx((0.5, 0))
    assert not row.wordings.kept


def test_no_gain_is_no_share(wide: ExperimentContext) -> None:
    assert judged(wide, [planted(wide, -1.0)]).wordings is None
