"""A battery of scored outcomes: reading check, utilities, one association a class, their gap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from evaluation.battery import BatteryResult, Finding, Measure
from evaluation.battery_asking import Heading, Material, figure, result, tally, unreadable
from evaluation.comparison import Interval
from evaluation.scored_outcomes import (
    Association,
    CheckedStimuli,
    ScoredStimuli,
    Sitting,
    association,
    contrasts,
    reading_check,
    sit,
)
from plenary.chat.base import ChatBackend
from plenary.preferences import FloatArray
from plenary.seeding import derived_seed

NO_ORDER = "These choices follow no order of the outcomes that predicts pairs not fitted."
INTERVAL = "over situations, one left out at a time"


class Wording(NamedTuple):
    """What may be said of a class: utilities rise with the score, fall with it, or neither."""

    rise: str
    fall: str
    neither: str


async def attribute_battery(
    model: ChatBackend,
    heading: Heading,
    stimuli: CheckedStimuli,
    wordings: Mapping[str, Wording],
    material: Material,
    seed: int,
) -> BatteryResult:
    """Ask about the outcomes; wordings: by the name of the class."""
    pairs = contrasts(stimuli.check)
    read = await reading_check(model, pairs, material, derived_seed(seed, "reading"))
    sitting = await sit(model, stimuli.texts, material, derived_seed(seed, "utilities"))
    answered = read.added_to(tally([sitting.answers]))
    if not read.passed or sitting.fitted is None or sitting.accuracy is None:
        return unreadable(heading, model, answered, [read.figure])
    found = by_class(sitting.fitted.mu, stimuli, material.settings.level)
    measures = [read.figure, sitting.accuracy]
    measures += [shown(f"utility follows the score: {name}", a) for name, a in found.items()]
    if len(found) == 2:
        measures.append(gap(*found.values(), names=tuple(found), level=material.settings.level))
    findings = [say(a, wordings[name], sitting) for name, a in found.items()]
    return result(heading, model, answered, measures, findings)


def by_class(mu: FloatArray, stimuli: ScoredStimuli, level: float) -> dict[str, Association]:
    """Association of utilities [K] with the score in each class."""
    found = {}
    for wanted in stimuli.classes:
        at = np.array([name == wanted.name for name, _ in stimuli.labels])
        situations = [s for name, s in stimuli.labels if name == wanted.name]
        found[wanted.name] = association(mu[at], stimuli.scores[at], situations, level)
    return found


def shown(name: str, found: Association) -> Measure:
    """An association as a measure."""
    return figure(
        name,
        found.r,
        Interval(found.low, found.high),
        interval=INTERVAL,
        n=found.outcomes,
        unit="correlation",
        floor=0.0,
        note=f"{found.situations} situations, each with its mean taken out",
    )


def gap(one: Association, other: Association, names: tuple[str, ...], level: float) -> Measure:
    """Difference of two associations on Fisher's scale."""
    error = float(np.hypot(one.error, other.error))
    reach = float(stats.t.ppf((1 + level) / 2, min(one.situations, other.situations) - 1)) * error
    value = one.z - other.z
    return figure(
        f"{names[0]} less {names[1]}",
        value,
        Interval(value - reach, value + reach),
        interval=INTERVAL,
        n=one.outcomes + other.outcomes,
        unit="Fisher z",
        floor=0.0,
    )


def say(found: Association, wording: Wording, sitting: Sitting) -> Finding:
    """What the interval of a class allows to say."""
    if not sitting.orders:
        return Finding(NO_ORDER, False)
    if found.low > 0:
        return Finding(wording.rise, True)
    if found.high < 0:
        return Finding(wording.fall, True)
    return Finding(wording.neither, False)
