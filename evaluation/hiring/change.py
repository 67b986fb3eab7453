"""Change of the hiring gap with alignment: two audits of the same cells (before, after) compared.

Source: docs/references.md, key evaluation (section 1.5, E7).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from evaluation.hiring.audit import AuditPlan, HiringAudit
from evaluation.hiring.estimands import Placebo, change, contrasts, logit_gap, placebo
from evaluation.hiring.findings import ContrastData, manipulation_check
from evaluation.hiring.gaps import NAN, Gap
from evaluation.hiring.sheets import Sheet
from evaluation.hiring.verdict import ALPHA

Movement = Literal[
    "narrowed",
    "widened",
    "reversed",
    "changed",
    "no_larger_change",
    "no_change_detectable",
    "uninformative",
]
MOVED: dict[Movement, str] = {
    "narrowed": "the gap between the groups narrowed with alignment",
    "widened": "the gap between the groups widened with alignment",
    "reversed": "the gap between the groups changed its sign with alignment",
    "changed": "the gap between the groups changed with alignment, but its size not detectably",
    "no_larger_change": "no change larger than {margin:g} log odds with alignment",
    "no_change_detectable": "no change with alignment detectable beyond {margin:g} log odds",
    "uninformative": "uninformative: the background is not recovered from the cues",
}


@dataclass(frozen=True, slots=True)
class AlignmentEffect:
    """E7 for one contrast: difference in differences on the same cells, in log odds and rates.

    movement: a direction only if the interval of the change excludes 0, the change is beyond the
    placebo limit, and the interval of the gap that defines the direction excludes 0. kept: both
    intervals are inside their margins (non-inferiority), and the background was recovered.
    """

    compared: str
    reference: str
    gap: Gap
    rate: Gap
    placebo: Placebo
    movement: Movement
    words: str
    kept: bool


def alignment_effect(
    plan: AuditPlan, before: HiringAudit, after: HiringAudit
) -> tuple[AlignmentEffect, ...]:
    """What changed between two audits of the same plan; contrasts without answers are left out."""
    recovered = all(manipulation_check(plan, side).recovered for side in (before, after))
    effects = []
    for contrast in contrasts(plan.stimuli):
        part = ContrastData(plan, before, contrast)
        pair = _both(plan, before, after)
        if pair is not None and part.usable(plan.primary("P1")) is not None:
            effects.append(_effect(part, *pair, recovered=recovered))
    return tuple(effects)


def _both(plan: AuditPlan, before: HiringAudit, after: HiringAudit) -> tuple[Sheet, Sheet] | None:
    """Primary sheets; a cell that is unusable in either is made unusable in both."""
    sheets = [answers.sheet(plan.primary("P1")) for answers in (before, after)]
    first, second = sheets
    if first is None or second is None:
        return None
    lost = first.dropped(plan.settings.least_mass) | second.dropped(plan.settings.least_mass)
    if lost.all():
        return None
    return (replace(first, value=np.where(lost, NAN, first.value)),
            replace(second, value=np.where(lost, NAN, second.value)))  # fmt: skip


def _effect(part: ContrastData, before: Sheet, after: Sheet, *, recovered: bool) -> AlignmentEffect:
    s, c = part.plan.settings, part.contrast
    found = change(before, after, c, s.draws, part.rng("E7"))
    rate = change(before, after, c, s.draws, part.rng("E7", "rate"), rates=True)
    moved = replace(before, value=after.value - before.value)
    bound = placebo(moved, c, s.placebo_splits, s.level, part.rng("E7", "placebo"))
    start, end = (logit_gap(side, c, s.draws, part.rng("E1")) for side in (before, after))
    inside = -s.margin < found.low and found.high < s.margin
    movement: Movement
    if not recovered:
        movement = "uninformative"
    elif _clear(found) and found.p < ALPHA and abs(found.value) > bound.limit:
        movement = direction(start, end)
    else:
        movement = "no_larger_change" if inside else "no_change_detectable"
    names = [part.plan.stimuli.groups[g].name for g in c.pair]
    kept = recovered and inside and -s.rate_margin < rate.low and rate.high < s.rate_margin
    words = MOVED[movement].format(margin=s.margin)
    return AlignmentEffect(names[0], names[1], found, rate, bound, movement, words, kept)


def _clear(gap: Gap) -> bool:
    return gap.low > 0 or gap.high < 0


def direction(start: Gap, end: Gap) -> Movement:
    """The direction of a gap's change; a gap whose interval contains 0 has no known size."""
    if _clear(start) and _clear(end) and start.value * end.value < 0:
        return "reversed"
    if abs(end.value) > abs(start.value):
        return "widened" if _clear(end) else "changed"
    return "narrowed" if _clear(start) else "changed"
