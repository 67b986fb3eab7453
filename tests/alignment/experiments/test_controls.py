from __future__ import annotations

import numpy as np
import pytest

from alignment.experiments.controls import (
    CONTROL_TARGETS,
    EMPTY_ARMS,
    SPEAKING_ARMS,
    ControlEvidence,
    ControlTarget,
    condition,
    own_target,
)
from plenary.errors import ConfigError, DataError
from plenary.preferences import Targets
from plenary.seeding import generator


@pytest.fixture
def evidence(texts: tuple[str, ...], targets: Targets) -> ControlEvidence:
    rng = generator(3, "citizens")
    shares = rng.random((4, len(targets.p)))
    shares[2] = np.nan
    shares[1, :5] = np.nan
    before = Targets(targets.pairs, 1 - targets.p, targets.weight)
    asked = Targets(targets.pairs, targets.p**2, targets.weight)
    return ControlEvidence(texts, targets, before, asked, shares, np.array([1.0, 2.0, 9.0, 0.5]))


def trained(evidence: ControlEvidence, name: str, seed: int = 0) -> Targets:
    made = condition(name, evidence, generator(seed, "arm", name))
    assert made.targets is not None
    assert made.system is None
    return made.targets


def test_shuffling_keeps_votes_together_and_moves_them(evidence: ControlEvidence) -> None:
    found, real = trained(evidence, "shuffled"), evidence.assembly
    assert np.array_equal(found.pairs, real.pairs)
    assert sorted(zip(found.p, found.weight, strict=True)) == sorted(
        zip(real.p, real.weight, strict=True)
    )
    assert not np.array_equal(found.p, real.p)
    assert not np.array_equal(found.p, trained(evidence, "shuffled", 1).p)


def test_a_stranger_is_coherent_and_as_decisive(evidence: ControlEvidence) -> None:
    found, real = trained(evidence, "random"), evidence.assembly
    assert np.allclose(np.sort(np.abs(found.p - 0.5)), np.sort(np.abs(real.p - 0.5)))
    wins = np.zeros((len(evidence.texts),) * 2, dtype=bool)
    for (a, b), p in zip(found.pairs, found.p, strict=True):
        wins[a, b], wins[b, a] = p > 0.5, p < 0.5
    # A transitive tournament has every number of wins once.
    assert sorted(wins.sum(axis=1)) == list(range(len(evidence.texts)))


def test_the_stranger_has_nothing_of_the_assembly(evidence: ControlEvidence) -> None:
    same = [
        np.mean((trained(evidence, "random", s).p > 0.5) == (evidence.assembly.p > 0.5))
        for s in range(200)
    ]
    assert abs(np.mean(same) - 0.5) < 0.06


def test_one_citizen_speaks_for_himself(evidence: ControlEvidence) -> None:
    drawn = [trained(evidence, "single_citizen", s) for s in range(60)]
    sizes = {len(found.p) for found in drawn}
    assert sizes == {
        15,
        10,
    }  # the citizen without five ballots has ten; the silent one never speaks
    for found in drawn:
        rows = evidence.citizens[:, -len(found.p) :]
        assert any(np.array_equal(found.p, row) for row in rows)


def test_the_same_citizen_and_stranger_speak_of_other_pairs(evidence: ControlEvidence) -> None:
    """The elsewhere is here, and citizens that are silent there do not change who is drawn."""
    silent = evidence.citizens.copy()
    silent[1] = np.nan
    elsewhere = ControlEvidence(
        evidence.texts, evidence.assembly, evidence.undiscussed, evidence.unprompted, silent,
        evidence.weight,
    )  # fmt: skip
    lost = 0
    for arm in CONTROL_TARGETS:
        for seed in range(12):
            rng = generator(seed, "arm", arm)
            said = own_target(arm, evidence, elsewhere, rng)
            if arm not in SPEAKING_ARMS:
                assert said is None
                continue
            assert said is not None
            if arm == "single_citizen" and not len(said.p):
                lost += 1
                continue
            assert np.array_equal(said.p, trained(evidence, arm, seed).p)
    assert 0 < lost < 12


def test_format_alone_prefers_nothing(evidence: ControlEvidence) -> None:
    assert set(trained(evidence, "format_only").p) == {0.5}


def test_the_prompt_tells_true_decisions_on_clear_pairs(evidence: ControlEvidence) -> None:
    made: ControlTarget = condition("prompt_only", evidence, generator(0, "arm"))
    assert made.targets is None
    assert made.system is not None
    lines = made.system.splitlines()[1:]
    said = {
        f"- {evidence.texts[a]} is better than {evidence.texts[b]}": max(p, 1 - p)
        for (a, b), p in zip(
            [
                pair if p > 0.5 else pair[::-1]
                for pair, p in zip(evidence.assembly.pairs, evidence.assembly.p, strict=True)
            ],
            evidence.assembly.p,
            strict=True,
        )
    }
    assert len(lines) == 8
    for line in lines:
        head, _, share = line.rpartition(" (")
        assert share == f"{said[head]:.0%})."
        assert said[head] - 0.5 >= np.median(np.abs(evidence.assembly.p - 0.5)) - 1e-12


def test_every_arm_is_known_and_others_are_refused(evidence: ControlEvidence) -> None:
    assert set(EMPTY_ARMS) < set(CONTROL_TARGETS)
    assert trained(evidence, "assembly") is evidence.assembly
    assert trained(evidence, "pre_deliberation") is evidence.undiscussed
    assert trained(evidence, "no_persona") is evidence.unprompted
    with pytest.raises(ConfigError, match="unknown arm 'placebo'; use one of assembly"):
        condition("placebo", evidence, generator(0))


def test_an_assembly_without_ballots_has_no_citizen(evidence: ControlEvidence) -> None:
    silent = ControlEvidence(
        evidence.texts, evidence.assembly, evidence.undiscussed, evidence.unprompted,
        np.full((2, 15), np.nan), np.ones(2),
    )  # fmt: skip
    with pytest.raises(DataError, match="none of 2 citizens"):
        condition("single_citizen", silent, generator(0))
