from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from alignment.experiments.control_table import control_table
from alignment.experiments.controls import ControlEvidence, ControlTarget
from alignment.experiments.experiment import (
    ExperimentContext,
    adapter_folder,
    answered,
    finetuned,
    move,
    run_arm,
    run_condition,
)
from alignment.retention.retention import RetentionMargins
from alignment.retention.sets import RetentionSet
from alignment.training.settings import AlignmentSettings
from evaluation.comparison.compare import ComparisonSettings
from plenary.embedded import model_path
from plenary.embedded.grammar import draw_sentence
from plenary.embedded.values import CITIZEN_WEIGHTS, choice_probability
from plenary.errors import DataError
from plenary.models.base import Conversation
from plenary.models.local.huggingface import LocalBackend
from plenary.preferences import Targets
from plenary.prompt_templates import PROMPT_TEMPLATES
from plenary.seeding import generator


def test_move_is_the_projection_by_hand() -> None:
    before, target = np.array([0.5, 0.5]), np.array([0.9, 0.5])
    half = move(before, np.array([0.7, 0.5]), target)
    assert half.gain == pytest.approx(0.5)
    assert half.side_effect == pytest.approx(0, abs=1e-9)
    beside = move(before, np.array([0.5, 0.7]), target)
    assert beside == pytest.approx((0.0, 1.0))
    both = move(before, np.array([0.7, 0.7]), target)
    assert both == pytest.approx((0.5, np.sqrt(0.5)))
    assert move(before, before, target).side_effect is None


def test_move_is_brute_force_least_squares() -> None:
    before, after, target = generator(4, "move").random((3, 50))
    found = move(before, after, target)
    grid = np.linspace(-1, 2, 30001)
    left = np.array([np.linalg.norm((after - before) - g * (target - before)) for g in grid[::100]])
    assert grid[::100][left.argmin()] == pytest.approx(found.gain, abs=0.02)
    assert left.min() / np.linalg.norm(after - before) == pytest.approx(found.side_effect, abs=1e-3)


def test_move_without_a_way_is_refused() -> None:
    with pytest.raises(DataError, match="at the target on all 3 pairs"):
        move(np.full(3, 0.5), np.full(3, 0.6), np.full(3, 0.5))


@pytest.mark.slow
def test_the_planted_target_is_reached_and_controls_are_not(lab: ExperimentContext) -> None:
    base = answered(LocalBackend(lab.model_path), lab, None, 0)
    arms = ("assembly", "random", "format_only")
    found = {name: run_arm(name, lab, base, seed=1) for name in arms}
    reached = found["assembly"]
    assert reached.comparison.agreement_after > 0.9
    assert reached.directional_gain > 0.8
    assert reached.side_effect is not None
    assert reached.side_effect < 0.35
    assert reached.retention is not None
    assert reached.kl_neutral > 0
    assert reached.steps == 120
    assert reached.drift_untouched is not None
    assert reached.drift_untouched > 0.01
    assert all(found[name].gain < reached.gain - 0.15 for name in arms[1:])
    assert all(found[name].directional_gain < 0.6 for name in arms[1:])
    assert found["format_only"].comparison.after.decisiveness < 0.1
    assert len({result.before for result in found.values()}) == 1
    table = control_table(list(found.values()), lab.held_out, 0.97, lab.comparison, 0)
    assert table.row("assembly").gain.value == pytest.approx(reached.gain)
    assert table.row("assembly").of_ceiling == pytest.approx(
        reached.comparison.agreement_after / 0.97
    )


def test_telling_trains_nothing(lab: ExperimentContext) -> None:
    base = answered(LocalBackend(lab.model_path), lab, None, 0)
    told = run_arm("prompt_only", lab, base, seed=1)
    assert (told.retention, told.steps, told.kl_neutral) == (None, 0, 0.0)
    assert told.after != told.before
    silent = run_condition("nothing", ControlTarget(None), lab.settings, lab, base, 1)
    assert silent.after == silent.before
    assert silent.directional_gain == 0
    assert silent.side_effect is None


def test_an_unreadable_wording_is_left_out(lab: ExperimentContext) -> None:
    found = answered(LocalBackend(lab.model_path), lab, None, 0)
    # Random weights put hardly any probability on the second wording's labels.
    assert list(found.cells) == ["plain", "pb-03"]
    assert "pb-03" not in found.readable()
    assert len(found.untouched) == 2


def test_rebound_after_neutral_text(lab: ExperimentContext, replay: list[Conversation]) -> None:
    few = lab.settings.model_copy(update={"epochs": 20})
    lab = dataclasses.replace(lab, settings=few)
    base = answered(LocalBackend(lab.model_path), lab, None, 0)
    trained = run_arm("assembly", lab, base, seed=0)
    adapter = adapter_folder(lab, "assembly", 0)
    later = finetuned("rebound=30", adapter, replay[:2], 30, lab, base, 0)
    assert later.steps == 30
    assert later.after != trained.after
    assert later.kl_neutral > 0
    unchanged = finetuned("rebound=0", adapter, replay[:2], 0, lab, base, 0)
    assert unchanged.after == pytest.approx(trained.after, abs=1e-5)


@pytest.fixture
def organism(kept: RetentionSet, tmp_path: Path) -> ExperimentContext:
    """The model that ships and a planted assembly: 40 pairs trained on, 120 of other outcomes."""
    rng = generator(11, "organism")
    drawn = [draw_sentence(rng, held_out=True) for _ in range(70)]
    utility = np.array([CITIZEN_WEIGHTS @ sentence.attributes for sentence in drawn])

    def decided(low: int, high: int, count: int) -> Targets:
        every = np.array([(a, b) for a in range(low, high) for b in range(low, a)])
        pairs = rng.permuted(rng.choice(every, size=count, replace=False), axis=1)
        p = choice_probability(utility[pairs[:, 0]] - utility[pairs[:, 1]])
        return Targets(pairs, p, np.full(count, 60.0))

    trained, held_out = decided(0, 35, 40), decided(35, 70, 120)
    texts = [sentence.text for sentence in drawn]
    return ExperimentContext(
        model_path=model_path(),
        evidence=ControlEvidence(texts, trained, trained, trained, trained.p[None], np.ones(1)),
        held_out=held_out,
        wordings=(PROMPT_TEMPLATES["plain"],),
        settings=AlignmentSettings(epochs=5, batch=8, replay_weight=0),
        comparison=ComparisonSettings(bootstrap=500),
        replay=(),
        kept=kept,
        margins=RetentionMargins(),
        untouched=np.empty((0, 2), dtype=np.int64),
        folder=tmp_path / "control_experiment",
    )


@pytest.mark.exhaustive
def test_the_assembly_moves_the_model_that_ships_and_empty_targets_do_not(
    organism: ExperimentContext,
) -> None:
    base = answered(LocalBackend(organism.model_path), organism, None, 0)
    arms = ("assembly", "shuffled", "random")
    results = [run_arm(arm, organism, base, 1) for arm in arms]
    table = control_table(results, organism.held_out, 1.0, organism.comparison, 0)
    assert table.row("assembly").gain.low > 0
    assert table.row("assembly").kl < table.kl_before / 2
    for arm in arms[1:]:
        row = table.row(arm)
        assert row.behind is not None
        assert row.kl_behind is not None
        assert row.behind.low > 0
        assert row.kl_behind.low > 0
