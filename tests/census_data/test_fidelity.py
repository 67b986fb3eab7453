"""Distances between a panel and the population."""

from __future__ import annotations

import numpy as np
import pytest

from census_data.fidelity import ATTRIBUTES, BANDS, margin, panel_fidelity, total_variation
from census_data.population import load_population
from plenary.errors import DataError
from plenary.seeding import generator

PEOPLE = load_population()


def test_total_variation_by_hand():
    assert total_variation(np.array([1.0, 1, 2]), np.array([0.5, 0.25, 0.25])) == pytest.approx(
        0.25
    )
    assert total_variation(np.array([1.0, 0]), np.array([0.0, 3])) == 1


@pytest.mark.parametrize("name", [*ATTRIBUTES, *BANDS, "occupation_group", "state"])
def test_margins_are_distributions(name):
    shares = margin(PEOPLE, name)
    assert shares.sum() == pytest.approx(1)
    assert shares.min() >= 0


def test_the_population_is_no_distance_from_itself():
    rows = panel_fidelity(PEOPLE, PEOPLE.row_id, PEOPLE.weight)
    assert [row.name for row in rows] == list(ATTRIBUTES)
    assert max(row.distance for row in rows) < 1e-12


def test_one_sided_panel():
    women = PEOPLE.select(PEOPLE.values("sex") == PEOPLE.labels("sex").index("woman"))
    (row,) = panel_fidelity(PEOPLE, women.row_id, women.weight, ["sex"])
    assert row.distance == pytest.approx(margin(PEOPLE, "sex")[1])


def test_expected_distance_is_what_random_panels_have():
    found, expected = [], []
    for k in range(200):
        rows = generator(7, "panel", k).choice(
            PEOPLE.row_id, 50, p=PEOPLE.weight / PEOPLE.weight.sum()
        )
        (row,) = panel_fidelity(PEOPLE, rows, np.ones(50), ["education"])
        found.append(row.distance)
        expected.append(row.expected)
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=0.1)


def test_order_of_the_population_does_not_matter():
    rows = PEOPLE.row_id[[5, 77_000, 901]]
    backward = PEOPLE.select(np.arange(len(PEOPLE))[::-1])
    one = panel_fidelity(PEOPLE, rows, np.ones(3))
    two = panel_fidelity(backward, rows, np.ones(3))
    assert [r.distance for r in one] == pytest.approx([r.distance for r in two])


def test_stranger_is_refused():
    with pytest.raises(DataError, match=r"row 999999 is not in the population"):
        panel_fidelity(PEOPLE, np.array([999_999]), np.ones(1))
