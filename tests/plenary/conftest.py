"""A small run of planted citizens, its utilities compared with the model's, made once a session."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from evaluation.comparison.compare import target_cells
from evaluation.elicitation.answer_table import AnswerTable
from plenary.pipeline.assembly import ASSEMBLY_STAGES
from plenary.pipeline.run import run_stages
from plenary.runs import filenames
from plenary.runs.config import load_config
from plenary.runs.directory import RunManifest, StageRecord, open_run, read_manifest
from plenary.runs.filenames import MANIFEST
from plenary.runs.progress import NullWatcher
from plenary.runs.workspace import Workspace
from plenary.stages import utilities
from plenary.stages.comparison import compare_models
from plenary.stages.elicitation import elicit_retest
from plenary.viewer.run_view import RunView

EVIL = "</p><script>document.title='owned'</script>\u202egnp.exe\x07 <img src=x onerror=alert(1)>"
UTILITIES = {
    f"the town {verb} {7 * k + 3} {what}": ((5 * k) % 7) / 3
    for verb, what in (("plants", "trees"), ("opens", "clinics"), ("repairs", "roads"))
    for k in range(8)
}
SETTINGS = (
    "name=tiny",
    "outcomes.count=24",
    "panel.citizens=14",
    "design.train_pairs=24",
    "design.held_out_pairs=14",
    "elicitation.min_mass=0",
    "assembly.min_mass=0",
    "assembly.table_size=5",
    "comparison.bootstrap=100",
)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory: everything up to the comparison, `after` being the assembly's shares."""
    folder = tmp_path_factory.mktemp("viewer")
    lines = [f"o{k},{text},{text.split()[2]}" for k, text in enumerate(UTILITIES)]
    (folder / "outcomes.csv").write_text("\n".join(["id,text,topic", *lines]))
    world = {"utilities": UTILITIES, "swing": 0.3, "invalid": 0.03, "exact": False}
    (folder / "world.json").write_text(json.dumps(world))
    spec = f"planted:{folder / 'world.json'}"
    files = (f"outcomes.path={folder / 'outcomes.csv'}", f"model={spec}", f"citizens_model={spec}")
    config = load_config(None, [*SETTINGS, *files])
    run_stages(config, folder, "error", ASSEMBLY_STAGES, NullWatcher())
    run = open_run(folder, read_manifest(folder / "tiny"), "resume")
    space = Workspace(config, run, NullWatcher())
    asked, wanted = space.answers("before"), target_cells(space.consensus.targets())
    none = np.zeros(len(wanted), dtype=np.int64)
    AnswerTable(wanted, none.astype(bool), none, asked.origin).write(space.file("after.parquet"))
    for name, work in (
        ("elicit retest", elicit_retest),
        ("fit", utilities.fit_utilities),
        ("compare", compare_models),
    ):
        work(space)
        run.record(name, StageRecord(fingerprint="", settings="", seconds=1.5))
    run.close()
    return folder / "tiny"


@pytest.fixture
def under_way(tiny: Path, tmp_path: Path) -> Path:
    """The same run as it was in the middle of its assembly, with a hostile statement."""
    run = tmp_path / "under way" / "tiny [*]"
    shutil.copytree(tiny, run)
    for name in (
        filenames.VOTES,
        filenames.STATEMENTS,
        filenames.CONSENSUS,
        *map(filenames.shift_file, filenames.SIDES),
    ):
        (run / name).unlink()
    whole = read_manifest(run)
    kept = {name: whole.stages[name] for name in ("plan", "census", "recruit", "elicit before")}
    kept["convene"] = StageRecord(fingerprint="", settings="", done=False)
    begun: RunManifest = whole.model_copy(update={"stages": kept})
    (run / MANIFEST).write_text(begun.model_dump_json())
    with sqlite3.connect(run / filenames.LEDGER) as ledger:
        ledger.execute("UPDATE statements SET text = ? WHERE seat = 0", [EVIL])
        ledger.execute("DELETE FROM votes WHERE phase = 1 AND pair >= 20")
    ledger.close()
    return run


@pytest.fixture
def opened(tiny: Path) -> Iterator[RunView]:
    """The whole run, open."""
    with closing(RunView(tiny)) as viewed:
        yield viewed


@pytest.fixture
def begun(under_way: Path) -> Iterator[RunView]:
    """The run under way, open."""
    with closing(RunView(under_way)) as viewed:
        yield viewed
