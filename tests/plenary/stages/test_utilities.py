"""Measuring stages of the chain on planted models: a comparison has its test-retest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.comparison.utility_shift import UtilityShift
from evaluation.elicitation.answer_table import AnswerTable
from evaluation.elicitation.comparison_graph import among
from evaluation.utility.thurstonian import UtilityFit
from plenary.commands.compare import ComparedAnswers, compare_votes
from plenary.commands.fit import fit_votes
from plenary.errors import ConfigError
from plenary.pipeline.assembly import ASSEMBLY_STAGES
from plenary.pipeline.chain import CHAIN
from plenary.pipeline.run import run_stages
from plenary.report.results import read_results
from plenary.report.shift import moved, moved_caption
from plenary.report.tables import measures
from plenary.runs import filenames
from plenary.runs.config import load_config
from plenary.runs.progress import NullWatcher
from plenary.runs.records.assembly import ElicitationRecord, RetestRecord
from plenary.runs.records.base import read_record
from plenary.runs.workspace import Workspace
from plenary.stages.comparison import compare_models
from plenary.stages.elicitation import ask_model, elicit_retest
from plenary.stages.utilities import fit_utilities

TEXTS = [f"the town plants {k} trees" for k in range(40)]


def _world(path: Path, utilities: dict[str, float], **more: object) -> str:
    path.write_text(json.dumps({"utilities": utilities, **more}), encoding="utf-8")
    return f"planted:{path}"


def _measured(
    folder: Path, *, exact: bool, raised: float, indifference: float = 0.0, template: str = "plain"
) -> Workspace:
    """A run without training: a model after whose utilities are raised for a few outcomes."""
    rng = np.random.default_rng(0)
    utilities = dict(zip(TEXTS, rng.standard_normal(40).tolist(), strict=True))
    path = folder / "outcomes.csv"
    rows = [f"o{k},{text},town" for k, text in enumerate(TEXTS)]
    path.write_text("\n".join(["id,text,topic", *rows]), encoding="utf-8")
    more = {"exact": exact, "order_bias": 0.2, "indifference": indifference}
    model = _world(folder / "before.json", utilities, **more)
    config = load_config(
        None,
        [
            f"outcomes.path={path}", "outcomes.count=40", "outcomes.held_out=0.5",
            "design.train_pairs=60", "design.held_out_pairs=90", f"model={model}",
            f"citizens_model={_world(folder / 'citizens.json', utilities)}", "panel.citizens=14",
            "comparison.bootstrap=200", "elicitation.samples=10",
            f"elicitation.templates=[{template}]",
        ],
    )  # fmt: skip
    space = run_stages(config, folder / "runs", "error", ASSEMBLY_STAGES, NullWatcher())
    held = [space.plan.texts[k] for k in space.plan.held_out[:3]]
    changed = utilities | {text: utilities[text] + raised for text in held}
    after = _world(folder / "after.json", changed, **more)
    ask_model(space, space.model(after), "after")
    elicit_retest(space)
    fit_utilities(space)
    compare_models(space)
    return space


@pytest.mark.parametrize("exact", [True, False])
def test_the_test_retest_is_part_of_the_comparison(tmp_path: Path, exact: bool) -> None:
    space = _measured(tmp_path, exact=exact, raised=2.5)
    record = read_record(RetestRecord, space.file(filenames.RETEST))
    assert record.asked_again is not exact
    assert record.cells == (1 if exact else 2) * 2 * 150
    shift = UtilityShift.read(space.file(filenames.shift_file("held_out")))
    assert shift.scale_holds
    assert np.isfinite(shift.inflation)
    assert set(np.flatnonzero(shift.moved)) <= {0, 1, 2}
    assert shift.moved.sum() >= 2
    assert not UtilityShift.read(space.file(filenames.shift_file("train"))).moved.any()
    assert np.isnan(shift.mass_before).all() is np.bool_(not exact)
    results = read_results(space)
    caption = moved_caption(results)
    assert f"{int(shift.moved.sum())} of 20 held-out outcomes moved" in caption
    assert ("asked again with a new seed" in caption) is not exact
    rows = moved(results, np.abs(shift.shift))
    assert sum(row[6] != "within noise" for row in rows) == shift.moved.sum()


@pytest.mark.parametrize("exact", [True, False])
def test_no_preference_reaches_fits_comparison_and_report(tmp_path: Path, exact: bool) -> None:
    space = _measured(tmp_path, exact=exact, raised=1.0, indifference=0.9, template="plain+none")
    outcomes = np.array(space.plan.held_out)
    tables = {}
    for when in ("before", "after", *filenames.RETESTS):
        table = space.answers(when)  # what `plenary fit` and `compare` read
        assert table.origin.templates == ("plain+none",)
        assert table.origin.outcomes == space.plan.outcomes
        cells = among(table.cells, outcomes)
        named = table.origin.model_copy(
            update={"outcomes": tuple(table.origin.outcomes[k] for k in outcomes)}
        )
        none = np.zeros(len(cells), dtype=np.int64)
        tables[when] = AnswerTable(cells, none.astype(bool), none, named)
        made = UtilityFit.load(space.file(filenames.fit_stem(when, "held_out")))
        told = fit_votes(tables[when], space.config.fit, tmp_path / f"fit_{when}")
        assert np.allclose(UtilityFit.load(tmp_path / f"fit_{when}").mu, made.mu)
        assert told["tie"] == round(made.tie, 4)
        assert made.tie == pytest.approx(0.9, rel=0.25)
    sides = ComparedAnswers(tables["before"], tables["after"], tables["retest_second"], None)
    told = compare_votes(
        sides, space.config.fit, space.config.comparison, tmp_path / "shift.parquet"
    )
    made = UtilityShift.read(space.file(filenames.shift_file("held_out")))
    again = UtilityShift.read(tmp_path / "shift.parquet")
    assert np.allclose(again.after, made.after)
    assert np.array_equal(again.mass_after, made.mass_after, equal_nan=True)
    if not exact:  # the test-retest of an exact model in a run is that of its own halves
        assert np.allclose(again.low, made.low)
        assert np.array_equal(again.moved, made.moved)
    comparison = read_results(space).comparison
    assert comparison.before.undecided == pytest.approx(told["undecided_before"], abs=1e-4)
    assert comparison.after.undecided == pytest.approx(told["undecided_after"], abs=1e-4)
    assert comparison.before.undecided > 0.1
    rows = {row[0]: row[1:] for row in measures(read_results(space))}
    assert rows["share of “no preference” answers, where that is offered"] == (
        f"{comparison.before.undecided:.3f}", f"{comparison.after.undecided:.3f}",
    )  # fmt: skip
    asked = read_record(ElicitationRecord, space.file("before.json"))
    assert asked.undecided == pytest.approx(space.answers("before").cells.undecided.sum())


def test_a_model_that_did_not_change_moved_nothing(tmp_path: Path) -> None:
    space = _measured(tmp_path, exact=False, raised=0.0)
    for side in filenames.SIDES:
        assert not UtilityShift.read(space.file(filenames.shift_file(side))).moved.any()


@pytest.mark.parametrize(
    ("target", "reason"),
    [("embed_tokens", "tied embeddings"), ("lm_head", "tied embeddings"), ("nowhere", "nowhere")],
)
def test_layers_that_cannot_be_trained_are_refused_before_a_model_is_asked(
    tmp_path: Path, target: str, reason: str
) -> None:
    config = load_config(None, ["name=tied", f"alignment.targets=[{target}]"])
    with pytest.raises(ConfigError, match=reason):
        run_stages(config, tmp_path, "error", CHAIN, NullWatcher())
    assert list(tmp_path.iterdir()) == []
