"""The table of a control experiment: every arm's figures with intervals, against the controls.

A cell is one arm with one seed. S seeds, P held-out pairs, B bootstrap replicates. Means are over
seeds, intervals over outcomes and seeds. Agreement only counts sides, so arms whose own targets
have nearly the assembly's majorities cannot be far behind in it; the distance to the assembly's
shares tells them apart, and so do the pairs on which an arm's own target has the opposite majority.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from alignment.experiments.controls import CONTROL_TARGETS
from alignment.experiments.estimates import (
    Compared,
    Contrast,
    Resampling,
    ScoreEstimate,
    WordingGain,
    agreement_scores,
    closeness,
    compared,
    contrast,
    overlap,
    wording_gain,
)
from alignment.experiments.experiment import ControlResult
from alignment.experiments.strata_agreement import Composition
from evaluation.comparison.compare import ComparisonSettings, pair_kl
from evaluation.stats.intervals import node_weights
from plenary.errors import DataError
from plenary.preferences import BoolArray, FloatArray, Targets
from plenary.seeding import generator

REFERENCE = "assembly"
# By arm and seed: the arm's own target on held-out pairs
HeldTargets = Mapping[tuple[str, int], Targets]


class Similarity(BaseModel):
    """How similar an arm's own training target is to the assembly's, on training pairs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agreement: float = Field(description="share of pairs with the assembly's majority")
    kl: float = Field(description="mean KL(assembly || own target), nats; 0 is the same target")


class ControlRow(BaseModel):
    """One arm over its seeds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arm: str = Field(description="name of the arm or dose")
    seeds: int = Field(description="seeds it was run with")
    agreement: ScoreEstimate = Field(description="agreement with the assembly's majority")
    gain: ScoreEstimate = Field(description="agreement after minus before")
    behind: ScoreEstimate | None = Field(
        description="the assembly arm's gain minus this one's, same pairs; None for that arm itself"
    )
    of_ceiling: float = Field(description="agreement over the panel's reliability ceiling")
    kl: float = Field(description="KL(assembly || model) on held-out pairs, nats; lower is better")
    kl_gain: ScoreEstimate = Field(description="that KL before minus after; higher is better")
    kl_behind: ScoreEstimate | None = Field(
        description="the assembly arm's kl_gain minus this one's; None for that arm itself"
    )
    overlap: ScoreEstimate | None = Field(
        default=None, description="1 - total variation distance to the assembly's shares"
    )
    overlap_behind: ScoreEstimate | None = Field(
        default=None, description="the assembly arm's overlap minus this one's, same pairs"
    )
    contrast: Contrast | None = Field(
        default=None,
        description="the assembly's lead where this arm's own target has the opposite majority; "
        "None for an arm without a target on held-out pairs",
    )
    similarity: Similarity | None = Field(
        description="this arm's own training target and the assembly's; None: nothing trained"
    )
    directional_gain: float = Field(description="1 is the full move to the assembly's shares")
    side_effect: float | None = Field(
        description="0: straight to the target; 1: none of it toward the target"
    )
    wordings: WordingGain | None = Field(
        default=None,
        description="untrained wordings; None if nothing was gained, or none were asked",
    )
    incoherence: float = Field(description="change of disagreement between wordings, nats")
    drift_untouched: float | None = Field(description="mean |change| on topics never trained on")
    kl_neutral: float = Field(description="KL(base || model) on neutral text, nats per position")
    bits: float | None = Field(description="rise of bits per byte on neutral text")
    accuracy: float | None = Field(description="change of right answers on the retention items")
    empty: float | None = Field(description="rise of the share of free replies that are empty")
    repeated: float | None = Field(description="rise of the share of repeated four-word runs")
    verdicts: dict[str, str] = Field(description="retention verdict of the worst seed, by figure")
    seconds: float = Field(description="mean wall time of a cell")


class DoseSummary(BaseModel):
    """Summary of a dose curve. Half: directional gain 0.5, half of the way to the assembly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    axis: str = Field(description="data, steps, rank, or rebound=STEPS")
    half_steps: float | None = Field(description="steps to half; None if no dose reached it")
    half_kl: float | None = Field(
        description="KL on neutral text at half, nats; None if not reached"
    )
    left: float | None = Field(
        description="share of the gain left after training on neutral text; rebound only"
    )


