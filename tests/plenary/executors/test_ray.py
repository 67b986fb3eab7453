"""The assembly on a Ray cluster of several nodes, also when a node and a worker are lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from support.chores import refusing, squared
from support.work import HoldSlowly, hold

from assembly.deliberation.shards import Agenda, RemoteRunner, ShardResult
from evaluation.elicitation.answer_table import AnswerTable
from evaluation.elicitation.design import all_pairs
from plenary.commands.elicit_parts import gather
from plenary.errors import DataError
from plenary.executors.base import HERE, mapped
from plenary.executors.ray import OnRay
from plenary.outcomes import Outcome
from plenary.runs.config import load_config

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'plenary[ray]'")
cluster_utils = pytest.importorskip("ray.cluster_utils")
pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[cluster_utils.Cluster]:
    """A head without cores and two nodes with one core each, so that every task is on a node."""
    root = Path(__file__).parents[3]
    # At Ray's niceness of 15 a busy machine starves the workers.
    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setenv("PYTHONPATH", f"{root}{os.pathsep}{root / 'tests'}")
    small = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    made = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    made.nodes = [made.add_node(num_cpus=1, object_store_memory=80 * 2**20) for _ in range(2)]
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made
    ray.shutdown()
    made.shutdown()


def test_tasks_on_ray_are_those_of_one_process(cluster) -> None:
    assert mapped(OnRay(2), squared, range(9)) == [number**2 for number in range(9)]
    with pytest.raises(DataError, match="task 2 is spoilt; leave it out"):
        mapped(OnRay(2), refusing, range(4))


def test_the_ledger_is_that_of_one_process_with_a_node_and_a_worker_lost(cluster, tmp_path) -> None:
    alone = hold(tmp_path, None, "alone.sqlite")
    log = tmp_path / "log"

    async def disturb() -> None:
        """Kill the worker that asked first, then remove a node."""
        while not log.exists():
            await asyncio.sleep(0.01)
        os.kill(int(log.read_text().split()[0]), signal.SIGKILL)
        await asyncio.sleep(0.5)
        cluster.remove_node(cluster.nodes[0], allow_graceful=False)

    def elsewhere() -> RemoteRunner:
        async def every(agenda: Agenda, shards: Sequence) -> AsyncGenerator[ShardResult, None]:
            disturbed = asyncio.create_task(disturb())
            async with aclosing(OnRay(2).each(HoldSlowly(agenda, 0.05, log, None), shards)) as done:
                async for _, held in done:
                    yield held
            await disturbed

        return every

    started = time.monotonic()
    assert hold(tmp_path, elsewhere(), "spread.sqlite") == alone
    assert len(set(log.read_text().split())) >= 2
    assert time.monotonic() - started < 250


def test_parts_asked_on_ray_make_the_table_of_one_process(cluster, tmp_path) -> None:
    texts = [f"outcome number {k:02d} happens" for k in range(80)]
    world = {"utilities": dict(zip(texts, np.linspace(-2, 2, 80).tolist(), strict=True))}
    (tmp_path / "world.json").write_text(json.dumps(world))
    config = load_config(None, [f"model=planted:{tmp_path / 'world.json'}"])
    outcomes = tuple(Outcome(id=f"o{k}", text=text, topic="t") for k, text in enumerate(texts))
    alone, there = (
        gather(tmp_path / name, all_pairs(80), outcomes, config, {}, executor, 256)
        for name, executor in (("alone", HERE), ("ray", OnRay(2)))
    )
    assert (there.parts, there.calls) == (13, 2 * 3160) == (alone.parts, alone.calls)
    tables = [AnswerTable.read(found.table) for found in (alone, there)]
    assert tables[0].to_arrow().equals(tables[1].to_arrow())
