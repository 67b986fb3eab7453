"""Workers leave the ledger that one process leaves, also when they are killed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from support.work import TEXTS, by, hold

from assembly.record.ledger import Content, Ledger
from evaluation.utility.bootstrap import edge_bootstrap
from evaluation.utility.thurstonian import fit
from plenary.errors import BudgetExceeded, ConfigError
from plenary.executors.base import Executor, Here, mapped
from plenary.executors.processes import Processes
from plenary.models.base import Message, Sampling
from plenary.pipeline.assembly import ASSEMBLY_STAGES
from plenary.pipeline.run import run_stages
from plenary.preferences import ComparisonCounts
from plenary.runs import filenames
from plenary.runs.config import BudgetSettings, PipelineConfig, load_config
from plenary.runs.directory import new_manifest, open_run
from plenary.runs.models import open_model, open_plain
from plenary.runs.progress import NullWatcher
from plenary.runs.records.assembly import AssemblyRecord
from plenary.runs.records.base import read_record
from plenary.runs.workers import (
    AskBlock,
    DistributedBackend,
    config_of_worker,
    make_executor,
    share_of_budget,
)
from plenary.runs.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """The ledger of one process."""
    return hold(tmp_path_factory.mktemp("alone"), None)


@pytest.mark.parametrize("kill_after", [7, pytest.param(0, marks=pytest.mark.slow)])
def test_processes_leave_the_ledger_of_one_process(tmp_path, alone, kill_after) -> None:
    path = tmp_path / "ledger.sqlite"
    found = hold(tmp_path, by(Processes(2), tmp_path / "log", path, kill_after))
    assert found == alone
    assert len(set((tmp_path / "log").read_text().split())) >= 1 + (kill_after > 0)


def test_ledgers_of_workers_are_merged_once(tmp_path, alone) -> None:
    found = hold(tmp_path, by(Here(), tmp_path / "log", None))
    assert found == alone
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.merge(alone)
        assert ledger.content() == alone
        turns = ("votes", "declarations", "statements", "plenary")
        assert ledger.timing().turns == sum(len(alone[table]) for table in turns)


def test_what_was_begun_is_carried_on_where_its_calls_are(tmp_path, alone) -> None:
    """Every shard misses votes, so no worker is asked."""
    begun = {**alone, "votes": [v for v in alone["votes"] if not (v[0] < 4 and v[2] == 1)]}
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.merge(begun)
    assert hold(tmp_path, by(Here(), tmp_path / "log", None)) == alone
    assert not (tmp_path / "log").exists()


def planted_config(folder: Path, *more: str) -> PipelineConfig:
    texts = [f"the town plants {k} trees" for k in range(24)]
    world = {"utilities": dict(zip(texts, np.linspace(-2, 2, 24), strict=True)), "swing": 0.3}
    (folder / "world.json").write_text(json.dumps(world))
    rows = [f"o{k},{text},town" for k, text in enumerate(texts)]
    (folder / "outcomes.csv").write_text("\n".join(["id,text,topic", *rows]))
    spec = f"planted:{folder / 'world.json'}"
    return load_config(
        None,
        [
            f"outcomes.path={folder / 'outcomes.csv'}", "outcomes.count=24", "panel.citizens=14",
            "design.train_pairs=30", "design.held_out_pairs=20", f"model={spec}",
            f"citizens_model={spec}", *more,
        ],
    )  # fmt: skip


def convened(config: PipelineConfig, root: Path, executor: Executor) -> tuple[Workspace, Content]:
    stages = ASSEMBLY_STAGES[:5]
    assert stages[-1].name == "convene"
    space = run_stages(config, root, "resume", stages, NullWatcher(), executor)
    with Ledger(space.file(filenames.LEDGER)) as ledger:
        return space, ledger.content()


@pytest.mark.slow
def test_a_run_by_processes_is_the_run_of_one(tmp_path: Path) -> None:
    config = planted_config(tmp_path, "budget.calls=4000")
    (one, alone), (two, found) = (
        convened(config, tmp_path / name, executor)
        for name, executor in (("one", Here()), ("two", Processes(2)))
    )
    assert found == alone
    records = [read_record(AssemblyRecord, space.file(filenames.ASSEMBLY)) for space in (one, two)]
    elicited = 2 * len(one.plan.pairs)  # of the same model
    assert records[0].calls == records[1].calls == len(alone["calls"]) + elicited
    assert records[0].states == records[1].states
    assert records[0].timing.turns == records[1].timing.turns


@pytest.mark.slow
def test_a_budget_holds_over_workers_and_more_of_it_resumes(tmp_path: Path) -> None:
    config = planted_config(tmp_path, "budget.calls=900")
    with pytest.raises(BudgetExceeded, match="used up"):
        convened(config, tmp_path / "runs", Processes(2))
    with Ledger(tmp_path / "runs" / "run" / filenames.LEDGER) as ledger:
        assert 0 < len(ledger.content()["calls"]) <= 900
    more = planted_config(tmp_path, "budget.calls=9000")
    _, found = convened(more, tmp_path / "runs", Processes(2))
    assert found == convened(more, tmp_path / "one", Here())[1]


def test_each_worker_gets_an_equal_part_of_what_is_left(tmp_path: Path) -> None:
    config = planted_config(tmp_path)
    model = open_model(config.model, config, BudgetSettings())
    model.counts.calls = 10
    budget = BudgetSettings(calls=31, tokens=9, seconds=5.0)
    assert share_of_budget(budget, model.counts, model.cost, 3) == BudgetSettings(
        calls=7, tokens=3, seconds=5.0
    )
    assert share_of_budget(budget, model.counts, model.cost, 10) is None
    slow = planted_config(tmp_path, "chat.endpoint.calls_per_second=6")
    of_worker = PipelineConfig.model_validate_json(config_of_worker(slow, 3))
    assert of_worker.chat.endpoint.calls_per_second == 2


@pytest.mark.parametrize(
    ("name", "workers", "more", "message"),
    [
        ("threads", None, (), "unknown --executor 'threads'; use one of local, processes, ray"),
        ("processes", 0, (), "--workers is 0; give 1 or more"),
        ("ray", 2, ("budget.calls=10",), "over several machines; use --executor processes"),
    ],
)
def test_an_executor_that_cannot_be_is_refused(tmp_path, name, workers, more, message) -> None:
    with pytest.raises(ConfigError, match=message):
        make_executor(name, workers, planted_config(tmp_path, *more))


@pytest.mark.parametrize("executor", [Here(), pytest.param(Processes(2), marks=pytest.mark.slow)])
def test_blocks_of_questions_are_answered_as_by_one_process(tmp_path: Path, executor) -> None:
    config = planted_config(tmp_path)
    model = open_plain(config.model, config)
    work = AskBlock(config.model, config.model_dump_json(), None)
    spread = DistributedBackend(model, executor, work, least=100)
    asked = [
        (Message("user", f"Option A: {TEXTS[a]}\nOption B: {TEXTS[b]}"),)
        for a in range(8) for b in range(8) for _ in range(9) if a != b
    ]  # fmt: skip
    for count in (99, 504):
        found = asyncio.run(spread.choose(asked[:count], ("A", "B")))
        assert found == asyncio.run(model.choose(asked[:count], ("A", "B")))
    assert asyncio.run(spread.generate(asked, Sampling())) == asyncio.run(
        model.generate(asked, Sampling())
    )


def test_bootstrap_fits_by_workers_are_those_of_one_process() -> None:
    rng, none = np.random.default_rng(0), np.zeros(15)
    pairs = np.array([(a, b) for a in range(6) for b in range(a + 1, 6)])
    wins = rng.binomial(10, 0.3 + 0.05 * (pairs[:, 1] - pairs[:, 0])).astype(float)
    cells = ComparisonCounts(pairs[:, 0], pairs[:, 1], wins, none + 10, none, none + np.nan)
    fitted = fit(cells, 6)
    one, two = (
        edge_bootstrap(cells, fitted, np.random.default_rng(1), 12, each=each)
        for each in (map, lambda work, tasks: mapped(Processes(2), work, list(tasks)))
    )
    for mine, theirs in zip(one, two, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_ledger_on_a_server_is_a_setting(tmp_path: Path) -> None:
    """Each run directory has a schema of its own, kept over resumption."""
    address = "postgresql://me@db/plenary"
    config = planted_config(tmp_path, f"ledger={address}")
    run = open_run(tmp_path, new_manifest("a", "0", 0, deterministic=True, reason=""), "error")
    one, two = (Workspace(config, run, NullWatcher()).ledger for _ in range(2))
    run.close()
    assert one == two
    assert one.startswith(f"{address}?options=-csearch_path%3Dplenary_")
    with pytest.raises(ConfigError, match="PGPASSWORD"):
        planted_config(tmp_path, "ledger=postgresql://me:secret@db/plenary")
