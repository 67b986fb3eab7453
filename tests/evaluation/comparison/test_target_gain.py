"""Planted moves give their gain and side effect; noise gives neither."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.comparison.compare import ComparisonSettings
from evaluation.comparison.target_gain import HeldOutAnswers, steering, transfer
from evaluation.elicitation.design import balanced_pairs
from evaluation.utility.thurstonian import fit
from plenary.errors import DataError
from plenary.preferences import Targets, pair_shares

SETTINGS = ComparisonSettings(bootstrap=300)
ANCHORS = np.arange(20)


def _fits(planted, gain, side, seed=0, k=100):
    """The first 20 outcomes stay; others are wanted to move by w and move by gain w + side e."""
    rng = np.random.default_rng(seed)
    world = planted(k, rng)
    wanted, aside = rng.standard_normal((2, k)) * (np.arange(k) >= 20)
    pairs = balanced_pairs(k, 900, rng)
    moves = (0 * wanted, gain * wanted + side * aside, wanted)
    return [fit(replace(world, mu=world.mu + move).answers(pairs, rng, 20), k) for move in moves]


@pytest.mark.parametrize(("gain", "side"), [(1.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.7)])
def test_planted_gain_and_side_effect_are_found(planted, gain, side):
    found = steering(*_fits(planted, gain, side), SETTINGS, 0, anchors=ANCHORS)
    assert found.gain.value == pytest.approx(gain, abs=0.15)
    assert found.gain.low < found.gain.value < found.gain.high
    truth = side / np.hypot(gain, side)
    assert found.side_effect.value == pytest.approx(truth, abs=0.3)


def test_re_asking_is_no_gain(planted):
    values = []
    for seed in range(6):
        before, again, target = _fits(planted, 0.0, 0.0, seed)
        values.append(steering(before, again, target, SETTINGS, 0, anchors=ANCHORS).gain.value)
    assert np.mean(values) == pytest.approx(0, abs=0.05)
    with pytest.raises(DataError, match="cannot be compared"):
        steering(before, again, _fits(planted, 0, 0, k=50)[0], SETTINGS, 0)


def test_transfer_sets_gain_beside_ceiling_and_training(planted):
    rng = np.random.default_rng(1)
    old, goal = planted(40, rng), planted(40, rng)
    new = replace(old, mu=(old.mu + goal.mu) / 2)
    sets = {}
    for name, after in (("train", goal), ("templates", new)):
        pairs = balanced_pairs(40, 200, rng)
        wanted = pair_shares(goal.answers(pairs, rng, None), pairs).p
        sets[name] = HeldOutAnswers(
            old.answers(pairs, rng, 10),
            after.answers(pairs, rng, 10),
            Targets(pairs, wanted, np.full(200, 60.0)),
        )
    train, templates = transfer(sets, 0.95, SETTINGS, 0)
    assert (train.name, templates.name) == ("train", "templates")
    assert train.of_training == 1
    assert 0.2 < templates.of_training < 0.95
    room = 0.95 - templates.comparison.agreement_before
    assert templates.normalised == pytest.approx(templates.comparison.gain / room)
    assert templates.comparison.ceiling == 0.95
