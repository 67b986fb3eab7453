"""From targets to training examples: every pair in both presentation orders and in each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.frames import FRAMES, LABELS, Frame, question
from plenary.chat.base import Conversation
from plenary.errors import ConfigError, DataError
from plenary.preferences import BoolArray, Targets


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt and the distribution its answer should have.

    messages: the forced choice as asked.
    p_first: target probability that the outcome shown first (label A) is chosen.
    weight: relative weight; the mean over all examples is 1.
    labels: what answers the first outcome, the second, and none of them where that is offered; the
    target gives the last nothing.
    """

    messages: Conversation
    p_first: float
    weight: float
    labels: tuple[str, ...] = LABELS


def training_frames(names: Sequence[str]) -> list[Frame]:
    """The frames with the given ids; ConfigError for one that cannot be trained on.

    That is one kept for evaluation, or one that asks for reasons first: targets hold no reasons.
    """
    trainable = [f.id for f in FRAMES.values() if f.trainable and f.after_reasoning is None]
    for name in names:
        if name not in trainable:
            raise ConfigError(f"frame {name!r} cannot be trained on; use {', '.join(trainable)}")
    return [FRAMES[name] for name in names]


def examples(texts: Sequence[str], targets: Targets, frames: Sequence[Frame]) -> list[Example]:
    """Examples [P * F * 2]: pair by pair, frame by frame, first as given and then swapped.

    Pairs of weight 0 are left out. Weights are proportional to the effective votes behind a pair.
    """
    used = np.flatnonzero(_usable(targets, len(texts)))
    scale = targets.weight[used].mean()
    built: list[Example] = []
    for k in used:
        a, b = texts[int(targets.pairs[k, 0])], texts[int(targets.pairs[k, 1])]
        p, weight = float(targets.p[k]), float(targets.weight[k] / scale)
        for frame in frames:
            built.append(Example(question(frame, a, b), p, weight, frame.labels))
            built.append(Example(question(frame, b, a), 1.0 - p, weight, frame.labels))
    return built


def _usable(targets: Targets, outcomes: int) -> BoolArray:
    """Mask [P] of the pairs that teach something; DataError for values that mean nothing."""
    pairs, p, weight = targets.pairs, targets.p, targets.weight
    if len({len(pairs), len(p), len(weight)}) > 1:
        raise DataError(
            f"targets of {len(pairs)} pairs, {len(p)} shares and {len(weight)} weights; match them"
        )
    if np.any(~np.isfinite(weight)) or np.any(weight < 0):
        odd = float(weight[~(weight >= 0) | ~np.isfinite(weight)][0])
        raise DataError(f"target weight {odd!r}; give a finite number of votes, at least 0")
    used = weight > 0
    if not used.any():
        raise DataError(f"none of {len(p)!r} target pairs has weight; let an assembly vote on them")
    inside = (p >= 0) & (p <= 1)
    if np.any(used & ~inside):
        odd = float(p[used & ~inside][0])
        raise DataError(f"target share {odd!r}; give a probability, or the pair weight 0")
    if pairs[used].min() < 0 or pairs[used].max() >= outcomes:
        low, high = int(pairs[used].min()), int(pairs[used].max())
        raise DataError(
            f"target pairs name outcomes {low!r} to {high!r} of {outcomes}; give their catalogue"
        )
    return used
