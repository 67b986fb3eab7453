"""Coherence battery: asks for decisiveness, transitivity, order consistency, hold-out, ladders."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from evaluation.batteries.base import (
    BatteryHeading,
    BatteryMaterial,
    BatteryResult,
    Measure,
    ask_pairs,
    figure,
    result,
    tally,
    unreadable,
)
from evaluation.claims.claims import Finding, gated
from evaluation.consistency import coherence
from evaluation.elicitation.design import all_pairs, balanced_pairs
from evaluation.elicitation.elicit import Elicitation
from evaluation.stats.intervals import Estimate, Interval
from evaluation.utility.davidson import fit_answers
from evaluation.utility.thurstonian import FitSettings
from plenary.models.base import ChatBackend
from plenary.outcomes import Outcome
from plenary.preferences import ComparisonCounts, FloatArray, IntArray
from plenary.seeding import generator

HEADING = BatteryHeading(
    "coherence",
    "Coherence of choices",
    "Choices between two outcomes, each pair in both orders. Decisiveness: root mean square of "
    "2p - 1, sampling variance removed. Relative transitivity: (1/4 - cycle rate) / (1/4 - cycle "
    "rate of the fitted utilities). Hold-out: utilities fitted on other pairs. Ladders: the same "
    "thing in strictly rising (or falling) amounts. Definitions: docs/references.md, key fitting.",
)
TRIAD_OUTCOMES, HELD_OUT = 9, 0.2


async def measure(model: ChatBackend, material: BatteryMaterial, seed: int) -> BatteryResult:
    """Ask about a sample of the catalogue and about its ladders."""
    outcomes = material.outcomes(seed, "coherence")
    k, rng = len(outcomes), generator(seed, "coherence")
    design = balanced_pairs(k, min(round(2 * k * np.log2(k)), k * (k - 1) // 2), rng)
    design = design[rng.permutation(len(design))]
    triads = all_pairs(min(k, TRIAD_OUTCOMES))
    held = np.arange(len(design)) < HELD_OUT * len(design)
    # A pair asked for the triads is neither asked again nor fitted: the fit must not have seen it.
    repeated = (design < TRIAD_OUTCOMES).all(axis=1)
    parts = [
        await ask_pairs(model, outcomes.texts, pairs, material, seed)
        for pairs in (design[~held & ~repeated], design[held & ~repeated], triads)
    ]
    rungs = _ladders(material.catalogue.outcomes)
    climbed = [await _climb(model, ladder, material, seed) for ladder in rungs]
    answered = tally([*parts, *(part for part, _ in climbed)])
    if answered.usable < 0.5:
        return unreadable(HEADING, model, answered)
    train, test, closed = (part.accepted for part in parts)
    measures = _measures(train, test, (closed, triads), material, seed, k)
    measures += _monotone([mu for _, mu in climbed], material.settings.level)
    by_name = {measure.name: measure for measure in measures}
    return result(HEADING, model, answered, measures, _findings(by_name))


def _measures(
    train: ComparisonCounts,
    test: ComparisonCounts,
    closed: tuple[ComparisonCounts, IntArray],
    material: BatteryMaterial,
    seed: int,
    outcomes: int,
) -> list[Measure]:
    settings, rng = material.settings, generator(seed, "coherence", "intervals")
    level, draws = settings.level, settings.bootstrap
    flagged = FitSettings(disconnected="flag")
    fitted = fit_answers(train, outcomes, flagged)
    every = ComparisonCounts.join([train, test])
    pairs = np.unique(np.sort(np.stack([every.first, every.second], axis=1), axis=1), axis=0)
    order = coherence.order_effect(every, pairs, rng, level, draws)
    held = coherence.hold_out(fitted, test, rng, level)
    cycles = coherence.transitivity(*closed, fitted, rng, level, draws)
    return [
        _shown("decisiveness", coherence.decisiveness(every, pairs, rng, level, draws)),
        _shown("same outcome in both orders", order.consistency, "higher"),
        _shown("same slot in both orders", order.position, "lower"),
        _shown("hold-out accuracy", held.accuracy, "higher"),
        _shown("hold-out log loss", held.log_loss, "lower", unit="nats"),
        _shown("cycle rate", cycles.cycles, "lower"),
        _shown("relative transitivity", cycles.relative, "higher"),
        _shown("split-half reliability", _halves(every, outcomes, rng, level), "higher"),
    ]


def _halves(
    cells: ComparisonCounts, outcomes: int, rng: np.random.Generator, level: float
) -> Estimate:
    # Utilities that are all equal have no ranks to correlate; the figure is then left out.
    with np.errstate(invalid="ignore"):
        return coherence.split_half(cells, outcomes, rng, splits=4, level=level)


def _shown(name: str, found: Estimate, better: str = "neither", unit: str = "") -> Measure:
    return figure(
        name,
        found.value,
        Interval(found.low, found.high),
        interval="bootstrap over outcomes",
        n=found.units,
        unit=unit,
        floor=None if np.isnan(found.floor) else found.floor,
        better=better,
    )


def _ladders(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    """Rungs by ladder, smallest amount first; ladders of three rungs or more."""
    named = sorted(
        (o for o in outcomes if o.ladder is not None and o.quantity is not None),
        key=lambda o: (o.ladder, o.quantity),
    )
    groups = [list(rungs) for _, rungs in groupby(named, key=lambda o: o.ladder)]
    return [rungs for rungs in groups if len(rungs) > 2]


async def _climb(
    model: ChatBackend, rungs: list[Outcome], material: BatteryMaterial, seed: int
) -> tuple[Elicitation, FloatArray | None]:
    texts, pairs = [o.text for o in rungs], all_pairs(len(rungs))
    answers = await ask_pairs(model, texts, pairs, material, seed)
    cells = answers.accepted
    if not cells.trials.any():
        return answers, None
    return answers, fit_answers(cells, len(rungs), FitSettings(disconnected="flag")).mu


def _monotone(utilities: Sequence[FloatArray | None], level: float) -> list[Measure]:
    """Share of ladders in strict order, up or down; which direction is good does not matter."""
    known = [mu if mu[-1] >= mu[0] else -mu for mu in utilities if mu is not None]
    if not known:
        return []
    starts = np.cumsum([0, *(len(mu) for mu in known[:-1])])
    rungs = [start + np.arange(len(mu)) for start, mu in zip(starts, known, strict=True)]
    found = coherence.ladder_monotonicity(np.concatenate(known), rungs, level).strict
    shown = _shown("strictly monotone ladders", found._replace(floor=2 * found.floor), "higher")
    return [shown.model_copy(update={"interval": "Wilson, over ladders"})]


def _findings(by_name: dict[str, Measure]) -> list[Finding]:
    transitive, accuracy = by_name["relative transitivity"], by_name["hold-out accuracy"]
    consistent = by_name["same outcome in both orders"]
    return [
        gated(
            (accuracy.low or 0) > 0.5,
            "Choices on pairs not fitted follow one order of the outcomes better than chance.",
            "No order of the outcomes was shown that predicts pairs not fitted.",
        ),
        gated(
            (transitive.low or 0) > 0,
            "Triads are more transitive than choices without an order.",
            "Triads were not shown to be more transitive than choices without an order.",
        ),
        gated(
            (consistent.low or 0) > 0.5,
            "The outcome matters more than the slot it is shown in.",
            "The outcome was not shown to matter more than the slot it is shown in.",
        ),
    ]
