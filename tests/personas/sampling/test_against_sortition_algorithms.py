"""The quota lottery held against the package of the Sortition Foundation (extra `oracles`)."""

from __future__ import annotations

import numpy as np
import pytest

from census_data.cells import Cells
from personas.sampling.quotas import proportional_quotas
from personas.sampling.sortition import LotterySettings, quota_lottery
from plenary.seeding import generator

features = pytest.importorskip("sortition_algorithms.features")
people = pytest.importorskip("sortition_algorithms.people")
maximin = pytest.importorskip("sortition_algorithms.committee_generation.maximin")
options = pytest.importorskip("sortition_algorithms.settings")


@pytest.mark.parametrize("seed", range(6))
def test_the_smallest_chance_of_a_seat_is_the_same(seed: int) -> None:
    rng = generator(seed, "pool")
    columns = tuple(
        Cells(f"a{k}", rng.integers(size, size=40), tuple(f"v{v}" for v in range(size)))
        for k, size in enumerate((2, 3, 3))
    )
    quotas = proportional_quotas(columns, rng.uniform(0.5, 2, 40), 8)
    lottery = quota_lottery(columns, quotas, 8, LotterySettings(fairness="maximin"))

    table = [
        {"feature": q.attribute, "value": q.category, "min": str(q.lower), "max": str(q.upper)}
        for q in quotas
    ]
    wanted, *_ = features.read_in_features(list(table[0]), table, 8)
    settings = options.Settings(id_column="id", columns_to_keep=[])
    pool = [{"id": str(n), **{c.name: c.labels[c.codes[n]] for c in columns}} for n in range(40)]
    known, _ = people.read_in_people(list(pool[0]), pool, wanted, settings)
    panels, chances, _ = maximin.find_distribution_maximin(wanted, known, 8, [])
    theirs = np.zeros(40)
    for panel, chance in zip(panels, chances, strict=True):
        theirs[[int(n) for n in panel]] += chance
    assert lottery.smallest_chance == pytest.approx(theirs.min(), abs=1e-4)
