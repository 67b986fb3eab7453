import numpy as np
import pytest
from support.held import spoken

from assembly.aggregation.strata import strata_of
from assembly.analysis.dissent import minority_report, statement_id
from assembly.record.ballots import FAILED

REGIONS = strata_of({"region": ["West"] * 4 + ["East"] * 6 + ["South"] * 2}, 12)
SHARES = np.array([[0.9]] * 3 + [[0.4]] + [[0.1]] * 6 + [[0.9]] * 2)


def test_the_stratum_that_opposes_is_named_with_size_and_intensity() -> None:
    ((west,),) = minority_report(SHARES, np.ones(12), REGIONS)
    assert (west.attribute, west.category, west.citizens) == ("region", "West", 4)
    assert west.size == pytest.approx(4 / 12)
    assert west.p == pytest.approx((2.7 + 0.4) / 4)
    assert west.intensity == pytest.approx(0.8)
    assert west.statement is west.text is None


def test_weights_decide_who_is_the_minority() -> None:
    weights = np.array([10.0] * 4 + [1.0] * 8)
    ((east,),) = minority_report(SHARES, weights, REGIONS)
    assert east.category == "East"


def test_the_best_argument_is_their_own_for_their_side() -> None:
    said = [
        spoken(0, 9, 1, "for the majority"),
        spoken(0, 10, 0, "from another stratum", seat=1),
        spoken(0, 0, 0, "a weak one", seat=2),
        spoken(0, 1, 0, "the strong one", seat=3),
        spoken(0, 2, 0, "never heard", seat=4, state=FAILED),
    ]
    merit = np.array([9.0, 8.0, 0.1, 0.5, 7.0])
    ((west,),) = minority_report(SHARES, np.ones(12), REGIONS, said, merit)
    assert west.text == "the strong one"
    assert west.statement == statement_id(said[3]) == "0.0.0.3"
    ((west,),) = minority_report(SHARES, np.ones(12), REGIONS, said[:2], merit[:2])
    assert west.text == "from another stratum"
    ((west,),) = minority_report(SHARES, np.ones(12), REGIONS, said[2:3], np.array([np.nan]))
    assert west.text == "a weak one"


def test_a_pair_without_sides_has_no_minority() -> None:
    even = np.where(np.arange(12)[:, None] < 6, 0.2, 0.8)
    assert minority_report(even, np.ones(12), REGIONS) == ((),)
    assert minority_report(np.full((12, 1), np.nan), np.ones(12), REGIONS) == ((),)
