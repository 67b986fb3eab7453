from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType
from safetensors.numpy import load_file

from alignment.training.adapter import WEIGHTS, check_adapter
from alignment.training.launch import AlignmentJob, run_job, write_job
from alignment.training.settings import AlignmentSettings
from plenary.errors import DataError
from plenary.models.base import Conversation
from plenary.outcomes import configs_folder
from plenary.training_rows import SoftRow

Maker = Callable[[str], Path]
SETTINGS = AlignmentSettings(batch=10, epochs=2, replay_rows=2)


@pytest.mark.parametrize(
    ("name", "kind"), [("ddp", DistributedType.MULTI_GPU), ("fsdp", DistributedType.FSDP)]
)
def test_shipped_configs_are_read_by_accelerate(name: str, kind: DistributedType) -> None:
    config = load_config_from_file(str(configs_folder() / "accelerate" / f"{name}.yaml"))
    assert config.distributed_type == kind
    assert config.num_processes == 2
    assert not config.use_cpu
    if name == "fsdp":
        assert config.fsdp_config["fsdp_state_dict_type"] == "FULL_STATE_DICT"


def test_a_job_holds_what_align_is_called_with(
    rows: list[SoftRow], replay: list[Conversation], tmp_path: Path
) -> None:
    path = tmp_path / "job.json"
    write_job(path, tmp_path, rows, SETTINGS, tmp_path / "a", 3, replay)
    job = AlignmentJob.model_validate_json(path.read_text())
    assert (job.settings, list(job.rows), list(job.replay)) == (SETTINGS, rows, replay)
    with pytest.raises(DataError, match=r"missing\.json"):
        run_job(tmp_path / "missing.json")


@pytest.mark.exhaustive
def test_two_processes_train_as_one_does(
    checkpoint: Maker,
    rows: list[SoftRow],
    replay: list[Conversation],
    tmp_path: Path,
) -> None:
    """DDP over gloo: the step is the mean over both processes' rows, so only their order differs.

    All 30 rows are one batch, and so the gradient of each step is that of one process.
    """
    base = checkpoint("qwen2")
    settings = SETTINGS.model_copy(update={"batch": 30, "epochs": 4})
    for name in ("one", "two"):
        job = tmp_path / f"{name}.json"
        write_job(job, base, rows, settings, tmp_path / name, 0, replay)
    run_job(tmp_path / "one.json")
    root = str(Path(__file__).parents[3])
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
        "-m", "alignment.training.launch", str(tmp_path / "two.json"),
    ]  # fmt: skip
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"PYTHONPATH": path}
    # Under load gloo may give up the connection before it begins; then it is made anew.
    for _ in range(3):
        answer = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        if answer.returncode == 0 or "gloo/transport" not in answer.stderr:
            break
    assert answer.returncode == 0, answer.stderr[-3000:]
    check_adapter(tmp_path / "two", base)
    one, two = (load_file(tmp_path / name / WEIGHTS) for name in ("one", "two"))
    for name, weights in one.items():
        np.testing.assert_allclose(two[name], weights, atol=1e-3, err_msg=name)
    assert not list(tmp_path.glob("*.training"))
