"""Several models from the command line's side, on planted worlds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plenary.app.config import load_config
from plenary.app.records import read_results
from plenary.app.several_verbs import Several, ask_several
from plenary.chat.planted import PlantedWorld
from plenary.errors import ConfigError
from plenary.outcomes import default_outcomes

CONFIG = load_config(None, ["battery.outcomes=12", "battery.bootstrap=100"])


def _worlds(folder: Path, count: int) -> tuple[str, ...]:
    rng, texts = np.random.default_rng(0), default_outcomes().texts
    values = rng.standard_normal(len(texts))
    specs = []
    for k in range(count):
        mixed = values + 0.3 * rng.standard_normal(len(texts))
        world = PlantedWorld(utilities=dict(zip(texts, mixed.tolist(), strict=True)))
        (folder / f"{k}.json").write_text(world.model_dump_json(), encoding="utf-8")
        specs.append(f"planted:{folder / f'{k}.json'}")
    return tuple(specs)


def test_likeness_is_measured_and_kept(tmp_path: Path):
    out = tmp_path / "several" / "models.json"
    found = ask_several(Several(_worlds(tmp_path, 2)), CONFIG, "core", out)
    assert [result.battery for result in found] == ["convergence"]
    assert found[0].findings[0].shown
    assert read_results(out) == found


@pytest.mark.slow
def test_sizes_are_measured_where_they_are_given(tmp_path: Path):
    several = Several(_worlds(tmp_path, 2), (1e6, 1e7))
    found = ask_several(several, CONFIG, "core", tmp_path / "models.json")
    assert [result.battery for result in found] == ["convergence", "scaling"]
    assert not any(finding.shown for finding in found[1].findings)


def test_each_model_needs_its_size(tmp_path: Path):
    several = Several(_worlds(tmp_path, 2), (1e6,))
    with pytest.raises(ConfigError, match="give one a model"):
        ask_several(several, CONFIG, "core", tmp_path / "o.json")
