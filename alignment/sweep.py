"""Arms side by side: means over seeds with intervals over outcomes and seeds, and against controls.

A cell is one arm with one seed. S seeds, P held-out pairs, B bootstrap replicates. Agreement counts
sides only, so arms whose own targets have nearly the assembly's majorities cannot be far behind in
it; KL to the assembly's shares tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from alignment.arms import ARMS
from alignment.experiment import ArmResult
from evaluation.comparison import ComparisonSettings, node_weights, pair_kl
from plenary.errors import DataError
from plenary.preferences import BoolArray, FloatArray, Targets
from plenary.seeding import generator

REFERENCE = "assembly"
# Probabilities and targets [P] -> a score of each pair, higher is better
Score = Callable[[FloatArray, FloatArray], FloatArray]


class Estimate(BaseModel):
    """A figure with its 95 % interval over held-out outcomes and seeds together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float = Field(description="mean over seeds")
    low: float = Field(description="lower end")
    high: float = Field(description="upper end")


class Likeness(BaseModel):
    """How much of the assembly's content an arm's own training target holds, on training pairs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agreement: float = Field(description="share of pairs with the assembly's majority")
    kl: float = Field(description="mean KL(assembly || own target), nats; 0 is the same target")


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
    kl_gain: Estimate = Field(description="that KL before minus after; higher is better")
    kl_behind: Estimate | None = Field(
        description="the assembly arm's kl_gain minus this one's; None for that arm itself"
    )
    likeness: Likeness | None = Field(
        description="this arm's own training target against the assembly's; None: nothing trained"
    )
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
    empty: float | None = Field(description="rise of the share of free replies that are empty")
    repeated: float | None = Field(description="rise of the share of repeated four-word runs")
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
    kl_before: float = Field(description="KL(assembly || untrained model), nats")
    ceiling: float = Field(description="agreement of two independent panels")
    pairs: int = Field(description="held-out pairs with a majority")
    rows: tuple[ArmRow, ...] = Field(description="one an arm")
    doses: tuple[DoseSummary, ...] = Field(default=(), description="one a dose axis")

    def row(self, arm: str) -> ArmRow:
        """The row of an arm."""
        return next(row for row in self.rows if row.arm == arm)

    @property
    def controls(self) -> tuple[ArmRow, ...]:
        """Rows of control arms: neither the assembly's own, nor doses, nor other panels."""
        return tuple(row for row in self.rows if row.arm in ARMS and row.arm != REFERENCE)


class _Compared(NamedTuple):
    """One score over all arms: mean after training, gain, and the assembly's lead, by arm."""

    after: dict[str, Estimate]
    gain: dict[str, Estimate]
    behind: dict[str, Estimate]
    before: float


def agreement_scores(p: FloatArray, target: FloatArray) -> FloatArray:
    """1 where p is on the target's side of one half, 0 on the other, one half for an even p."""
    return (1 + np.sign(p - 0.5) * np.sign(target - 0.5)) / 2


def likeness(made: Sequence[Targets], assembly: Targets) -> Likeness:
    """An arm's training targets, one a seed, against the assembly's on the pairs both hold."""
    place = {(int(a), int(b)): k for k, (a, b) in enumerate(assembly.pairs)}
    agreed, apart = [], []
    for targets in made:
        p = assembly.p[[place[int(a), int(b)] for a, b in targets.pairs]]
        sided = p != 0.5
        agreed.append(agreement_scores(targets.p[sided], p[sided]).mean())
        apart.append(pair_kl(targets.p, p).mean())
    return Likeness(agreement=float(np.mean(agreed)), kl=float(np.mean(apart)))


