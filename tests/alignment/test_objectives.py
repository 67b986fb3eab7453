from __future__ import annotations

from typing import get_args

import numpy as np

from alignment.objectives import OBJECTIVES
from alignment.settings import AlignmentSettings
from plenary.preferences import Targets

TARGETS = Targets(np.array([[0, 1], [1, 2], [2, 0]]), np.array([0.9, 0.5, 0.3]), np.full(3, 20.0))


def test_the_settings_offer_exactly_the_objectives() -> None:
    offered = get_args(AlignmentSettings.model_fields["objective"].annotation)
    assert set(offered) == set(OBJECTIVES)


def test_soft_sft_keeps_the_shares() -> None:
    assert OBJECTIVES["soft_sft"](TARGETS) is TARGETS


def test_sft_takes_the_majority_and_drops_ties() -> None:
    hard = OBJECTIVES["sft"](TARGETS)
    np.testing.assert_array_equal(hard.p, [1, 0, 0])
    np.testing.assert_array_equal(hard.weight, [20, 0, 20])