class ControlTable(BaseModel):
    """Arms by metrics."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agreement_before: float = Field(description="agreement of the untrained model")
    kl_before: float = Field(description="KL(assembly || untrained model), nats")
    overlap_before: float | None = Field(
        default=None, description="1 - total variation distance of the untrained model's shares"
    )
    ceiling: float = Field(description="agreement of two independent panels")
    pairs: int = Field(description="held-out pairs with a majority")
    rows: tuple[ControlRow, ...] = Field(description="one per arm")
    doses: tuple[DoseSummary, ...] = Field(default=(), description="one per dose axis")
    strata: dict[str, Composition] = Field(
        default={}, description="by arm: agreement with each stratum's own majority"
    )

    def row(self, arm: str) -> ControlRow:
        """The row of an arm."""
        return next(row for row in self.rows if row.arm == arm)

    @property
    def controls(self) -> tuple[ControlRow, ...]:
        """Rows of the control arms: not the assembly's own, nor doses, nor other panels."""
        return tuple(
            row for row in self.rows if row.arm in CONTROL_TARGETS and row.arm != REFERENCE
        )


class _Scores(NamedTuple):
    """All arms by each score."""

    sides: Compared
    shares: Compared
    overlap: Compared


def similarity(made: Sequence[Targets], assembly: Targets) -> Similarity:
    """An arm's training targets, one per seed, and the assembly's, on their common pairs."""
    place = {(int(a), int(b)): k for k, (a, b) in enumerate(assembly.pairs)}
    agreed, apart = [], []
    for targets in made:
        p = assembly.p[[place[int(a), int(b)] for a, b in targets.pairs]]
        sided = p != 0.5
        agreed.append(agreement_scores(targets.p[sided], p[sided]).mean())
        apart.append(pair_kl(targets.p, p).mean())
    return Similarity(agreement=float(np.mean(agreed)), kl=float(np.mean(apart)))


def control_table(
    results: Sequence[ControlResult],
    held_out: Targets,
    ceiling: float,
    settings: ComparisonSettings,
    seed: int,
    own: Mapping[str, Similarity] | None = None,
    held_targets: HeldTargets | None = None,
) -> ControlTable:
    """Summarise the cells; DataError if arms have no seed, or no pairs, in common.

    own: by arm, its own training target compared with the assembly's; held_targets: the arms' own
    targets on held-out pairs, for the arms that have any there.
    """
    groups = {name: [r for r in results if r.arm == name] for name in {r.arm: 0 for r in results}}
    kept = _judged(results, held_out)
    judged = Targets(held_out.pairs[kept], held_out.p[kept], held_out.weight[kept])
    weights = node_weights(judged.pairs, settings.bootstrap, generator(seed, "sweep", "bootstrap"))
    resampling = Resampling(weights, settings.level, seed)
    before = np.array(results[0].before)[kept]
    after = {name: np.array([r.after for r in group])[:, kept] for name, group in groups.items()}
    scores = _Scores(
        *(
            compared(before, after, judged.p, score, resampling, REFERENCE)
            for score in (agreement_scores, closeness, overlap)
        )
    )
    contrasts = _contrasts(after, groups, judged, held_targets or {}, resampling)
    return ControlTable(
        agreement_before=scores.sides.before,
        kl_before=-scores.shares.before,
        overlap_before=scores.overlap.before,
        ceiling=ceiling,
        pairs=int(kept.sum()),
        rows=tuple(
            _row(group, ceiling, scores).model_copy(
                update={
                    "similarity": (own or {}).get(name),
                    "contrast": contrasts.get(name),
                    "wordings": _wordings(group, kept, judged.p, resampling),
                }
            )
            for name, group in groups.items()
        ),
    )


