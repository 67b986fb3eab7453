"""Who gains: agreement with each stratum's (subgroup's) own majority, and the worst stratum.

G strata of one panel, P held-out pairs, B bootstrap replicates. A stratum's target is the consensus
of its own citizens on the same ballots, so no new ballot is cast.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from evaluation.comparison.compare import ComparisonSettings
from evaluation.stats.intervals import node_weights
from plenary.errors import DataError
from plenary.preferences import FloatArray, IntArray, Targets
from plenary.seeding import generator


class StratumChange(BaseModel):
    """Agreement of a model with one stratum's majority."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stratum: str = Field(description="name of the stratum")
    pairs: int = Field(description="held-out pairs on which the stratum has a majority")
    before: float = Field(description="agreement before training")
    after: float = Field(description="agreement after training")
    change: float = Field(description="after minus before; higher is better")
    low: float = Field(description="lower end of its bootstrap interval over outcomes")
    high: float = Field(description="upper end of it")


class Composition(BaseModel):
    """All strata, and the change for the worst one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strata: tuple[StratumChange, ...] = Field(description="one per stratum")
    worst_before: float = Field(
        description="agreement of the stratum that the base agrees with least"
    )
    worst_after: float = Field(description="the same after training; may be another stratum")
    worst_level: float = Field(description="worst_after minus worst_before; higher is better")
    worst_level_low: float = Field(description="lower end of its bootstrap interval")
    worst_level_high: float = Field(description="upper end of it")
    worst_change: float = Field(description="change of the stratum that gained least")
    least_gaining: str = Field(description="that stratum")


class _Scored(NamedTuple):
    """For one stratum [P]: whether a pair counts, and agreement before and after."""

    kept: FloatArray
    before: FloatArray
    after: FloatArray


def composition(
    before: FloatArray,
    after: FloatArray,
    pairs: IntArray,
    strata: Mapping[str, Targets],
    settings: ComparisonSettings,
    seed: int,
) -> Composition:
    """From probabilities [P] on `pairs` before and after, and each stratum's targets.

    Pairs on which a stratum did not vote, or is even, do not count for it. All strata share the
    bootstrap draws of outcomes. The minimum over strata is biased low if strata are small.
    """
    if not strata:
        raise DataError("there is no stratum to compare; name an attribute that divides the panel")
    scored = {name: _scored(before, after, pairs, target) for name, target in strata.items()}
    weights = node_weights(pairs, settings.bootstrap, generator(seed, "composition"))
    tails = [(1 - settings.level) / 2, (1 + settings.level) / 2]
    ones = np.ones((1, len(pairs)))
    rows, olds, news = [], [], []
    for name, scores in scored.items():
        (old,), (new,) = _agreement(scores, ones)
        old_draws, new_draws = _agreement(scores, weights)
        low, high = np.nanquantile(new_draws - old_draws, tails)
        rows.append(
            StratumChange(
                stratum=name,
                pairs=int(scores.kept.sum()),
                before=float(old),
                after=float(new),
                change=float(new - old),
                low=float(low),
                high=float(high),
            )
        )
        olds.append(old_draws)
        news.append(new_draws)
    level = np.nanquantile(np.min(news, axis=0) - np.min(olds, axis=0), tails)
    least = min(rows, key=lambda row: row.change)
    worst = [min(getattr(row, when) for row in rows) for when in ("before", "after")]
    return Composition(
        strata=tuple(rows), worst_before=worst[0], worst_after=worst[1],
        worst_level=worst[1] - worst[0], worst_level_low=float(level[0]),
        worst_level_high=float(level[1]), worst_change=least.change, least_gaining=least.stratum,
    )  # fmt: skip


def _scored(before: FloatArray, after: FloatArray, pairs: IntArray, target: Targets) -> _Scored:
    known = {(int(a), int(b)): float(p) for (a, b), p in zip(target.pairs, target.p, strict=True)}
    side = np.sign(np.array([known.get((int(a), int(b)), 0.5) for a, b in pairs]) - 0.5)
    kept = (side != 0) & ~np.isnan(before) & ~np.isnan(after)
    if not kept.any():
        raise DataError(f"a stratum has no majority on any of {len(pairs)!r} pairs; leave it out")
    old, new = ((1 + np.sign(np.nan_to_num(p, nan=0.5) - 0.5) * side) / 2 for p in (before, after))
    return _Scored(kept.astype(float), old, new)


def _agreement(scores: _Scored, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted agreement before and after [B]; NaN in a replicate without a pair."""
    total = weights @ scores.kept
    share = [
        np.divide(
            weights @ (scores.kept * side), total, out=np.full(len(total), np.nan), where=total > 0
        )
        for side in (scores.before, scores.after)
    ]
    return share[0], share[1]
