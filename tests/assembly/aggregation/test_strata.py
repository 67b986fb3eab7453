import numpy as np
import pytest

from assembly.aggregation.strata import Stratum, strata_of
from plenary.errors import DataError


def test_every_category_of_every_attribute_is_a_stratum() -> None:
    strata = strata_of({"sex": ["woman", "man", "man"], "region": ["West", "West", "East"]}, 3)
    assert strata.names == (
        Stratum("sex", "man"), Stratum("sex", "woman"),
        Stratum("region", "East"), Stratum("region", "West"),
    )  # fmt: skip
    np.testing.assert_array_equal(strata.members.sum(axis=1), [2, 1, 1, 2])
    values = np.array([[0.2, np.nan], [0.4, 0.5], [1.0, np.nan]])
    means = strata.means(values, np.array([1.0, 1.0, 2.0]))
    np.testing.assert_allclose(means[0], [(0.4 + 2.0) / 3, 0.5])
    assert np.isnan(means[1, 1])


def test_no_attribute_gives_no_stratum_and_a_short_column_is_refused() -> None:
    assert strata_of({}, 3).means(np.ones((3, 2)), np.ones(3)).shape == (0, 2)
    with pytest.raises(DataError, match="2 categories of 'sex' for 3 citizens"):
        strata_of({"sex": ["woman", "man"]}, 3)
