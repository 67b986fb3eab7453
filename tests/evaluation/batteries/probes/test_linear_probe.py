"""A planted direction is found; topics and noise are not taken for it."""

import numpy as np
import pytest

from evaluation.batteries.probes.linear_probe import (
    ProbeTarget,
    bag_of_words,
    dummies,
    explained,
    fit_direction,
    folds_of,
    lengths,
    out_of_fold,
    probe,
    probe_transfer,
)
from evaluation.claims.claims import READ_OUT

TOPICS = tuple(f"t{k // 4}" for k in range(96))


def _world(kind, rng, width=32):
    """Activations hold topics and outcomes; utilities follow a direction, the topic, or nothing."""
    topic = 2 * rng.standard_normal((24, width))[np.arange(96) // 4]
    features = topic + rng.standard_normal((96, width))
    noise = rng.standard_normal(96)
    truth = {
        "direction": 2 * features @ rng.standard_normal(width) / np.sqrt(width) + 0.7 * noise,
        "topic": rng.standard_normal(24)[np.arange(96) // 4] + 0.3 * noise,
        "noise": noise,
    }[kind]
    utilities = (truth - truth.mean()) / truth.std()
    target = ProbeTarget(utilities, rng.random(96), 1 + rng.random(96), TOPICS)
    baselines = {
        "topic": [dummies(TOPICS)],
        "random": [rng.standard_normal((96, width))],
    }
    return features, baselines, target


def _found(kind, seed):
    rng = np.random.default_rng(seed)
    features, baselines, target = _world(kind, rng)
    return probe([rng.standard_normal((96, 8)), features], baselines, target, rng)


def _shown(found):
    return READ_OUT.say(found.evidence("here")).shown


def test_a_planted_direction_is_found():
    found = _found("direction", 0)
    assert _shown(found)
    assert found.r2.value > 0.5
    assert found.selectivity.low > 0
    assert found.correlation > 0.7
    assert found.chosen == 1
    assert found.decisiveness < 0.1
    assert found.shuffled.max() < 0.2


def test_a_topic_is_decodable_at_random_and_not_beyond():
    found = _found("topic", 1)
    assert not _shown(found)
    assert found.r2.value < 0.1
    assert found.topical > 0.3
    assert found.by_topic > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["topic", "noise"])
def test_null_worlds_are_seldom_taken_for_a_direction(kind):
    assert sum(_shown(_found(kind, 100 + seed)) for seed in range(6)) == 0


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", ["topic", "noise"])
def test_false_findings_stay_within_the_nominal_rate(kind):
    assert np.mean([_shown(_found(kind, 200 + seed)) for seed in range(100)]) <= 0.05


def test_probe_transfer_tells_a_kept_direction_from_a_turned_one():
    rng = np.random.default_rng(3)
    before, _, old = _world("direction", rng)
    slope = fit_direction(before, old.utilities, old.weights, TOPICS, rng).slope
    kept = probe_transfer(before, before + 0.1 * rng.standard_normal((96, 32)), old, old, rng)
    assert kept.kept.value == pytest.approx(kept.refit.value, abs=0.1)
    assert kept.cosine > 0.9
    turn = np.linalg.qr(rng.standard_normal((32, 32)))[0]
    turned = probe_transfer(before, before @ turn, old, old, rng)
    assert turned.kept.value < 0.2 < turned.refit.value
    assert abs(turned.cosine) < 0.6
    assert np.corrcoef(before @ slope, old.utilities)[0, 1] > 0.8


def test_folds_keep_groups_whole_and_of_like_size():
    fold = folds_of(TOPICS, 10, np.random.default_rng(0))
    assert all(len(set(fold[np.array(TOPICS) == t])) == 1 for t in set(TOPICS))
    assert set(np.bincount(fold)) <= {8, 12}


def test_ridge_is_that_of_the_normal_equations():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((40, 3)), 1 + rng.random(40)
    y = x @ [1.0, -2.0, 0.5] + 5 + 0.01 * rng.standard_normal(40)
    found = fit_direction(x, y, w, list(range(40)), rng)
    assert found.slope == pytest.approx([1, -2, 0.5], abs=0.05)
    assert found.offset == pytest.approx(5, abs=0.05)


def test_more_features_than_outcomes_do_not_explain_noise():
    groups, w, found = list(range(60)), np.ones(60), []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x, y = rng.standard_normal((60, 300)), rng.standard_normal((60, 4))
        out = out_of_fold([x], y, w, groups, folds_of(groups, 5, rng), rng)
        found += [
            explained(y[:, c], out.predicted[:, c], out.by_mean[:, c], w[None])[0] for c in range(4)
        ]
    assert -0.1 < np.mean(found) < 0.02


def test_simple_readings_of_texts():
    assert lengths(["a bc", "d"]).tolist() == [[4, 2], [1, 1]]
    assert bag_of_words(["A b b", "b c", "a"]).tolist() == [[1, 2], [0, 1], [1, 0]]
