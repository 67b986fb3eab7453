"""The arms of the control experiment, where one is added: shuffled, pre-deliberation, persona-free.

`assembly` is the treatment. Every other arm removes one ingredient, so that a gain shared by it and
the assembly arm is not due to the assembly. P training pairs, C citizens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from plenary.errors import ConfigError, DataError
from plenary.preferences import FloatArray, Targets

TOLD_PAIRS = 12
TOLD = (
    "An assembly of citizens compared outcomes in pairs. Answer as the assembly would. "
    "It decided:\n{decisions}"
)


@dataclass(frozen=True, slots=True)
class ControlEvidence:
    """What the arms are made from, all on the training pairs.

    texts [K]: the outcomes. assembly, undiscussed, unprompted: shares after the discussion, before
    it, and of the citizens' model asked without any persona. citizens [C, P]: each citizen's share
    after the discussion on assembly.pairs, NaN without a valid ballot. weight [C]: their weights.
    """

    texts: Sequence[str]
    assembly: Targets
    undiscussed: Targets
    unprompted: Targets
    citizens: FloatArray
    weight: FloatArray


class ControlTarget(NamedTuple):
    """The treatment: training toward `targets`, if any, and the system prompt `system`, if any."""

    targets: Targets | None
    system: str | None = None


Arm = Callable[[ControlEvidence, np.random.Generator], ControlTarget]


def assembly(evidence: ControlEvidence, rng: np.random.Generator) -> ControlTarget:
    """The assembly's shares after the discussion."""
    return ControlTarget(evidence.assembly)


def shuffled(evidence: ControlEvidence, rng: np.random.Generator) -> ControlTarget:
    """The same shares and weights, shuffled over the pairs: the right format and spread."""
    targets = evidence.assembly
    dealt = rng.permutation(len(targets.p))
    return ControlTarget(Targets(targets.pairs, targets.p[dealt], targets.weight[dealt]))


def random_utilities(evidence: ControlEvidence, rng: np.random.Generator) -> ControlTarget:
    """Shares from random but coherent utilities, as decisive as the assembly.

    Unlike shuffled shares, these fit a utility function, so coherence as such is controlled for.
    """
    targets = evidence.assembly
    utility = rng.standard_normal(len(evidence.texts))
    gap = utility[targets.pairs[:, 0]] - utility[targets.pairs[:, 1]]
    # Quantile by quantile: the assembly's own values of |p - 0.5|, on the random utilities' sides.
    sizes = np.sort(np.abs(targets.p - 0.5))[np.argsort(np.argsort(np.abs(gap)))]
    return ControlTarget(Targets(targets.pairs, 0.5 + np.sign(gap) * sizes, targets.weight))


def single_citizen(evidence: ControlEvidence, rng: np.random.Generator) -> ControlTarget:
    """One citizen's shares, the citizen drawn by weight; pairs they did not vote on are out."""
    return ControlTarget(_shares_of(evidence, _speaker(evidence, rng)))


def no_persona(evidence: ControlEvidence, rng: np.random.Generator) -> ControlTarget:
    """The citizens' model asked without a persona: the effect of training on its own answers."""
    return ControlTarget(evidence.unprompted)


def pre_deliberation(evidence: ControlEvidence, rng: np.random.Generator) -> ControlTarget:
    """The same citizens' shares before they heard one another."""
    return ControlTarget(evidence.undiscussed)


def format_only(evidence: ControlEvidence, rng: np.random.Generator) -> ControlTarget:
    """One half on every pair in both orders: the answer format without any preference."""
    pairs = evidence.assembly.pairs
    return ControlTarget(_even(pairs, np.full(len(pairs), 0.5)))


def prompt_only(evidence: ControlEvidence, rng: np.random.Generator) -> ControlTarget:
    """No training: some of the assembly's decisions, drawn by decisiveness, in the prompt."""
    targets = evidence.assembly
    clear = np.flatnonzero(np.abs(targets.p - 0.5) >= np.median(np.abs(targets.p - 0.5)))
    drawn = rng.choice(clear, size=min(TOLD_PAIRS, len(clear)), replace=False)
    lines = [_decision(evidence.texts, targets, int(k)) for k in drawn]
    return ControlTarget(None, TOLD.format(decisions="\n".join(lines)))


CONTROL_TARGETS: dict[str, Arm] = {
    "assembly": assembly,
    "pre_deliberation": pre_deliberation,
    "no_persona": no_persona,
    "single_citizen": single_citizen,
    "shuffled": shuffled,
    "random": random_utilities,
    "format_only": format_only,
    "prompt_only": prompt_only,
}
# Arms whose targets are also defined on pairs other than the training pairs.
SPEAKING_ARMS = ("pre_deliberation", "no_persona", "single_citizen", "random")
# Arms that contain nothing the assembly decided; the others share part of it by design.
EMPTY_ARMS = ("no_persona", "shuffled", "random", "format_only")


def condition(name: str, evidence: ControlEvidence, rng: np.random.Generator) -> ControlTarget:
    """The treatment of the arm called `name`; ConfigError if there is none."""
    if name not in CONTROL_TARGETS:
        raise ConfigError(f"unknown arm {name!r}; use one of {', '.join(CONTROL_TARGETS)}")
    return CONTROL_TARGETS[name](evidence, rng)


def own_target(
    name: str, evidence: ControlEvidence, elsewhere: ControlEvidence, rng: np.random.Generator
) -> Targets | None:
    """The target of an arm on other pairs; None for an arm whose target is undefined there.

    evidence: what the arm trained on; elsewhere: the same for other pairs; rng: in the state in
    which `condition` got it, so that the same citizen or the same utilities are drawn.
    """
    if name not in SPEAKING_ARMS:
        return None
    if name == "single_citizen":
        return _shares_of(elsewhere, _speaker(evidence, rng))
    return condition(name, elsewhere, rng).targets


def _speaker(evidence: ControlEvidence, rng: np.random.Generator) -> int:
    """One of the citizens with a valid ballot, drawn by weight."""
    voted = (~np.isnan(evidence.citizens)).any(axis=1) * evidence.weight
    if not voted.sum() > 0:
        raise DataError(f"none of {len(voted)!r} citizens has a valid ballot; convene again")
    return int(rng.choice(len(voted), p=voted / voted.sum()))


def _shares_of(evidence: ControlEvidence, citizen: int) -> Targets:
    shares = evidence.citizens[citizen]
    kept = ~np.isnan(shares)
    return _even(evidence.assembly.pairs[kept], shares[kept])


def _even(pairs: np.ndarray, p: FloatArray) -> Targets:
    return Targets(pairs, p, np.ones(len(p)))


def _decision(texts: Sequence[str], targets: Targets, k: int) -> str:
    better, worse = targets.pairs[k] if targets.p[k] >= 0.5 else targets.pairs[k][::-1]
    share = max(targets.p[k], 1 - targets.p[k])
    return f"- {texts[better]} is better than {texts[worse]} ({share:.0%})."
