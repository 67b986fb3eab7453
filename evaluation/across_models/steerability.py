"""Steerability by model size: are larger models harder to steer with the same training?

Trained models of several sizes, several trainings each. Source: docs/references.md, key evaluation
(section 4).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from evaluation.across_models.scaling import ScalingPoint, judged
from evaluation.batteries.base import BatteryHeading, BatteryMaterial, BatteryResult
from evaluation.claims.claims import HARDER
from plenary.errors import DataError

HEADING = BatteryHeading(
    "steerability",
    "Size and steering",
    "Directional gain: how far held-out utilities moved toward the assembly's, 1 is all the "
    "way; per nat: that gain over KL(base || model) on neutral text. Both at one rank of the "
    "adapter for all models, and at one share of trained parameters: the larger model is harder to "
    "steer only if all four fall with size. Tests as for size and coherence.",
)
FIGURES = ("directional gain", "directional gain per nat")
RANK, SHARE = "same rank", "same trained share"
# Shares of trained parameters within this factor count as equal, since ranks are whole numbers.
LIKE = 1.25


class Training(NamedTuple):
    """One training of one model; share: of its parameters trained; kl: NaN if not measured."""

    model: str
    family: str
    parameters: float
    rank: int
    share: float
    gain: float
    kl: float


def _common_rank(runs: Sequence[Training]) -> list[Training]:
    """The runs at the rank that most models were trained with; if tied, the lowest."""
    models: dict[int, set[str]] = defaultdict(set)
    for run in runs:
        models[run.rank].add(run.model)
    rank = max(models, key=lambda r: (len(models[r]), -r))
    return [run for run in runs if run.rank == rank]


def _common_share(runs: Sequence[Training]) -> list[Training]:
    """The runs within LIKE of the share at which most models have a run; if tied, the lowest."""

    def near(share: float) -> list[Training]:
        return [run for run in runs if share <= run.share * (1 + 1e-9) <= LIKE * share]

    best = max(
        sorted({run.share for run in runs}), key=lambda share: len({r.model for r in near(share)})
    )
    return near(best)


def _points(
    runs: Sequence[Training], models: Sequence[Training], figure: str
) -> list[ScalingPoint]:
    """One point per model, without values if it was not trained under this convention."""
    found = []
    for one in models:
        own = [run for run in runs if run.model == one.model]
        values = [r.gain / (1.0 if figure == FIGURES[0] else r.kl or math.nan) for r in own]
        found.append(ScalingPoint(one.model, one.family, one.parameters, tuple(values)))
    return found


def steerability(runs: Sequence[Training], material: BatteryMaterial, seed: int) -> BatteryResult:
    """Tables, trends and the joint claim."""
    models = list({run.model: run for run in runs}.values())
    if len(models) < 2:
        raise DataError(f"{len(models)!r} model among {len(runs)!r} runs; add other models")
    chosen = {RANK: _common_rank(runs), SHARE: _common_share(runs)}
    figures = {
        f"{figure}, {convention}": _points(some, models, figure)
        for convention, some in chosen.items()
        for figure in FIGURES
    }
    measures, findings = judged(figures, dict.fromkeys(figures, -1.0), seed, material, HARDER)
    return BatteryResult(
        battery=HEADING.battery,
        title=HEADING.title,
        definition=HEADING.definition,
        model=", ".join(one.model for one in models),
        asked=0,
        invalid=0,
        measures=tuple(measures),
        findings=tuple(findings),
    )
