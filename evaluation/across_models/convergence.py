"""Convergence: how similar several models' utilities are, corrected for each one's own noise.

Shapes: K outcomes, B rows of weights (all outcomes, then one topic left out at a time).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from evaluation.batteries.base import (
    AnswerTally,
    BatteryHeading,
    BatteryMaterial,
    BatteryResult,
    Measure,
    ask_pairs,
    figure,
    tally,
)
from evaluation.claims.claims import Finding
from evaluation.elicitation.design import balanced_pairs
from evaluation.elicitation.elicit import Elicitation
from evaluation.stats.intervals import Interval
from evaluation.stats.jackknife import Jackknifed, jackknife, jackknife_correlation, leave_one_out
from evaluation.utility.davidson import fit_answers
from evaluation.utility.thurstonian import FitSettings
from plenary.errors import ConfigError
from plenary.models.base import ChatBackend
from plenary.preferences import ComparisonCounts, FloatArray, IntArray
from plenary.seeding import derived_seed, generator

HEADING = BatteryHeading(
    "convergence",
    "Similarity of several models",
    "Correlation of two models' utilities over the same outcomes, divided by the root of both "
    "models' own reliabilities (spearman1904): noise alone makes plain correlations (the cosine of "
    "key mazeika2025) of weak models small. Each model is fitted on two disjoint halves of the "
    "pairs; across models only different halves are compared, so what is special to a pair of "
    "outcomes does not count as similarity. Similarity may come from shared training texts; no "
    "cause is inferred.",
)
PAIRS_PER_OUTCOME, LEAST_RELIABLE = 6, 0.2


class SplitHalves(NamedTuple):
    """One model's utilities [K] by one half of the pairs and by the other."""

    first: FloatArray
    second: FloatArray


def fitted_halves(cells: ComparisonCounts, outcomes: int, half: IntArray) -> SplitHalves:
    """Fits to the cells [N] whose pairs are in half 0, and to those in half 1."""
    flagged = FitSettings(disconnected="flag")
    parts = [cells.select(half == k) for k in (0, 1)]
    if any(not part.trials.any() for part in parts):
        return SplitHalves(np.zeros(outcomes), np.zeros(outcomes))
    return SplitHalves(*(fit_answers(part, outcomes, flagged).mu for part in parts))


def _correlations(a: FloatArray, b: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted correlations [B] of a and b [K] under weights [B, K]; NaN where one is constant."""
    w = weights / weights.sum(axis=1, keepdims=True)
    a, b = (v - (w @ v)[:, None] for v in (a, b))
    below = np.sqrt((w * a * a).sum(axis=1) * (w * b * b).sum(axis=1))
    top = (w * a * b).sum(axis=1)
    return np.divide(top, below, out=np.full(len(w), np.nan), where=below > 1e-12)


def reliability(one: SplitHalves, weights: FloatArray) -> FloatArray:
    """Correlation [B] of the two halves, that is, the reliability of half the pairs."""
    return _correlations(one.first, one.second, weights)


def similarity(one: SplitHalves, other: SplitHalves, weights: FloatArray) -> FloatArray:
    """Correlation [B] corrected for noise: 0 at chance, 1 if equal; NaN if unreliable."""
    inner = [reliability(halves, weights) for halves in (one, other)]
    enough = (inner[0] >= LEAST_RELIABLE) & (inner[1] >= LEAST_RELIABLE)
    return across(one, other, weights) / np.sqrt(np.where(enough, inner[0] * inner[1], np.nan))


def across(one: SplitHalves, other: SplitHalves, weights: FloatArray) -> FloatArray:
    """Plain correlation [B] of two models, each fitted to a different half of the pairs."""
    first = _correlations(one.first, other.second, weights)
    return (first + _correlations(one.second, other.first, weights)) / 2


def compared(
    models: Mapping[str, SplitHalves], topics: Sequence[str], level: float
) -> tuple[list[Measure], list[Finding]]:
    """Reliability of each model; plain and corrected similarity of each two; conclusions."""
    weights = leave_one_out(topics)
    measures = [
        _shown(
            f"half reliability: {name}",
            jackknife_correlation(reliability(halves, weights), level),
            len(topics),
            f"below {LEAST_RELIABLE} nothing is concluded about this model",
        )
        for name, halves in models.items()
    ]
    findings, corrected = [], []
    for a, b in combinations(models, 2):
        plain = jackknife_correlation(across(models[a], models[b], weights), level)
        corrected.append(similarity(models[a], models[b], weights))
        alike = jackknife(float(corrected[-1][0]), corrected[-1][1:], level)
        measures.append(_shown(f"plain correlation: {a}, {b}", plain, len(topics)))
        measures.append(_shown(f"similarity: {a}, {b}", alike, len(topics)))
        findings.append(_said(f"{a}, {b}", plain, bool(np.isfinite(alike.value))))
    if len(corrected) > 1:
        mean = np.mean(corrected, axis=0)
        both = jackknife(float(mean[0]), mean[1:], level)
        measures.append(_shown("mean similarity", both, len(topics)))
    return measures, findings


def _shown(name: str, found: Jackknifed, outcomes: int, note: str = "") -> Measure:
    return figure(
        name,
        found.value,
        Interval(found.low, found.high),
        interval="over topics, one left out at a time",
        n=outcomes,
        unit="correlation",
        floor=0.0,
        note=note,
    )


def _said(names: str, plain: Jackknifed, reliable: bool) -> Finding:
    """No correction is needed to tell a correlation from zero, so the plain interval decides."""
    if not reliable:
        return Finding(f"{names}: uninformative, as a model's answers are not reproducible.", False)
    if plain.low > 0:
        return Finding(f"{names}: choices are positively correlated on these outcomes.", True)
    if plain.high < 0:
        return Finding(f"{names}: choices are negatively correlated on these outcomes.", True)
    return Finding(f"{names}: no similarity was shown.", False)


async def measure_several(
    models: Sequence[ChatBackend], material: BatteryMaterial, seed: int
) -> BatteryResult:
    """Ask every model about the same pairs of the same outcomes."""
    names = [model.name for model in models]
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise ConfigError(f"models {names!r} are not two or more; name different models")
    outcomes = material.outcomes(seed, "convergence")
    k, rng = len(outcomes), generator(seed, "convergence")
    pairs = balanced_pairs(k, min(PAIRS_PER_OUTCOME * k, k * (k - 1) // 2), rng)
    half = np.repeat(rng.permutation(len(pairs)) % 2, 2)
    own = derived_seed(seed, "convergence", "answers")
    answers: list[Elicitation] = [
        await ask_pairs(model, outcomes.texts, pairs, material, own) for model in models
    ]
    halves = {
        name: fitted_halves(part.accepted, k, half)
        for name, part in zip(names, answers, strict=True)
    }
    topics = [outcome.topic for outcome in outcomes]
    measures, findings = compared(halves, topics, material.settings.level)
    answered: AnswerTally = tally(answers)
    return BatteryResult(
        battery=HEADING.battery,
        title=HEADING.title,
        definition=HEADING.definition,
        model=", ".join(names),
        asked=answered.asked,
        invalid=answered.invalid,
        measures=tuple(measures),
        findings=tuple(findings),
    )
