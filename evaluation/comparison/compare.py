"""Agreement with the assembly before and after, on held-out pairs, with bootstrap intervals."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy import special

from evaluation.elicitation.elicit import both_orders
from evaluation.stats.intervals import bootstrap_interval, node_weights
from plenary.errors import DataError, NotMeasured
from plenary.preferences import (
    BoolArray,
    ComparisonCounts,
    FloatArray,
    PairShares,
    Targets,
    pair_shares,
)
from plenary.seeding import generator

SMALLEST_P = 1e-9


class ComparisonSettings(BaseModel):
    """How before and after are compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap: int = Field(
        default=2000, ge=100, description="replicates of the bootstrap over held-out outcomes"
    )
    level: float = Field(default=0.95, gt=0, lt=1, description="coverage of every interval")
    false_discovery: float = Field(
        default=0.05, gt=0, lt=1, description="Benjamini-Hochberg rate for moved outcomes"
    )
    retest_level: float = Field(
        default=0.95,
        gt=0,
        lt=1,
        description="quantile of the largest shift under re-asking that a moved outcome exceeds",
    )
    anchors: tuple[str, ...] = Field(
        default=(),
        description="ids of at least 3 outcomes named in advance as unmoved, which set the scale "
        "of the shift if most outcomes are expected to move; none: most are assumed not to",
    )