def _contrasts(
    after: Mapping[str, FloatArray],
    groups: Mapping[str, Sequence[ControlResult]],
    judged: Targets,
    held_targets: HeldTargets,
    resampling: Resampling,
) -> dict[str, Contrast]:
    """By arm with its own target on held-out pairs: the assembly's lead where the two differ."""
    scores = {name: agreement_scores(answers, judged.p) for name, answers in after.items()}
    found = {}
    for name, group in groups.items():
        targets = [held_targets.get((name, result.seed)) for result in group]
        known = [target for target in targets if target is not None]
        if name != REFERENCE and REFERENCE in scores and len(known) == len(group):
            apart = np.array([_apart(target, judged) for target in known])
            found[name] = contrast(
                name, apart, scores[name], REFERENCE, scores[REFERENCE], resampling
            )
    return found


def _apart(target: Targets, judged: Targets) -> BoolArray:
    """Mask [P] of the judged pairs on which a target has the opposite majority."""
    p = {(int(a), int(b)): float(p) for (a, b), p in zip(target.pairs, target.p, strict=True)}
    said = np.array([p.get((int(a), int(b)), 0.5) for a, b in judged.pairs])
    return (said - 0.5) * (judged.p - 0.5) < 0


def _judged(results: Sequence[ControlResult], held_out: Targets) -> np.ndarray:
    """Mask [P] of pairs with a majority that every cell answered: all arms are judged on these."""
    if not results:
        raise DataError(
            "no cell of a control experiment is done; run plenary control with at least one arm"
        )
    if any(len(result.after) != len(held_out.p) for result in results):
        sizes = sorted({len(result.after) for result in results})
        raise DataError(
            f"cells of {sizes!r} pairs and {len(held_out.p)} targets; run plenary control again"
        )
    everything = np.array([[*r.before, *r.after] for r in results]).reshape(-1, len(held_out.p))
    return np.asarray(~np.isnan(everything).any(axis=0) & (held_out.p != 0.5))


def _row(group: Sequence[ControlResult], ceiling: float, scores: _Scores) -> ControlRow:
    arm = group[0].arm
    kept = [result.retention for result in group if result.retention is not None]
    return ControlRow(
        arm=arm,
        seeds=len(group),
        agreement=scores.sides.after[arm],
        gain=scores.sides.gain[arm],
        behind=scores.sides.behind.get(arm),
        of_ceiling=scores.sides.after[arm].value / ceiling,
        kl=-scores.shares.after[arm].value,
        kl_gain=scores.shares.gain[arm],
        kl_behind=scores.shares.behind.get(arm),
        overlap=scores.overlap.after[arm],
        overlap_behind=scores.overlap.behind.get(arm),
        similarity=None,
        directional_gain=_mean([r.directional_gain for r in group]),
        side_effect=_mean_known([r.side_effect for r in group]),
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


def _wordings(
    group: Sequence[ControlResult], kept: BoolArray, target: FloatArray, resampling: Resampling
) -> WordingGain | None:
    """Gains in the wordings that every seed of an arm was asked in."""
    common = [w for w in group[0].wordings if all(w in result.wordings for result in group)]

    def gains(sides: Sequence[tuple[Sequence[float], Sequence[float]]]) -> FloatArray:
        old, new = (np.array([side[k] for side in sides])[:, kept] for k in range(2))
        return agreement_scores(new, target) - agreement_scores(old, target)

    trained = gains([(result.before, result.after) for result in group])
    untrained = [gains([result.wordings[w] for result in group]) for w in common]
    return wording_gain(group[0].arm, trained, untrained, resampling)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _mean_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if known else None


def _worst(verdicts: Sequence[str]) -> str:
    return next(v for v in ("lost", "undecided", "kept") if v in verdicts)
