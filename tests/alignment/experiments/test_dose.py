from __future__ import annotations

import math

import numpy as np
import pytest

from alignment.experiments.dose import DOSES, interpolated, parse_dose
from alignment.training.settings import AlignmentSettings
from plenary.errors import ConfigError
from plenary.preferences import Targets
from plenary.seeding import generator

SETTINGS = AlignmentSettings(epochs=4, rank=8, alpha=16)


def test_less_data_is_a_subset_seen_more_often(targets: Targets) -> None:
    found = DOSES["data"](0.2, targets, SETTINGS, generator(0, "dose"))
    assert len(found.targets.p) == 3
    assert {tuple(pair) for pair in found.targets.pairs} < {tuple(pair) for pair in targets.pairs}
    whole = DOSES["data"](1.0, targets, SETTINGS, generator(0, "dose"))
    assert np.array_equal(whole.targets.pairs, targets.pairs)


@pytest.mark.parametrize("batch", [4, 8, 32])
@pytest.mark.parametrize("share", [0.07, 0.2, 0.34, 0.5, 0.9, 1.0])
def test_less_data_takes_as_many_steps(targets: Targets, batch: int, share: float) -> None:
    """The last batch of a pass is short, and the trainer rounds up."""

    def steps(rows: int, epochs: float) -> int:
        return math.ceil(epochs * math.ceil(rows / batch))

    settings = SETTINGS.model_copy(update={"batch": batch})
    found = DOSES["data"](share, targets, settings, generator(0, "dose"))
    taken = steps(2 * len(found.targets.p), found.settings.epochs)
    assert taken == steps(2 * len(targets.p), SETTINGS.epochs)


def test_data_doses_are_nested(targets: Targets) -> None:
    small, large = (
        DOSES["data"](share, targets, SETTINGS, generator(0, "dose")).targets.pairs
        for share in (0.2, 0.6)
    )
    assert {tuple(pair) for pair in small} < {tuple(pair) for pair in large}


def test_steps_and_rank_change_nothing_else(targets: Targets) -> None:
    rng = generator(0, "dose")
    longer = DOSES["steps"](2.5, targets, SETTINGS, rng)
    assert longer.settings == SETTINGS.model_copy(update={"epochs": 10.0})
    wider = DOSES["rank"](2, targets, SETTINGS, rng)
    assert wider.settings == SETTINGS.model_copy(update={"rank": 2, "alpha": 4})
    assert longer.targets is wider.targets is targets


@pytest.mark.parametrize(
    ("axis", "value"), [("data", 0.0), ("data", 1.5), ("steps", 0.0), ("rank", 2.5), ("rank", 0.0)]
)
def test_doses_that_mean_nothing_are_refused(targets: Targets, axis: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{axis} dose"):
        DOSES[axis](value, targets, SETTINGS, generator(0))


def test_doses_are_read_from_the_command_line() -> None:
    assert parse_dose("rank=4") == ("rank", 4.0)
    for text in ("rank", "warmth=2", "data=much"):
        with pytest.raises(ConfigError, match="cannot read dose"):
            parse_dose(text)


def test_half_gain_by_hand() -> None:
    assert interpolated([(0.0, 0.0), (10.0, 1.0)]) == pytest.approx(5.0)
    # From 10 to 1000 steps half way up is the geometric mean.
    assert interpolated([(0.0, 0.0), (10.0, 0.2), (1000.0, 0.8)]) == pytest.approx(100.0)
    assert interpolated([(0.0, 0.0), (10.0, 0.2), (1000.0, 0.4)]) is None
