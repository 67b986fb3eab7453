"""Resampled errors are the spread of fits to freshly asked pairs."""

import numpy as np
import pytest

from evaluation.elicitation.design import balanced_pairs
from evaluation.utility.bootstrap import edge_bootstrap
from evaluation.utility.thurstonian import fit


@pytest.mark.slow
def test_edge_bootstrap_is_the_spread_over_repeated_asking(planted):
    rng = np.random.default_rng(0)
    world = planted(40, rng)
    asked = [world.answers(balanced_pairs(40, 400, rng), rng, 10) for _ in range(25)]
    fits = [fit(cells, 40) for cells in asked]
    spread = np.std([result.mu for result in fits], axis=0, ddof=1)
    boot = edge_bootstrap(asked[0], fits[0], rng, replicates=60)
    assert np.median(boot.sd) == pytest.approx(np.median(spread), rel=0.25)
    assert np.median(boot.sd) < 1.1 * np.median(fits[0].sd)
    assert (boot.low < fits[0].mu + 0.05).all()
    assert (boot.high > fits[0].mu - 0.05).all()