def sweep_table(
    results: Sequence[ArmResult],
    held_out: Targets,
    ceiling: float,
    settings: ComparisonSettings,
    seed: int,
    own: Mapping[str, Likeness] | None = None,
) -> SweepTable:
    """Summarise the cells; DataError when arms have no seed, or pairs, in common.

    own: by arm, its own target against the assembly's.
    """
    groups = {name: [r for r in results if r.arm == name] for name in {r.arm: 0 for r in results}}
    kept = _judged(results, held_out)
    weights = node_weights(
        held_out.pairs[kept], settings.bootstrap, generator(seed, "sweep", "bootstrap")
    )
    sides, shares = (
        _compared(groups, kept, held_out.p[kept], score, weights, settings.level, seed)
        for score in (agreement_scores, _closeness)
    )
    return SweepTable(
        agreement_before=sides.before,
        kl_before=-shares.before,
        ceiling=ceiling,
        pairs=int(kept.sum()),
        rows=tuple(
            _row(group, ceiling, sides, shares, (own or {}).get(name))
            for name, group in groups.items()
        ),
    )


def _closeness(p: FloatArray, target: FloatArray) -> FloatArray:
    return -pair_kl(p, target)


def _compared(
    groups: Mapping[str, Sequence[ArmResult]],
    kept: BoolArray,
    target: FloatArray,
    score: Score,
    weights: FloatArray,
    level: float,
    seed: int,
) -> _Compared:
    """One score of every arm; the assembly's lead is paired by outcome, seeds are drawn apart."""
    first = next(iter(groups.values()))[0]
    before = score(np.array(first.before)[kept], target)
    base = weights @ before / weights.sum(axis=1)
    found = _Compared({}, {}, {}, float(before.mean()))
    draws = {}
    for name, group in groups.items():
        gains = np.array([score(np.array(r.after)[kept], target) for r in group]) - before
        draws[name] = _draws(gains, weights, generator(seed, "sweep", name))
        found.gain[name] = _estimate(float(gains.mean()), draws[name], level)
        after = float(gains.mean()) + found.before
        found.after[name] = _estimate(after, draws[name] + base, level)
    for name in groups:
        if REFERENCE in groups and name != REFERENCE:
            lead = found.gain[REFERENCE].value - found.gain[name].value
            found.behind[name] = _estimate(lead, draws[REFERENCE] - draws[name], level)
    return found


def _judged(results: Sequence[ArmResult], held_out: Targets) -> np.ndarray:
    """Mask [P] of pairs with a majority that every cell answered: all arms are judged on these."""
    if not results:
        raise DataError("no cell of a sweep is done; run plenary sweep with at least one arm")
    if any(len(result.after) != len(held_out.p) for result in results):
        sizes = sorted({len(result.after) for result in results})
        raise DataError(f"cells of {sizes!r} pairs and {len(held_out.p)} targets; sweep again")
    everything = np.array([[*r.before, *r.after] for r in results]).reshape(-1, len(held_out.p))
    return np.asarray(~np.isnan(everything).any(axis=0) & (held_out.p != 0.5))


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
    sides: _Compared,
    shares: _Compared,
    own: Likeness | None,
) -> ArmRow:
    arm = group[0].arm
    kept = [result.retention for result in group if result.retention is not None]
    return ArmRow(
        arm=arm,
        seeds=len(group),
        agreement=sides.after[arm],
        gain=sides.gain[arm],
        behind=sides.behind.get(arm),
        of_ceiling=sides.after[arm].value / ceiling,
        kl=-shares.after[arm].value,
        kl_gain=shares.gain[arm],
        kl_behind=shares.behind.get(arm),
        likeness=own,
        directional_gain=_mean([r.directional_gain for r in group]),
        side_effect=_mean_known([r.side_effect for r in group]),
        wording_share=wording_share(group),
        incoherence=_mean([r.incoherence - r.incoherence_before for r in group]),
        drift_untouched=_mean_known([r.drift_untouched for r in group]),
        kl_neutral=_mean([r.kl_neutral for r in group]),
        bits=_mean([k.finding("bits_per_byte").loss for k in kept]) if kept else None,
        accuracy=-_mean([k.finding("accuracy").loss for k in kept]) if kept else None,
        empty=_mean([k.health_after.empty - k.health_before.empty for k in kept]) if kept else None,
        repeated=(
            _mean([k.health_after.repeated - k.health_before.repeated for k in kept])
            if kept
            else None
        ),
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
