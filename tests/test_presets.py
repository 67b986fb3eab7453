"""Every preset that ships can be read, and its pairs, panel and population fit together."""

from __future__ import annotations

import pytest

from assembly.deliberation.seating import seat
from plenary.outcomes import configs_folder
from plenary.runs.config import load_config
from plenary.runs.models import takes_part
from plenary.stages.plan import chosen_outcomes, make_plan

PRESETS = sorted(path.stem for path in configs_folder().glob("*.yaml"))


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_a_run_that_can_be_held(name: str) -> None:
    config = load_config(name)
    catalogue = chosen_outcomes(config.outcomes, config.seed, embedded_reads=takes_part(config))
    plan = make_plan(catalogue, config.outcomes, config.design, config.seed)
    seating = seat(config.panel.citizens, len(plan.pairs), config.assembly, config.seed)
    assert len(seating.shards()) > 0
    assert not set(plan.train) & set(plan.held_out)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_opens_with_what_it_is_for(name: str) -> None:
    lines = (configs_folder() / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines[:2] if line.startswith("# ")] == lines[:2]