class ModelAgainstTarget(BaseModel):
    """One model against the target on the pairs compared. Shares and probabilities are in 0..1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agreement: float = Field(
        description="share of pairs whose order-averaged choice is the target's majority"
    )
    low: float = Field(description="lower end of its bootstrap interval over outcomes")
    high: float = Field(description="upper end of its bootstrap interval over outcomes")
    kl: float = Field(description="mean KL(target || model) over pairs, nats; lower is better")
    brier: float = Field(
        description="mean squared difference to the target's probability; lower is better"
    )
    order_gap: float = Field(
        description="mean excess of the first slot, -0.5..0.5; 0 is no order effect"
    )
    order_gap_size: float = Field(description="mean size of a pair's order gap; 0 is none")
    decisiveness: float = Field(description="mean of |2p - 1| over pairs; 1 is always certain")
    undecided: float = Field(
        default=0.0,
        description="share of valid answers that chose neither outcome; each counts as one half "
        "for either",
    )
    mass: float | None = Field(
        description="mean answer mass over all cells asked; None where only counts exist"
    )
    tied: int = Field(
        description="pairs on which the model's choice is exactly even; they count one half"
    )
    unanswered: int = Field(description="target pairs without a valid answer in both orders")


class Comparison(BaseModel):
    """The result: agreement with the target before and after, and the gain with its interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: ModelAgainstTarget
    after: ModelAgainstTarget
    gain: float = Field(description="agreement after minus before; higher is better")
    gain_low: float = Field(
        description="lower end of the gain's paired bootstrap interval over outcomes"
    )
    gain_high: float = Field(description="upper end of it")
    kl_gain: float = Field(description="KL before minus after, nats; higher is better")
    kl_gain_low: float
    kl_gain_high: float
    ceiling: float | None = Field(description="agreement that the target's own reliability allows")
    pairs: int = Field(description="pairs compared")
    outcomes: int = Field(description="outcomes in those pairs, which the bootstrap resamples")
    left_out_even: int = Field(
        description="target pairs left out because the target is exactly even"
    )
    left_out_missing: int = Field(
        description="target pairs left out because target, before or after is missing"
    )
    settings: ComparisonSettings
    seed: int

    @property
    def agreement_before(self) -> float:
        """Agreement of the model before."""
        return self.before.agreement

    @property
    def agreement_after(self) -> float:
        """Agreement of the model after."""
        return self.after.agreement

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(self.model_dump_json(indent=2), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Comparison:
        """Read what `save` wrote; DataError if the file is missing or altered."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise DataError(
                f"cannot read a comparison from {str(path)!r}: {error}; compare again"
            ) from error


class _Scores(NamedTuple):
    """Per pair [P]: agreement in {0, 0.5, 1}, KL in nats, squared error."""

    agreement: FloatArray
    kl: FloatArray
    squared: FloatArray


def pair_kl(p: FloatArray, target: FloatArray) -> FloatArray:
    """KL(target || p) of each pair's choice, nats; lower is closer."""
    q = p.clip(SMALLEST_P, 1 - SMALLEST_P)
    return special.rel_entr(target, q) + special.rel_entr(1 - target, 1 - q)


def _scores(p: FloatArray, target: FloatArray) -> _Scores:
    side = np.sign(p - 0.5) * np.sign(target - 0.5)
    return _Scores((1 + side) / 2, pair_kl(p, target), (p - target) ** 2)


def target_cells(targets: Targets) -> ComparisonCounts:
    """The target as cells [2P] for a fit: half of each pair's votes in each order."""
    shown = both_orders(targets.pairs)
    share = np.stack([targets.p, 1 - targets.p], axis=1).ravel()
    trials = np.where(np.isnan(share), 0.0, np.repeat(targets.weight, 2) / 2)
    wins = np.where(trials > 0, np.nan_to_num(share) * trials, 0.0)
    nothing = np.zeros(len(trials))
    return ComparisonCounts(
        shown[:, 0], shown[:, 1], wins, trials, nothing, np.full(len(trials), np.nan)
    )


def _mean_mass(cells: ComparisonCounts) -> float | None:
    known = cells.mass[~np.isnan(cells.mass)]
    return float(known.mean()) if len(known) else None


def _measure(
    shares: PairShares,
    kept: BoolArray,
    scores: _Scores,
    cells: ComparisonCounts,
    weights: FloatArray,
    level: float,
) -> ModelAgainstTarget:
    p, gap = shares.p[kept], shares.order_gap[kept]
    low, high = bootstrap_interval(scores.agreement, weights, level)
    return ModelAgainstTarget(
        agreement=float(scores.agreement.mean()),
        low=low,
        high=high,
        kl=float(scores.kl.mean()),
        brier=float(scores.squared.mean()),
        order_gap=float(gap.mean()),
        order_gap_size=float(np.abs(gap).mean()),
        decisiveness=float(np.abs(2 * p - 1).mean()),
        undecided=cells.undecided_share,
        mass=_mean_mass(cells),
        tied=int((scores.agreement == 0.5).sum()),
        unanswered=int(np.isnan(shares.p).sum()),
    )


def compare(
    before: ComparisonCounts,
    after: ComparisonCounts,
    target: Targets,
    ceiling: float | None,
    settings: ComparisonSettings,
    seed: int,
) -> Comparison:
    """Compare two elicitations of the same held-out pairs with the target [P].

    Pairs whose target is exactly even, or without a valid answer in one order, are left out and
    counted; nothing is imputed. Both models are judged on the same pairs and the same bootstrap
    draws.
    """
    old, new = pair_shares(before, target.pairs), pair_shares(after, target.pairs)
    missing = np.isnan(old.p) | np.isnan(new.p) | np.isnan(target.p)
    even = ~missing & (target.p == 0.5)
    kept = ~missing & ~even
    if not kept.any():
        raise NotMeasured(
            f"none of {len(target.pairs)} held-out pairs can be compared "
            f"({int(missing.sum())} unanswered, {int(even.sum())} even); "
            "ask more pairs or lower elicitation.min_mass"
        )
    pairs, goal = target.pairs[kept], target.p[kept]
    weights = node_weights(pairs, settings.bootstrap, generator(seed, "comparison", "bootstrap"))
    first, last = _scores(old.p[kept], goal), _scores(new.p[kept], goal)
    gain = bootstrap_interval(last.agreement - first.agreement, weights, settings.level)
    kl_gain = bootstrap_interval(first.kl - last.kl, weights, settings.level)
    return Comparison(
        before=_measure(old, kept, first, before, weights, settings.level),
        after=_measure(new, kept, last, after, weights, settings.level),
        gain=float((last.agreement - first.agreement).mean()),
        gain_low=gain.low,
        gain_high=gain.high,
        kl_gain=float((first.kl - last.kl).mean()),
        kl_gain_low=kl_gain.low,
        kl_gain_high=kl_gain.high,
        ceiling=ceiling,
        pairs=int(kept.sum()),
        outcomes=len(np.unique(pairs)),
        left_out_even=int(even.sum()),
        left_out_missing=int(missing.sum()),
        settings=settings,
        seed=seed,
    )
