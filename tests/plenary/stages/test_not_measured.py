"""Assemblies that cannot tell some figure: labels are written all the same, and the reason why."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from alignment.training.record import TrainingRecord
from assembly.dataset.consensus_dataset import ConsensusDataset
from evaluation.comparison.compare import Comparison, target_cells
from evaluation.elicitation.answer_table import AnswerTable
from plenary.cli.console import before_after
from plenary.errors import NotMeasured
from plenary.pipeline.assembly import ASSEMBLY_STAGES
from plenary.pipeline.run import run_stages
from plenary.report.diagnostics import rows
from plenary.report.page import write_report
from plenary.runs import filenames
from plenary.runs.config import MeasureSettings, PipelineConfig, load_config
from plenary.runs.directory import open_run, read_manifest
from plenary.runs.progress import NullWatcher
from plenary.runs.records.assembly import AssemblyRecord, ElicitationRecord, Summary
from plenary.runs.records.base import Unmeasured, read_record, write_record
from plenary.runs.records.diagnostics import (
    CONFORMITY,
    CYCLES,
    ERRORS,
    SIZES,
    SPREAD,
    SWAY,
    DiagnosticsRecord,
)
from plenary.runs.records.measures import SteeringRecord
from plenary.runs.workspace import Workspace
from plenary.stages.assembly import convene_assembly
from plenary.stages.comparison import compare_models, steer
from plenary.stages.consensus import decide
from plenary.stages.dataset import CARD, FILE, make_dataset
from plenary.stages.measures import anchor, audit_hiring, keep, measure_wording
from plenary.stages.utilities import fit_utilities
from plenary.viewer.run_pages import overview
from plenary.viewer.run_view import RunView
from plenary.viewer.utility_pages import utilities

LATER = (measure_wording, audit_hiring, keep, anchor)
LOST = "UPDATE votes SET state = 2, share_first = NULL WHERE "
# What became of the ballots -> (SQL, what cannot be told then).
WORLDS = {
    "no first ballot": (LOST + "phase = 0", {SWAY, CONFORMITY, SPREAD}),
    "no first ballot but one": (LOST + "phase = 0 AND (citizen > 0 OR pair > 0)", {CONFORMITY}),
    "all ties": ("UPDATE votes SET share_first = 0.5", {CONFORMITY}),
    "all alike": ("UPDATE votes SET share_first = CASE WHEN `order` THEN 0.2 ELSE 0.8 END", set()),
    "nobody moved": (
        "UPDATE votes SET share_first = (SELECT share_first FROM votes AS v WHERE v.pair = "
        "votes.pair AND v.citizen = votes.citizen AND v.`order` = votes.`order` AND v.phase = 0)",
        set(),
    ),
    "one order": (LOST + "`order` = 1", {SWAY, CONFORMITY, SPREAD, SIZES, ERRORS, CYCLES}),
    "all abstain": (
        "UPDATE votes SET state = 4, share_first = NULL",
        {SWAY, CONFORMITY, SPREAD, SIZES, ERRORS, CYCLES},
    ),
    "one voter": (LOST + "citizen > 0", {CONFORMITY, SIZES, ERRORS}),
    "nobody spoke": ("UPDATE statements SET state = 3, text = ''", {SWAY, CONFORMITY}),
    "most pairs lost": (LOST + "pair % 4 > 0", set()),
    "held-out pairs lost": (LOST + "pair >= 24", set()),
    "training pairs lost": (LOST + "pair < 24", set()),
    "one pair left": (LOST + "pair != 30", {ERRORS}),
}


@contextmanager
def altered(tiny: Path, folder: Path, change: str) -> Iterator[Workspace]:
    """A copy of the run whose ledger was changed, its assembly exported again."""
    shutil.copytree(tiny, folder / "tiny")
    with closing(sqlite3.connect(folder / "tiny" / filenames.LEDGER)) as ledger, ledger:
        ledger.executescript(change)
    config = load_config(tiny / "config.yaml")
    off = MeasureSettings(wording_pairs=0, retention=False)
    config: PipelineConfig = config.model_copy(update={"measures": off})
    run = open_run(folder, read_manifest(folder / "tiny"), "resume")
    try:
        space = Workspace(config, run, NullWatcher())
        convene_assembly(space)
        yield space
    finally:
        run.close()


@pytest.mark.parametrize("world", WORLDS)
def test_no_diagnostic_ends_a_run(tiny: Path, tmp_path: Path, world: str) -> None:
    change, unknown = WORLDS[world]
    with altered(tiny, tmp_path, change) as space:
        decide(space)
        make_dataset(space)
        found = read_record(DiagnosticsRecord, space.file(filenames.DIAGNOSTICS))
        assert unknown <= set(found.not_measured)
        shown = {name: (value, why) for name, value, why in rows(found)}
        for name, why in found.not_measured.items():
            assert shown[name] == ("not measured", why)
        made = ConsensusDataset.read(space.file(filenames.DATASET) / FILE)
        assert len(made) == 38
        voted = ~np.isnan(made.p)
        assert voted.any() == (world not in ("one order", "all abstain"))
        card = (space.file(filenames.DATASET) / CARD).read_text(encoding="utf-8")
        assert all(why in card for why in found.not_measured.values())
        assert "nan" not in card
        _whole_report(space)


@pytest.mark.parametrize(
    ("changes", "unknown", "why"),
    [
        (("assembly.speakers=5",), {SWAY}, "everybody spoke"),
        (("assembly.rounds=3", "assembly.speakers=2"), {SWAY}, "everybody spoke"),
        (("assembly.rounds=0",), {SWAY, CONFORMITY}, "no statement was usable"),
        (("assembly.condition=reflection",), {SWAY, CONFORMITY}, "citizens do not hear each other"),
        (("assembly.table_size=2", "assembly.speakers=2"), {SWAY}, "everybody spoke"),
        (("dataset.strata=[nativity]", "dataset.rule_strata=nativity"), set(), ""),
    ],
)
def test_every_legal_assembly_gives_a_dataset(
    tiny: Path, tmp_path: Path, changes: tuple[str, ...], unknown: set[str], why: str
) -> None:
    config = load_config(tiny / "config.yaml", ["dataset.paraphrased=0", *changes])
    space = run_stages(config, tmp_path, "error", ASSEMBLY_STAGES, NullWatcher())
    found = read_record(DiagnosticsRecord, space.file(filenames.DIAGNOSTICS))
    assert unknown <= set(found.not_measured)
    assert all(why in found.not_measured[name] for name in unknown)
    assert not np.isnan(ConsensusDataset.read(space.file(filenames.DATASET) / FILE).p).any()


def test_a_fit_in_parts_leaves_the_comparison_standing(tiny: Path, tmp_path: Path) -> None:
    with altered(tiny, tmp_path, LOST + "pair % 4 > 0") as space:
        decide(space)
        make_dataset(space)
        _whole_report(space)
        noted = read_record(Unmeasured, space.file(filenames.FITS)).not_measured
        assert "of 10 outcomes" in noted[filenames.fit_stem("assembly", "held_out")]
        assert not space.file(filenames.shift_file("held_out")).exists()
        assert read_record(Comparison, space.file(filenames.COMPARISON)).agreement_after == 1
        with pytest.raises(NotMeasured, match="connect"):
            read_record(SteeringRecord, space.file(filenames.STEERING))
        html = space.file(filenames.REPORT).read_text(encoding="utf-8")
        assert "Not measured: no utilities of" in html


def test_outcomes_that_were_not_read_are_told_everywhere(tiny: Path, tmp_path: Path) -> None:
    with altered(tiny, tmp_path, "UPDATE votes SET state = 0") as space:
        first = space.plan.outcomes[int(space.plan.pairs[0, 0])]
        plan = space.plan.model_copy(update={"unread": {first.id: ("quux", "blorf")}})
        write_record(plan, space.file(filenames.PLAN))
        del space.plan
        decide(space)
        make_dataset(space)
        made = ConsensusDataset.read(space.file(filenames.DATASET) / FILE)
        assert made.first_unread[0] == "quux blorf"
        assert [bool(words) for words in made.first_unread] == [
            name == first.id for name in made.first_id
        ]
        assert f"- `{first.id}`: quux, blorf" in (space.file(filenames.DATASET) / CARD).read_text()
        _whole_report(space)
        assert "votes on it mean nothing: quux, blorf" in space.file(filenames.REPORT).read_text()


def test_what_was_cut_short_is_told_of_every_session(tiny: Path, tmp_path: Path) -> None:
    plain = {
        before: getattr(read_record(AssemblyRecord, tiny / filenames.ASSEMBLY), before)
        for before in ("cut_share", "cut_statements")
    }
    assert plain == {"cut_share": 0.0, "cut_statements": 0}
    change = """
        UPDATE calls SET reply = replace(reply, '"cut": 0', '"cut": 1') WHERE upper(key) IN
            (SELECT hex(call) FROM votes WHERE pair = 0);
        UPDATE statements SET state = 2, text = '' WHERE pair = 0 AND side IS NOT NULL;
    """
    with altered(tiny, tmp_path, change) as space:
        found = read_record(AssemblyRecord, space.file(filenames.ASSEMBLY))
        assert found.cut_share == pytest.approx(1 / len(space.plan.pairs))
        quiet = sum(s.pair == 0 and s.side is not None for s in space.transcript)
        assert found.cut_statements == quiet > 0
        before = read_record(ElicitationRecord, space.file("before.json"))
        before = before.model_copy(update={"cut": before.asked // 4})
        write_record(before, space.file("before.json"))
        decide(space)
        make_dataset(space)
        summary = _whole_report(space)
        told = dict(before_after(summary))["cut short"]
        assert told.startswith("2.63% of the answers to ballots, ")
        assert f"{quiet} of {found.statements} statements" in told
        assert told.endswith("of the answers before training, 25.00% of the answers after training")
        assert told in space.file(filenames.REPORT).read_text(encoding="utf-8")
        assert told in summary.model_dump_json()


def _whole_report(space: Workspace) -> Summary:
    """The rest of the chain, with a model after that has learnt what labels there are."""
    learnt = target_cells(space.consensus.targets())
    none = np.zeros(len(learnt), dtype=np.int64)
    table = AnswerTable(learnt, none.astype(bool), none, space.answers("before").origin)
    table.write(space.file("after.parquet"))
    shutil.copy(space.file("before.json"), space.file("after.json"))
    for stage in (fit_utilities, compare_models, steer, *LATER):
        stage(space)
    training = dict.fromkeys(TrainingRecord.model_fields, 1) | {
        "adapter_sha256": "a", "base_sha256": "b", "objective": "none", "replay": "none",
    }  # fmt: skip
    write_record(TrainingRecord.model_validate(training), space.file(filenames.TRAINING))
    summary = write_report(space)
    html = space.file(filenames.REPORT).read_text(encoding="utf-8")
    assert "not measured" in html.lower()
    told = dict(before_after(summary))
    assert (told.get("agreement") == "not measured") is not summary.measured
    with closing(RunView(space.run.path)) as viewed:
        overview(viewed)
        utilities(viewed, {})
    return summary
