"""Distances between a panel and the population."""

from __future__ import annotations

import numpy as np
import pytest

from census_data.fidelity import (
    ATTRIBUTES,
    full_fidelity,
    margin,
    margin_distances,
    panel_fidelity,
    relative_error,
    total_variation,
)
from census_data.population import load_population
from census_data.schema import BANDS
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
    assert max(row.srmse for row in rows) < 1e-12


def test_one_sided_panel():
    women = PEOPLE.select(PEOPLE.values("sex") == PEOPLE.labels("sex").index("woman"))
    (row,) = panel_fidelity(PEOPLE, women.row_id, women.weight, ["sex"])
    assert row.distance == pytest.approx(margin(PEOPLE, "sex")[1])


@pytest.mark.slow
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


def test_srmse_by_hand():
    """Gaps .1, -.1 over two cells: RMSE .1, mean cell .5."""
    assert relative_error(np.array([0.6, 0.4]), np.array([0.5, 0.5])) == pytest.approx(0.2)


def test_all_margins_are_compared():
    names = ("sex", "region", "education")
    found = full_fidelity(PEOPLE, PEOPLE.row_id[:100], np.ones(100), names, [names])
    assert [row.name for row in found.two_way] == [
        "sex x region", "sex x education", "region x education",
    ]  # fmt: skip
    assert found.three_way[0].name == "sex x region x education"
    assert found.effective_n == pytest.approx(100)
    assert found.worst(2).distance == max(row.distance for row in found.two_way)
    assert found.median(3) == found.three_way[0].distance
    with pytest.raises(DataError, match="no 3-way margin"):
        full_fidelity(PEOPLE, PEOPLE.row_id[:9], np.ones(9), names).worst(3)


@pytest.mark.parametrize("names", [("education",), ("sex", "region"), ("sex", "region", "tenure")])
def test_expected_values_are_what_random_panels_have(names):
    found = []
    chance = PEOPLE.weight / PEOPLE.weight.sum()
    for k in range(40):
        rows = generator(8, "panel", k).choice(PEOPLE.row_id, 400, p=chance)
        found += margin_distances(PEOPLE, rows, np.ones(400), [names])
    assert np.mean([row.distance for row in found]) == pytest.approx(found[0].expected, rel=0.15)
    square = np.sqrt(np.mean([row.srmse**2 for row in found]))
    assert square == pytest.approx(found[0].srmse_expected, rel=0.15)
