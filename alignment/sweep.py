"""Arms side by side: means over seeds with intervals over outcomes and seeds, and against controls.

A cell is one arm with one seed. S seeds, P held-out pairs, B bootstrap replicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from alignment.experiment import ArmResult
from evaluation.comparison import ComparisonSettings, node_weights
from plenary.errors import DataError
from plenary.preferences import FloatArray, Targets
from plenary.seeding import generator

REFERENCE = "assembly"


class Estimate(BaseModel):
    """A figure with its 95 % interval over held-out outcomes and seeds together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float = Field(description="mean over seeds")
    low: float = Field(description="lower end")
    high: float = Field(description="upper end")


class ArmRow(BaseModel):
    """One arm over its seeds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arm: str = Field(description="name of the arm or dose")
    seeds: int = Field(description="seeds it was run with")
    agreement: Estimate = Field(description="agreement with the assembly's majority")
    gain: Estimate = Field(description="agreement after minus before")
    behind: Estimate | None = Field(
        description="the assembly arm's gain minus this one's, same pairs; None for that arm itself"
    )
    of_ceiling: float = Field(description="agreement over the panel's reliability ceiling")
    kl: float = Field(description="KL(assembly || model) on held-out pairs, nats; lower is better")
    directional_gain: float = Field(description="1 is the full move to the assembly's shares")
    side_effect: float | None = Field(description="0 straight to the target; 1 all of it beside")
    wording_share: float | None = Field(
        description="gain in untrained wordings over gain in the trained one; None where either "
        "is missing or nothing was gained"
    )
    incoherence: float = Field(description="change of disagreement between wordings, nats")
    drift_untouched: float | None = Field(description="mean |change| on topics never trained on")
    kl_neutral: float = Field(description="KL(base || model) on neutral text, nats a position")
    bits: float | None = Field(description="rise of bits per byte on neutral text")
    accuracy: float | None = Field(description="change of right answers on the retention items")
    verdicts: dict[str, str] = Field(description="retention verdict of the worst seed, by figure")
    seconds: float = Field(description="mean wall time of a cell")


class DoseSummary(BaseModel):
    """What a dose curve comes to. Half: directional gain 0.5, half of the way to the assembly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    axis: str = Field(description="data, steps, rank, or rebound=STEPS")
    half_steps: float | None = Field(description="steps to half; None: no dose reached it")
    half_kl: float | None = Field(description="KL on neutral text at half, nats; None likewise")
    left: float | None = Field(
        description="share of the gain left after neutral text; rebound only"
    )


class SweepTable(BaseModel):
    """Arms by metrics."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agreement_before: float = Field(description="agreement of the untrained model")
    ceiling: float = Field(description="agreement of two independent panels")
    pairs: int = Field(description="held-out pairs with a majority")
    rows: tuple[ArmRow, ...] = Field(description="one an arm")
    doses: tuple[DoseSummary, ...] = Field(default=(), description="one a dose axis")

    def row(self, arm: str) -> ArmRow:
        """The row of an arm."""
        return next(row for row in self.rows if row.arm == arm)


class _Scores(NamedTuple):
    """Agreement with the majority after training [S, P], and of the base model [P]."""

    after: FloatArray
    before: FloatArray


def agreement_scores(p: FloatArray, target: FloatArray) -> FloatArray:
    """1 where p is on the target's side of one half, 0 on the other, one half for an even p."""
    return (1 + np.sign(p - 0.5) * np.sign(target - 0.5)) / 2


