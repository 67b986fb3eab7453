from __future__ import annotations

import numpy as np
import pytest

from alignment.experiments.strata_agreement import composition
from evaluation.comparison.compare import ComparisonSettings
from plenary.errors import DataError
from plenary.preferences import Targets
from plenary.seeding import generator

SETTINGS = ComparisonSettings(bootstrap=300)


def planted(outcomes: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs, and the shares of two strata with opposite utilities on a third of the outcomes."""
    rng = generator(2, "composition")
    old = rng.standard_normal(outcomes)
    young = np.where(np.arange(outcomes) % 3 == 0, -old, old)
    pairs = np.array([(a, b) for a in range(outcomes) for b in range(a)])
    shares = [1 / (1 + np.exp(-3 * (u[pairs[:, 0]] - u[pairs[:, 1]]))) for u in (old, young)]
    return pairs, shares[0], shares[1]


def test_training_toward_one_stratum_moves_that_one_most() -> None:
    pairs, old, young = planted()
    weight = np.ones(len(pairs))
    strata = {"old": Targets(pairs, old, weight), "young": Targets(pairs, young, weight)}
    base = np.full(len(pairs), 0.5)
    base[::2] = 1 - old[::2]
    found = composition(base, old, pairs, strata, SETTINGS, 0)
    by_name = {row.stratum: row for row in found.strata}
    assert by_name["old"].after == 1.0
    assert by_name["old"].low > 0
    assert by_name["young"].after == pytest.approx(np.mean((old > 0.5) == (young > 0.5)))
    assert found.least_gaining == "young"
    assert found.worst_after == by_name["young"].after
    assert found.worst_before == min(row.before for row in found.strata)
    assert found.worst_level == pytest.approx(found.worst_after - found.worst_before)
    assert found.worst_level_low <= found.worst_level <= found.worst_level_high


def test_pairs_without_a_majority_do_not_count() -> None:
    pairs, old, _ = planted(6)
    even = old.copy()
    even[:4] = 0.5
    strata = {"some": Targets(pairs[1:], even[1:], np.ones(len(pairs) - 1))}
    (row,) = composition(1 - old, old, pairs, strata, SETTINGS, 0).strata
    assert row.pairs == len(pairs) - 4
    assert (row.before, row.after, row.change) == (0.0, 1.0, 1.0)


def test_order_of_strata_does_not_matter() -> None:
    pairs, old, young = planted(8)
    weight = np.ones(len(pairs))
    strata = {"a": Targets(pairs, old, weight), "b": Targets(pairs, young, weight)}
    one = composition(young, old, pairs, strata, SETTINGS, 0)
    two = composition(young, old, pairs, dict(reversed(strata.items())), SETTINGS, 0)
    assert one.strata == two.strata[::-1]
    assert one.worst_level_low == two.worst_level_low


def test_nothing_to_compare_is_refused() -> None:
    pairs, old, _ = planted(6)
    with pytest.raises(DataError, match="no stratum"):
        composition(old, old, pairs, {}, SETTINGS, 0)
    even = {"even": Targets(pairs, np.full(len(pairs), 0.5), np.ones(len(pairs)))}
    with pytest.raises(DataError, match="no majority"):
        composition(old, old, pairs, even, SETTINGS, 0)
