from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plenary.embedded.replay import replay_conversations
from plenary.errors import DataError
from plenary.pipeline.chain import CHAIN
from plenary.pipeline.run import run_stages
from plenary.runs.config import load_config
from plenary.runs.progress import NullWatcher
from plenary.runs.workspace import Workspace
from plenary.seeding import derived_seed
from plenary.stages.neutral_text import neutral_text


def _space(folder: Path, *settings: str) -> Workspace:
    return run_stages(
        load_config(None, ["panel.citizens=14", *settings]), folder, "error", (), NullWatcher()
    )


def test_another_model_is_kept_on_its_own_words_and_asked_once(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    space = _space(tmp_path, f"model=local:{checkpoint('llama')}")
    found = neutral_text(space, "replay")
    calls = space.model(space.config.model).counts.calls
    assert found == neutral_text(space, "replay") != neutral_text(space, "rebound")
    assert calls == 80
    assert space.model(space.config.model).counts.calls == 160
    toys = set(replay_conversations(derived_seed(0, "replay"), 240))
    assert not toys & set(found.conversations)


def test_the_model_that_ships_is_kept_on_its_dialogues(tmp_path: Path) -> None:
    found = neutral_text(_space(tmp_path), "replay")
    assert found.conversations == replay_conversations(derived_seed(0, "replay"), 240)
    assert "made for the shipped model" in found.origin


def test_a_file_of_the_user_comes_first(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("Tea is brewed.\n", encoding="utf-8")
    (tmp_path / "own.yaml").write_text("alignment: {replay: kept.txt}\n", encoding="utf-8")
    config = load_config(tmp_path / "own.yaml", ["panel.citizens=14"])
    space = run_stages(config, tmp_path / "runs", "error", (), NullWatcher())
    assert neutral_text(space, "replay").origin == "1 texts of the file 'kept.txt'"
    missing = load_config(None, ["alignment.replay=/nowhere/kept.txt"])
    with pytest.raises(DataError, match="nowhere"):
        run_stages(missing, tmp_path / "none", "error", CHAIN, NullWatcher())
    assert not (tmp_path / "none").exists()
