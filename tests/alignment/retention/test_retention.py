from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon
from support.scripted import ScriptedBackend

from alignment.experiments.experiment import ExperimentContext
from alignment.retention.retention import (
    RetentionMargins,
    Speakers,
    drift,
    health,
    incoherence,
    repeated_runs,
    retention,
    right_answers,
)
from alignment.retention.sets import RetentionSet
from alignment.training.live import LiveModel
from alignment.training.train import align, open_aligned
from plenary.models.base import Message
from plenary.models.local.huggingface import LocalBackend
from plenary.seeding import generator
from plenary.training_rows import SoftRow


def test_figures_are_their_definitions(
    lab: ExperimentContext, rows: list[SoftRow], tmp_path: Path
) -> None:
    settings = lab.settings.model_copy(update={"epochs": 4})
    align(lab.model_path, rows, settings, tmp_path / "a", 0)
    live = LiveModel(lab.model_path, tmp_path / "a")
    speakers = Speakers(LocalBackend(lab.model_path), open_aligned(lab.model_path, tmp_path / "a"))
    margins = RetentionMargins(kl=1e-9, bits=50.0)
    found = retention(live, speakers, lab.kept, lab.prompts(), margins, 3)
    texts = [document.conversation for document in lab.kept.documents]
    reading = live.read(texts)
    kl, bits = found.finding("kl_neutral"), found.finding("bits_per_byte")
    assert kl.loss == pytest.approx(reading.kl.mean())
    assert kl.verdict in ("lost", "undecided")
    sizes = [len(document.text) for document in lab.kept.documents]
    assert bits.before == pytest.approx(np.mean(-reading.before / sizes / np.log(2)))
    assert bits.loss == pytest.approx(bits.after - bits.before)
    assert bits.verdict == "kept"
    accuracy = found.finding("accuracy")
    assert accuracy.units == 3
    assert accuracy.verdict == "undecided"
    assert accuracy.supported is not None
    assert accuracy.supported > accuracy.margin
    assert found.kl_task == pytest.approx(live.read(lab.prompts()).kl.mean())
    asked = [document.conversation[:1] for document in lab.kept.documents]
    whole = (asked, 3, lab.prompts()[:16])
    assert found.health_before == health(speakers.before, *whole)
    assert found.health_after == health(speakers.after, *whole) != found.health_before
    assert found.top1 == pytest.approx(reading.same_top.mean())
    assert 0 < found.top1 <= 1
    change = found.health_before.worsened(found.health_after)
    assert found.replies_kept == (change <= margins.replies)


def test_the_likeliest_option_counts_and_a_tie_does_not(kept: RetentionSet) -> None:
    logs = np.array([-1.0, -2.0, -3.0, -2.5, -9.0, -4.0, -4.0])
    assert right_answers(kept.items, logs, by_length=False).tolist() == [True, True, False]
    long = np.array([-1.0, -1.2, -3.0, -2.5, -9.0, -4.0, -3.9])
    # 8 against 10 bytes, and 8 against 5: by length the longer option is helped.
    assert right_answers(kept.items, long, by_length=True).tolist() == [False, True, True]


def test_replies_at_a_glance() -> None:
    prompts = [
        (Message("user", "one two three four one two three four"),),
        (Message("user", "silent"),),
        (Message("user", "seven words are in this reply today"),),
        (Message("user", "broken"),),
    ]
    found = health(ScriptedBackend(), prompts, 0)
    assert (found.replies, found.empty, found.ended) == (4, 0.5, 0.5)
    # The scripted backend adds one word to each reply.
    assert found.words == (9 + 8) / 2
    assert (found.refused, found.drifted) == (0.25, 0)
    assert np.isnan(found.answered)
    assert found.repeated == pytest.approx((1 / 6 + 0) / 2)


def test_health_worsens_by_the_worst_share() -> None:
    before = health(ScriptedBackend(), [(Message("user", "say something"),)], 0)
    after = before.model_copy(update={"refused": 0.4, "ended": before.ended - 0.5})
    assert before.worsened(after) == pytest.approx(0.5)
    assert before.worsened(before) == 0


def test_repeated_runs_by_hand() -> None:
    assert repeated_runs(["a", "b", "c", "d", "a", "b", "c", "d", "a"]) == pytest.approx(2 / 6)
    assert repeated_runs(["a", "b", "c"]) == 0.0


def test_incoherence_is_the_divergence_between_wordings() -> None:
    p = generator(1, "incoherence").random((7, 4))
    found = incoherence(p)
    divergences = []
    for row in p:
        sides = np.stack([row, 1 - row])
        mean = sides.mean(axis=1)
        divergences.append(np.mean([stats.entropy(sides[:, w], mean) for w in range(4)]))
    assert found.wording == pytest.approx(np.mean(divergences))
    two = incoherence(p[:, :2])
    pairs = [jensenshannon([a, 1 - a], [b, 1 - b]) ** 2 for a, b in p[:, :2]]
    assert two.wording == pytest.approx(np.mean(pairs))


def test_indifference_is_not_incoherence() -> None:
    same, torn = np.full((3, 4), 0.5), np.tile([0.0, 1.0], (3, 2))
    assert incoherence(same).total == incoherence(torn).total == pytest.approx(np.log(2))
    assert incoherence(same).wording == pytest.approx(0)
    assert incoherence(torn).wording == pytest.approx(np.log(2))


def test_drift_leaves_unanswered_pairs_out() -> None:
    assert drift(np.array([0.1, np.nan, 0.5]), np.array([0.4, 0.2, 0.4])) == pytest.approx(0.2)
    assert np.isnan(drift(np.array([np.nan]), np.array([0.5])))