def sweep_table(
    results: Sequence[ArmResult],
    held_out: Targets,
    ceiling: float,
    settings: ComparisonSettings,
    seed: int,
) -> SweepTable:
    """Summarise the cells; DataError when arms have no seed, or pairs, in common."""
    groups = {name: [r for r in results if r.arm == name] for name in {r.arm: 0 for r in results}}
    kept = _judged(results, held_out)
    target = held_out.p[kept]
    scores = {name: _scores_of(group, kept, target) for name, group in groups.items()}
    rng = generator(seed, "sweep", "bootstrap")
    weights = node_weights(held_out.pairs[kept], settings.bootstrap, rng)
    draws = {
        name: _draws(s.after - s.before, weights, generator(seed, "sweep", name))
        for name, s in scores.items()
    }
    reference = draws.get(REFERENCE)
    rows = []
    for name, group in groups.items():
        gain = (scores[name].after - scores[name].before).mean()
        behind = None
        if reference is not None and name != REFERENCE:
            lead = (scores[REFERENCE].after - scores[REFERENCE].before).mean() - gain
            behind = _estimate(float(lead), reference - draws[name], settings.level)
        base = weights @ scores[name].before / weights.sum(axis=1)
        rows.append(
            _row(
                group,
                ceiling,
                _estimate(float(scores[name].after.mean()), draws[name] + base, settings.level),
                _estimate(float(gain), draws[name], settings.level),
                behind,
            )
        )
    first = next(iter(scores.values()))
    return SweepTable(
        agreement_before=float(first.before.mean()),
        ceiling=ceiling,
        pairs=int(kept.sum()),
        rows=tuple(rows),
    )


def _judged(results: Sequence[ArmResult], held_out: Targets) -> np.ndarray:
    """Mask [P] of pairs with a majority that every cell answered: all arms are judged on these."""
    if not results:
        raise DataError("no cell of a sweep is done; run plenary sweep with at least one arm")
    if any(len(result.after) != len(held_out.p) for result in results):
        sizes = sorted({len(result.after) for result in results})
        raise DataError(f"cells of {sizes!r} pairs and {len(held_out.p)} targets; sweep again")
    everything = np.array([[*r.before, *r.after] for r in results]).reshape(-1, len(held_out.p))
    return np.asarray(~np.isnan(everything).any(axis=0) & (held_out.p != 0.5))


def _scores_of(group: Sequence[ArmResult], kept: np.ndarray, target: FloatArray) -> _Scores:
    after = np.array([agreement_scores(np.array(r.after)[kept], target) for r in group])
    return _Scores(after, agreement_scores(np.array(group[0].before)[kept], target))


def _draws(gains: FloatArray, weights: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Bootstrap means [B] of gains [S, P]: outcomes by `weights` [B, P], seeds with replacement."""
    seeds = len(gains)
    times = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(weights)) / seeds
    return np.einsum("bs,sp,bp->b", times, gains, weights) / weights.sum(axis=1)


def _estimate(value: float, draws: FloatArray, level: float) -> Estimate:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value=value, low=float(low), high=float(high))


def _row(
    group: Sequence[ArmResult],
    ceiling: float,
    agreement: Estimate,
    gain: Estimate,
    behind: Estimate | None,
) -> ArmRow:
    kept = [result.retention for result in group if result.retention is not None]
    return ArmRow(
        arm=group[0].arm,
        seeds=len(group),
        agreement=agreement,
        gain=gain,
        behind=behind,
        of_ceiling=agreement.value / ceiling,
        kl=_mean([r.comparison.after.kl for r in group]),
        directional_gain=_mean([r.directional_gain for r in group]),
        side_effect=_mean_known([r.side_effect for r in group]),
        wording_share=wording_share(group),
        incoherence=_mean([r.incoherence - r.incoherence_before for r in group]),
        drift_untouched=_mean_known([r.drift_untouched for r in group]),
        kl_neutral=_mean([r.kl_neutral for r in group]),
        bits=_mean([k.finding("bits_per_byte").loss for k in kept]) if kept else None,
        accuracy=-_mean([k.finding("accuracy").loss for k in kept]) if kept else None,
        verdicts={
            found.what: _worst([k.finding(found.what).verdict for k in kept])
            for found in (kept[0].findings if kept else ())
        },
        seconds=_mean([r.seconds for r in group]),
    )


def wording_share(group: Sequence[ArmResult]) -> float | None:
    """Mean gain in untrained wordings over mean gain in the trained one, both over seeds."""
    held = [gain for result in group for gain in result.wording_gains.values()]
    trained = _mean([result.gain for result in group])
    return _mean(held) / trained if held and trained > 0 else None


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _mean_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if known else None


def _worst(verdicts: Sequence[str]) -> str:
    return next(v for v in ("lost", "undecided", "kept") if v in verdicts)
