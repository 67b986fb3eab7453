"""A run directory opened from Python says what its files say."""

from __future__ import annotations

from pathlib import Path

import pytest

import plenary as pl
from evaluation.comparison.compare import Comparison
from plenary.errors import ConfigError, DataError
from plenary.runs import filenames

SMALL = {
    "name": "small", "outcomes.count": 24, "panel.citizens": 6, "design.train_pairs": 15,
    "design.held_out_pairs": 9, "assembly.table_size": 3, "elicitation.min_mass": 0,
    "assembly.min_mass": 0, "dataset.paraphrased": 0,
}  # fmt: skip


def test_everything_of_a_run_is_at_hand(tiny: Path) -> None:
    run = pl.open_run(tiny)
    assert len(run.panel) == 14
    assert run.comparison.gain == Comparison.load(tiny / filenames.COMPARISON).gain
    held = run.assembly
    assert held.labels["split"].count("held_out") == 14
    assert len(held.ballots) == len(held.votes)
    assert sum(held.by("sex")["citizens"]) == 14
    assert len(held.to_dataset()["train"]) == 2 * 24
    for side, count in (("train", 14), ("held_out", 10)):
        assert len(run.utilities("assembly", side).mu) == count  # type: ignore[arg-type]
    assert "not finished" in repr(run)
    assert "not finished" in run._repr_html_()


def test_its_model_is_opened(tiny: Path) -> None:
    run = pl.open_run(tiny)
    assert run.model(trained=False).name.startswith("planted:")
    with pytest.raises(DataError, match="trained=False"):
        run.model()
    with pytest.raises(ConfigError, match="before"):
        run.utilities("now")  # type: ignore[arg-type]


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no run directory"):
        pl.open_run(tmp_path)


def test_a_run_is_made_and_resumed(tiny: Path, tmp_path: Path) -> None:
    config = pl.open_run(tiny).config
    files = {"outcomes.path": str(config.outcomes.path), "model": config.model}
    changes = {**SMALL, **files, "citizens_model": config.model}
    made = pl.run(None, changes, folder=tmp_path, train=False, quiet=True)
    assert made.path == tmp_path / "small"
    assert len(made.assembly.labels) == 24
    again = pl.run(None, changes, folder=tmp_path, train=False, quiet=True)
    assert list(again.assembly.labels) == list(made.assembly.labels)
    with pytest.raises(ConfigError, match=r"panel\.citizens"):
        pl.run(None, {"panel.citizen": 3}, folder=tmp_path)
