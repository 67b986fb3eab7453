"""The measuring stages of the chain on planted models: the null run is part of the comparison."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.shift import UtilityShift
from plenary.app import workspace as ws
from plenary.app.chain import CHAIN, compare_models, elicit_again, fit_utilities
from plenary.app.config import load_config
from plenary.app.moved_outcomes import moved, moved_caption
from plenary.app.pipeline import run_stages
from plenary.app.records import NullRecord, read_record
from plenary.app.report_parts import read_results
from plenary.app.stages import ASSEMBLY_STAGES, ask_model
from plenary.app.watcher import Silent
from plenary.app.workspace import Workspace
from plenary.errors import ConfigError

TEXTS = [f"the town plants {k} trees" for k in range(40)]


def _world(path: Path, utilities: dict[str, float], **more: object) -> str:
    path.write_text(json.dumps({"utilities": utilities, **more}), encoding="utf-8")
    return f"planted:{path}"


def _measured(folder: Path, *, exact: bool, raised: float) -> Workspace:
    """A run without training: a model after whose utilities are raised for a few outcomes."""
    rng = np.random.default_rng(0)
    utilities = dict(zip(TEXTS, rng.standard_normal(40).tolist(), strict=True))
    path = folder / "outcomes.csv"
    rows = [f"o{k},{text},town" for k, text in enumerate(TEXTS)]
    path.write_text("\n".join(["id,text,topic", *rows]), encoding="utf-8")
    model = _world(folder / "before.json", utilities, exact=exact, order_bias=0.2)
    config = load_config(
        None,
        [
            f"outcomes.path={path}", "outcomes.count=40", "outcomes.held_out=0.5",
            "design.train_pairs=60", "design.held_out_pairs=90", f"model={model}",
            f"citizens_model={_world(folder / 'citizens.json', utilities)}", "panel.citizens=14",
            "comparison.bootstrap=200", "elicitation.samples=10",
        ],
    )  # fmt: skip
    space = run_stages(config, folder / "runs", "error", ASSEMBLY_STAGES, Silent())
    held = [space.plan.texts[k] for k in space.plan.held_out[:3]]
    changed = utilities | {text: utilities[text] + raised for text in held}
    after = _world(folder / "after.json", changed, exact=exact, order_bias=0.2)
    ask_model(space, space.model(after), "after")
    elicit_again(space)
    fit_utilities(space)
    compare_models(space)
    return space


@pytest.mark.parametrize("exact", [True, False])
def test_the_null_run_is_part_of_the_comparison(tmp_path: Path, exact: bool) -> None:
    space = _measured(tmp_path, exact=exact, raised=2.5)
    record = read_record(NullRecord, space.file(ws.NULL))
    assert record.asked_again is not exact
    assert record.cells == (1 if exact else 2) * 2 * 150
    shift = UtilityShift.read(space.file(ws.shift_file("held_out")))
    assert shift.scale_holds
    assert np.isfinite(shift.inflation)
    assert set(np.flatnonzero(shift.moved)) <= {0, 1, 2}
    assert shift.moved.sum() >= 2
    assert not UtilityShift.read(space.file(ws.shift_file("train"))).moved.any()
    assert np.isnan(shift.mass_before).all() is np.bool_(not exact)
    results = read_results(space)
    caption = moved_caption(results)
    assert f"{int(shift.moved.sum())} of 20 held-out outcomes moved" in caption
    assert ("asked again with a new seed" in caption) is not exact
    rows = moved(results, np.abs(shift.shift))
    assert sum(row[6] != "within noise" for row in rows) == shift.moved.sum()


def test_a_model_that_did_not_change_moved_nothing(tmp_path: Path) -> None:
    space = _measured(tmp_path, exact=False, raised=0.0)
    for side in ws.SIDES:
        assert not UtilityShift.read(space.file(ws.shift_file(side))).moved.any()


@pytest.mark.parametrize(
    ("target", "reason"),
    [("embed_tokens", "tied embeddings"), ("lm_head", "tied embeddings"), ("nowhere", "nowhere")],
)
def test_layers_that_cannot_be_trained_are_refused_before_a_model_is_asked(
    tmp_path: Path, target: str, reason: str
) -> None:
    config = load_config(None, ["name=tied", f"alignment.targets=[{target}]"])
    with pytest.raises(ConfigError, match=reason):
        run_stages(config, tmp_path, "error", CHAIN, Silent())
    assert list(tmp_path.iterdir()) == []
