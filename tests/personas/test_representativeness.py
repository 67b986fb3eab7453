"""Panel against population, with the sampling band."""

from __future__ import annotations

import numpy as np
import pytest

from census_data.population import load_population
from personas.representativeness import representativeness
from personas.sampling.recruit import PanelSettings, recruit
from plenary.errors import DataError

PEOPLE = load_population()


@pytest.mark.slow
def test_a_swap_panel_lies_inside_the_band():
    table = representativeness(PEOPLE, recruit(PEOPLE, PanelSettings(citizens=100), 1))
    assert np.mean([row.inside for row in table]) > 0.97
    for name in {row.attribute for row in table}:
        rows = [row for row in table if row.attribute == name]
        assert sum(row.population for row in rows) == pytest.approx(1)
        assert sum(row.panel for row in rows) == pytest.approx(1)
        assert sum(row.citizens for row in rows) == 100


def test_a_biased_panel_does_not():
    old = PEOPLE.select(PEOPLE.values("age") >= 75)
    panel = recruit(old, PanelSettings(citizens=40, method="systematic"), 1)
    table = representativeness(PEOPLE, panel, ["age"])
    assert not any(row.inside for row in table if row.category.startswith(("35", "75")))
    with pytest.raises(DataError, match=r"is not in the population; compare a panel with"):
        representativeness(PEOPLE.select(PEOPLE.values("age") < 75), panel)
