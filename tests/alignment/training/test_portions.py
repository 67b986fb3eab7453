from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.traced_training import trace

from alignment.training.batches import spread, steps_of
from alignment.training.launch import AlignmentJob, write_job
from alignment.training.settings import AlignmentSettings
from plenary.models.base import Conversation
from plenary.training_rows import SoftRow

Maker = Callable[[str], Path]
MakeJob = Callable[..., AlignmentJob]
# Thirty rows in steps of 8, 8, 8 and 6; two passes.
SETTINGS = AlignmentSettings(
    batch=8, epochs=2, replay_rows=3, rest_weight=0.3, learning_rate=1e-12, warmup=0, rank=4
)
SCRIPT = Path(__file__).parents[2] / "support" / "traced_training.py"


@pytest.fixture
def make_job(
    checkpoint: Maker,
    rows: list[SoftRow],
    replay: list[Conversation],
    tmp_path: Path,
) -> MakeJob:
    def make(name: str, base: str = "llama", **changes: object) -> AlignmentJob:
        settings = SETTINGS.model_copy(update=changes)
        path, output = tmp_path / f"{name}.json", tmp_path / name
        return write_job(path, checkpoint(base), rows, settings, output, 3, replay)

    return make


def _assert_same_vectors(found: np.ndarray, wanted: np.ndarray) -> None:
    """Every step's gradient, as a vector, to 1e-5 of its length."""
    assert found.shape == wanted.shape
    lengths = np.linalg.norm(wanted, axis=1)
    assert (lengths > 1e-3).all()
    assert (np.linalg.norm(found - wanted, axis=1) / lengths).max() < 1e-5


@pytest.mark.parametrize("micro_batch", [1, 3, 4, 5, 7, 100])
@pytest.mark.parametrize("objective", ["soft_sft", "dpo"])
def test_gradients_are_the_same_whatever_the_micro_batch(
    make_job: MakeJob, micro_batch: int, objective: str
) -> None:
    wanted, told = trace(make_job("whole", objective=objective))
    found, steps = trace(make_job("parts", objective=objective, micro_batch=micro_batch))
    assert len(steps) == 8
    _assert_same_vectors(found, wanted)
    for one, other in zip(steps, told, strict=True):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("base", ["gemma2", "gpt2"])
def test_labels_and_texts_of_other_lengths_have_the_same_share(
    make_job: MakeJob, base: str
) -> None:
    wanted, _ = trace(make_job("whole", base))
    found, _ = trace(make_job("parts", base, micro_batch=3))
    _assert_same_vectors(found, wanted)


def test_a_replay_row_is_paid_for_once(make_job: MakeJob) -> None:
    """Micro-batches must not draw and weigh the step's replay rows anew."""
    _, told = trace(make_job("whole"))
    _, steps = trace(make_job("parts", micro_batch=1))
    assert [s.replay_kl for s in steps] == pytest.approx([s.replay_kl for s in told], rel=1e-4)
    assert min(step.replay_kl for step in steps) > 1e-3


@pytest.mark.exhaustive
def test_gradients_are_the_same_in_two_processes(make_job: MakeJob, tmp_path: Path) -> None:
    """DDP over gloo; three rows for two processes leave one of them without a row."""
    changes: dict[str, dict[str, object]] = {
        "halves": {},
        "parts": {"micro_batch": 3},
        "ones": {"micro_batch": 1, "objective": "dpo"},
        "few": {"batch": 9, "micro_batch": 2, "replay_rows": 1},
        "alone": {"batch": 1, "replay_weight": 0.0, "epochs": 0.2},
    }
    for name, change in changes.items():
        make_job(name, **change)
    root = str(Path(__file__).parents[3])
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
        str(SCRIPT), *(str(tmp_path / f"{name}.json") for name in changes),
    ]  # fmt: skip
    env = os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    # Under load gloo may give up the connection before it begins; then it is made anew.
    for _ in range(3):
        answer = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        if answer.returncode == 0 or "gloo/transport" not in answer.stderr:
            break
    assert answer.returncode == 0, answer.stderr[-3000:]
    for name, change in changes.items():
        wanted, _ = trace(make_job("whole", **(change | {"micro_batch": None})))
        _assert_same_vectors(np.load(tmp_path / f"{name}.json.npy"), wanted)


def test_parts_hold_every_item_once_in_order() -> None:
    for count in range(12):
        for parts in range(1, 8):
            found = spread(list(range(count)), parts)
            assert [k for part in found for k in part] == list(range(count))
            assert max(map(len, found)) - min(map(len, found)) <= 1


def test_steps_count_the_short_last_batch() -> None:
    assert steps_of(SETTINGS, 30) == 8
    assert steps_of(SETTINGS.model_copy(update={"epochs": 0.3}), 30) == 2
    assert steps_of(SETTINGS.model_copy(update={"epochs": 0.01}), 30) == 1
