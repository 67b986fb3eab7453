"""Estimates of a control experiment: pair scores, means over seeds and outcomes, intervals.

S seeds, P held-out pairs, B bootstrap replicates. Every score is higher for a better answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evaluation.comparison.compare import pair_kl
from plenary.preferences import BoolArray, FloatArray
from plenary.seeding import generator

# Share of the replicates that must draw a pair for an interval to be meaningful
LEAST_DRAWN = 0.95
# Probabilities and targets [P] -> a score of each pair, higher is better
Score = Callable[[FloatArray, FloatArray], FloatArray]


class ScoreEstimate(BaseModel):
    """A figure with its interval over held-out outcomes and seeds together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float = Field(description="mean over seeds")
    low: float = Field(description="lower end")
    high: float = Field(description="upper end")


class Resampling(NamedTuple):
    """Weights [B, P] of the pairs, from resampled outcomes; level of intervals; root seed."""

    weights: FloatArray
    level: float
    seed: int

    def among(self, kept: BoolArray) -> Resampling:
        """The same draws on a subset of the pairs [P]; replicates without any are left out."""
        weights = self.weights[:, kept]
        return self._replace(weights=weights[weights.sum(axis=1) > 0])

    def seeds_of(self, arm: str, seeds: int) -> FloatArray:
        """How often each seed of an arm is drawn [B, S], as a share; the same for every score."""
        rng = generator(self.seed, "sweep", arm)
        return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(self.weights)) / seeds

    def means(self, arm: str, values: FloatArray) -> FloatArray:
        """Bootstrap means [B] of values [S, P]: outcomes by weight, seeds with replacement."""
        times = self.seeds_of(arm, len(values))
        total = self.weights.sum(axis=1)
        return np.einsum("bs,sp,bp->b", times, values, self.weights, optimize=True) / total

    def estimate(self, value: float, draws: FloatArray) -> ScoreEstimate:
        """A figure with the interval of its draws [B]."""
        low, high = np.quantile(draws, [(1 - self.level) / 2, (1 + self.level) / 2])
        return ScoreEstimate(value=value, low=float(low), high=float(high))


def agreement_scores(p: FloatArray, target: FloatArray) -> FloatArray:
    """1 where p is on the target's side of one half, 0 on the other, one half for an even p."""
    return (1 + np.sign(p - 0.5) * np.sign(target - 0.5)) / 2


def overlap(p: FloatArray, target: FloatArray) -> FloatArray:
    """1 - total variation distance: 1 for the target's own shares, 0 for the opposite, certain."""
    return 1 - np.abs(p - target)


def closeness(p: FloatArray, target: FloatArray) -> FloatArray:
    """Negative KL(target || p), nats."""
    return -pair_kl(p, target)


class Compared(NamedTuple):
    """One score over all arms: mean after training, gain, and the reference's lead, by arm."""

    after: dict[str, ScoreEstimate]
    gain: dict[str, ScoreEstimate]
    behind: dict[str, ScoreEstimate]
    before: float


def compared(
    before: FloatArray,
    after: Mapping[str, FloatArray],
    target: FloatArray,
    score: Score,
    resampling: Resampling,
    reference: str,
) -> Compared:
    """One score of every arm's answers [S, P]; leads are paired by outcome, not by seed."""
    old = score(before, target)
    base = resampling.means("", old[None])
    found = Compared({}, {}, {}, float(old.mean()))
    draws = {}
    for name, answers in after.items():
        gains = score(answers, target) - old
        draws[name] = resampling.means(name, gains)
        found.gain[name] = resampling.estimate(float(gains.mean()), draws[name])
        level = float(gains.mean()) + found.before
        found.after[name] = resampling.estimate(level, draws[name] + base)
    for name in after:
        if reference in after and name != reference:
            lead = found.gain[reference].value - found.gain[name].value
            found.behind[name] = resampling.estimate(lead, draws[reference] - draws[name])
    return found


class Contrast(BaseModel):
    """The assembly's lead where an arm's own target has the opposite majority.

    Which pairs these are depends on the two targets and on no answer. 0 means that the two models
    cannot be told apart there, 1 that each follows its own majority on every pair.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairs: float = Field(description="such held-out pairs, mean over seeds")
    lead: ScoreEstimate | None = Field(
        description="agreement with the assembly's majority, its arm's minus this one's; None "
        "without such pairs, or if they are too few for an interval"
    )


def contrast(
    arm: str,
    apart: BoolArray,
    scores: FloatArray,
    reference: str,
    reference_scores: FloatArray,
    resampling: Resampling,
) -> Contrast:
    """Lead of the reference's scores [S', P] over an arm's [S, P] on pairs in `apart` [S, P]."""
    count = float(apart.sum(axis=1).mean())
    lead = np.where(apart, reference_scores.mean(axis=0) - scores, 0.0)
    w = resampling.weights
    own = resampling.seeds_of(arm, len(scores))
    led = resampling.seeds_of(reference, len(reference_scores)) @ reference_scores
    counts = own @ apart
    top = (w * (counts * led - own @ np.where(apart, scores, 0.0))).sum(axis=1)
    bottom = (w * counts).sum(axis=1)
    drawn = bottom > 0
    if drawn.mean() < LEAST_DRAWN:
        return Contrast(pairs=count, lead=None)
    value = float(lead.sum() / apart.sum())
    return Contrast(pairs=count, lead=resampling.estimate(value, top[drawn] / bottom[drawn]))


class WordingGain(BaseModel):
    """The effect of training in one wording on wordings that were not trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(description="gain there, mean of wordings, over gain in the trained one")
    worst: float = Field(description="the same of the wording with the smallest gain")
    above_half: ScoreEstimate = Field(
        description="gain there minus half of the gain in the trained wording; an interval above "
        "0 means that at least half of it is not due to the wording"
    )

    @property
    def kept(self) -> bool:
        """Whether at least half of the gain is found in untrained wordings."""
        return self.above_half.low > 0


def wording_gain(
    arm: str, trained: FloatArray, untrained: Sequence[FloatArray], resampling: Resampling
) -> WordingGain | None:
    """From gains [S, P] in the trained wording and in each other; None if nothing was gained.

    Pairs that any wording left unanswered (NaN) are left out.
    """
    whole = np.asarray(~np.isnan([trained, *untrained]).any(axis=(0, 1)))
    if not untrained or not whole.any() or trained[:, whole].mean() <= 0:
        return None
    gain = trained[:, whole]
    others = np.array(untrained)[:, :, whole]
    above = others.mean(axis=0) - gain / 2
    resampled = resampling.among(whole)
    return WordingGain(
        share=float(others.mean() / gain.mean()),
        worst=float(others.mean(axis=(1, 2)).min() / gain.mean()),
        above_half=resampled.estimate(float(above.mean()), resampled.means(arm, above)),
    )
