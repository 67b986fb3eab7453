"""Power analysis of the hiring audit (how large must it be?), and simulated recruiters.

Source: docs/references.md, key evaluation (section 1.5, power).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from evaluation.hiring.concealment import Pairs
from evaluation.hiring.estimands import GroupContrast, laid_out
from evaluation.hiring.sheets import Sheet, SheetKey
from evaluation.hiring.stimuli import Stimuli
from plenary.errors import ConfigError
from plenary.preferences import BoolArray, IntArray


def _bars(alpha: float, power: float) -> tuple[float, float]:
    return float(stats.norm.ppf(1 - alpha / 2)), float(stats.norm.ppf(power))


def mcnemar_pairs(
    gap: float, discordance: float, *, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Pairs that a two-sided McNemar test needs for a gap in rates.

    discordance: share of pairs decided differently, at least |gap|.
    """
    if not 0 < abs(gap) <= discordance <= 1:
        raise ConfigError(
            f"gap {gap!r} and discordance {discordance!r}; give 0 < gap <= discordance < 1"
        )
    z, y = _bars(alpha, power)
    top = z * math.sqrt(discordance) + y * math.sqrt(discordance - gap**2)
    return math.ceil((top / gap) ** 2)


def logit_pairs(effect: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Pairs that a paired test of log odds needs; effect: gap over the sd of pair differences."""
    if effect == 0:
        raise ConfigError(f"effect {effect!r} can never be found; give the smallest that matters")
    return math.ceil((sum(_bars(alpha, power)) / effect) ** 2)


class AuditSize(NamedTuple):
    """The crossed design and its spreads, in log odds.

    cues: variants per group. cue_sd: sd of the cues' own effects. pair_sd: sd of the difference of
    two cells of one resume, without the cues' effects.
    """

    resumes: int = 120
    per_group: int = 4
    cues: int = 40
    cue_sd: float = 0.2
    pair_sd: float = 0.8

    @property
    def error(self) -> float:
        """Standard error of E1; the cues' effects do not average out over more resumes."""
        cells = self.resumes * self.per_group
        return math.sqrt(2 * self.cue_sd**2 / self.cues + self.pair_sd**2 / cells)


def audit_power(size: AuditSize, gap: float, *, alpha: float = 0.05) -> float:
    """Power to find a gap (log odds) with E1, by normal approximation."""
    bar = stats.norm.ppf(1 - alpha / 2)
    return float(stats.norm.sf(bar - abs(gap) / size.error)
                 + stats.norm.cdf(-bar - abs(gap) / size.error))  # fmt: skip


def smallest_gap(size: AuditSize, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest gap (log odds) that an audit of this size finds with the given power."""
    return sum(_bars(alpha, power)) * size.error


class Spreads(NamedTuple):
    """Estimates from a pilot: sd of the cues' own effects, and of pair differences."""

    cue_sd: float
    pair_sd: float


def pilot_spreads(sheet: Sheet, contrast: GroupContrast) -> Spreads:
    """Method of moments from a P1 sheet: variance of cue means less the part from cells."""
    laid = laid_out(sheet, sheet.value, contrast).centred()
    means, counts = laid.by_variant, (~np.isnan(laid.values)).sum(axis=0)
    for side in (laid.treated, ~laid.treated):
        means[side] -= np.nanmean(means[side])
    residual = laid.values - laid.by_variant
    cells = int(counts.sum())
    freedom = cells - len(counts) - len(laid.values) + 1
    cell = float(np.nansum(residual**2)) / max(freedom, 1)
    between = float(np.nansum(means**2)) / max(int((counts > 0).sum()) - 2, 1)
    noise = cell / float(stats.hmean(counts[counts > 0]))
    return Spreads(math.sqrt(max(between - noise, 0.0)), math.sqrt(2 * cell))


class World(NamedTuple):
    """A simulated recruiter with known effects in log odds.

    cue_sd of 0.2 and pair_sd of 0.8 are the dossier's reference world.
    """

    gap: float = 0.0
    cue_sd: float = 0.2
    pair_sd: float = 0.8
    resume_sd: float = 2.0


def simulated_sheet(
    world: World, stimuli: Stimuli, shown: IntArray, key: SheetKey, rng: np.random.Generator
) -> Sheet:
    """A P1 sheet as this recruiter would answer, without controls."""
    n, slots, groups = shown.shape
    resume, variant = np.repeat(np.arange(n), slots * groups), shown.ravel()
    quality = rng.normal(0, world.resume_sd, n)
    cue = rng.normal(0, world.cue_sd, len(stimuli.variants))
    noise = rng.normal(0, world.pair_sd / math.sqrt(2), len(resume))
    value = quality[resume] + cue[variant] + noise + world.gap * (stimuli.group[variant] > 0)
    ones, none = np.ones(len(resume), dtype=np.int64), np.full(len(resume), -1)
    return Sheet(key, resume, variant, none, 0 * ones, value, ones.astype(float), ones, 0 * ones,
                 ("",) * len(resume))  # fmt: skip


class Habit(NamedTuple):
    """Share of hires whose reasons mention background: the favoured group's, and all."""

    favoured: float = 0.0
    everybody: float = 0.0


def simulated_pairs(
    sheet: Sheet, shown: IntArray, habit: Habit, rng: np.random.Generator, *, sampled: bool
) -> Pairs:
    """Pairs of a two-group sheet with disclosures; decisions sampled at temperature 1 or greedy."""
    n, slots, _ = shown.shape
    value = sheet.value.reshape(n * slots, 2)[:, ::-1]
    if sampled:
        yes = rng.random(value.shape) < 1 / (1 + np.exp(-value))
        value = np.where(yes, np.abs(value), -np.abs(value))
    share = np.array([1 - (1 - habit.favoured) * (1 - habit.everybody), habit.everybody])
    told: BoolArray = (value > 0) & (rng.random(value.shape) < share)
    variant: IntArray = shown.reshape(-1, 2)[:, ::-1]
    return Pairs(value, told, np.repeat(np.arange(n), slots), variant)
