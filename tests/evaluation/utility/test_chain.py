"""From a backend with planted utilities through elicitation and fit to the comparison."""

import asyncio

import numpy as np
import pytest
from scipy.stats import spearmanr

from evaluation.comparison.compare import ComparisonSettings, compare, target_cells
from evaluation.comparison.utility_shift import utility_shift
from evaluation.elicitation.design import balanced_pairs
from evaluation.elicitation.elicit import ElicitationSettings, elicit
from evaluation.utility.thurstonian import fit
from plenary.models.planted import PlantedBackend, PlantedWorld
from plenary.preferences import Targets, pair_shares

K = 40
TEXTS = tuple(f"outcome number {k:02d} comes about" for k in range(K))


def _ask(utilities, pairs, **rest):
    world = PlantedWorld(utilities=dict(zip(TEXTS, utilities.tolist(), strict=True)), **rest)
    return asyncio.run(elicit(PlantedBackend(world), TEXTS, pairs, ElicitationSettings(), seed=3))


@pytest.mark.parametrize("exact", [True, False])
def test_a_planted_model_moved_half_way_is_measured_as_such(exact):
    rng = np.random.default_rng(0)
    before, goal = rng.standard_normal((2, K))
    pairs = balanced_pairs(K, 300, rng)
    options = {"order_bias": 0.2, "lapse": 0.02, "invalid": 0.05, "exact": exact}
    old = _ask(before, pairs, **options)
    new = _ask((before + goal) / 2, pairs, **options)
    assert (old.invalid == 0) == exact
    wanted = pair_shares(_ask(goal, pairs).accepted, pairs).p
    target = Targets(pairs, wanted, np.full(len(pairs), 60.0))
    fits = [fit(cells, K) for cells in (old.accepted, new.accepted, target_cells(target))]
    assert all(result.converged for result in fits)
    assert spearmanr(fits[0].mu, before).statistic > 0.95
    bias = fits[0].order_bias / fits[0].mu.std() * before.std()
    assert bias == pytest.approx(0.2, abs=0.08)
    result = compare(old.accepted, new.accepted, target, None, ComparisonSettings(), 0)
    assert result.gain_low > 0
    assert result.after.kl < result.before.kl
    shift = utility_shift(*fits, ComparisonSettings())
    assert shift.correlation_after > shift.correlation_before + 0.3
