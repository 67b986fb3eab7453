"""What the targets become before training: the objectives, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from plenary.preferences import Targets

Objective = Callable[[Targets], Targets]


def vote_shares(targets: Targets) -> Targets:
    """The targets as they are: cross-entropy to the assembly's distribution."""
    return targets


def majority_answers(targets: Targets) -> Targets:
    """Each pair's majority answer with certainty; ties (p = 0.5) teach nothing and get weight 0."""
    weight = np.where(targets.p == 0.5, 0.0, targets.weight)
    return Targets(targets.pairs, (targets.p > 0.5).astype(np.float64), weight)


OBJECTIVES: dict[str, Objective] = {"soft_sft": vote_shares, "sft": majority_answers}
