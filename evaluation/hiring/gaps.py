"""Gaps between groups: permutation tests and pigeonhole bootstrap, with cues as random factor.

A cue has an effect of its own (a name can be liked or disliked for itself), so the test permutes
the groups' labels over cues, not over resumes, and intervals resample resumes and cues alike.
Shapes: N resumes, V variants, C cells, B draws. Source: docs/references.md, key evaluation
(section 1.5); the bootstrap is Owen's pigeonhole [owen2007].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from plenary.errors import NotMeasured
from plenary.preferences import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Gap:
    """Mean of the compared group minus that of the reference, its interval and permutation p."""

    value: float
    low: float
    high: float
    p: float


class Draws(NamedTuple):
    """Numbers of draws for tests and intervals, and the interval's level."""

    permutations: int = 10_000
    bootstrap: int = 2_000
    level: float = 0.95


@dataclass(frozen=True, slots=True)
class ContrastGrid:
    """Values of a contrast as a table of resumes by variants, NaN where not shown or dropped.

    values [N, V]; treated [V]: the compared group's variants; stratum [V]. inflation: factor for
    gaps of relabelled, centred values, since centring m cells removes 1/m of the variance from
    every contrast but the paired one.
    """

    values: FloatArray
    treated: BoolArray
    stratum: IntArray
    inflation: float = 1.0

    def centred(self) -> ContrastGrid:
        """The grid minus each resume's mean, so that the quality of resumes does not matter."""
        shown = ~np.isnan(self.values)
        total = np.where(shown, self.values, 0.0).sum(axis=1)
        count = shown.sum(axis=1)
        mean = total / np.maximum(count, 1)
        cells = float(count[count > 0].mean()) if count.any() else 0.0
        inflation = float(np.sqrt(cells / (cells - 1))) if cells > 1 else 1.0
        return ContrastGrid(self.values - mean[:, None], self.treated, self.stratum, inflation)

    @property
    def by_variant(self) -> FloatArray:
        """Mean of every variant [V] over the resumes that show it."""
        return _means(self.values, np.ones((1, len(self.values))))[0]


def grid(
    values: FloatArray, resume: IntArray, variant: IntArray, group: IntArray,
    stratum: IntArray, contrast: tuple[int, int] | None,
) -> ContrastGrid:  # fmt: skip
    """Cells [C] of the two groups in `contrast` (compared, reference) as a ContrastGrid.

    group, stratum [V]; a contrast of None keeps every group. A cell asked twice counts once, by its
    mean. NotMeasured without cells.
    """
    kept = np.flatnonzero(np.isin(group, contrast if contrast else group))
    place = np.full(len(group), -1)
    place[kept] = np.arange(len(kept))
    used = (place[variant] >= 0) & ~np.isnan(values)
    if not used.any():
        raise NotMeasured(
            f"no valid answer about groups {contrast!r}; check the invalid answers first"
        )
    at = (resume[used], place[variant[used]])
    shape = (int(resume.max()) + 1, len(kept))
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, at, values[used])
    np.add.at(count, at, 1.0)
    table = np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)
    compared = contrast[0] if contrast else -1
    return ContrastGrid(table, group[kept] == compared, stratum[kept])


def _means(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted mean of every column for each row of weights [B, N]; NaN without a cell."""
    shown = ~np.isnan(values)
    total = weights @ np.where(shown, values, 0.0)
    count = weights @ shown.astype(float)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def labels(
    treated: BoolArray, stratum: IntArray, count: int, rng: np.random.Generator
) -> BoolArray:
    """Permutations [B, V] of the labels within strata."""
    drawn = np.empty((count, len(treated)), dtype=bool)
    for code in np.unique(stratum):
        members = np.flatnonzero(stratum == code)
        drawn[:, members] = rng.permuted(np.tile(treated[members], (count, 1)), axis=1)
    return drawn


def difference(by_variant: FloatArray, treated: BoolArray) -> FloatArray:
    """Mean over the treated minus mean over the others, for one row of labels [V] or B of them.

    by_variant [V] is one outcome; variants without a cell (NaN) are left out.
    """
    known = ~np.isnan(by_variant)
    filled = np.where(known, by_variant, 0.0)
    a = (treated & known).astype(float)
    b = (~treated & known).astype(float)
    with np.errstate(invalid="ignore"):
        return a @ filled / a.sum(-1) - b @ filled / b.sum(-1)


def p_value(observed: float, null: FloatArray) -> float:
    """Two-sided permutation p, (1 + those at least as far) / (1 + draws)."""
    beyond = np.abs(null) >= abs(observed) - 1e-12
    return float((1 + beyond.sum()) / (1 + len(null)))


def resampled_means(values: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Variant means [B, V] with resumes resampled."""
    n = len(values)
    return _means(values, rng.multinomial(n, np.full(n, 1 / n), size=count).astype(float))


def pigeonhole(table: ContrastGrid, count: int, rng: np.random.Generator) -> FloatArray:
    """Bootstrap draws [B] of the gap, resumes and variants (within group) both resampled."""
    means = resampled_means(table.values, count, rng)
    variants = np.zeros_like(means)
    for side in (table.treated, ~table.treated):
        size = int(side.sum())
        variants[:, side] = rng.multinomial(size, np.full(size, 1 / size), size=count)
    weight = np.where(np.isnan(means), 0.0, variants)
    means = np.nan_to_num(means)

    def side_mean(side: BoolArray) -> FloatArray:
        return (means * weight)[:, side].sum(axis=1) / weight[:, side].sum(axis=1)

    return side_mean(table.treated) - side_mean(~table.treated)


def interval(draws: FloatArray, level: float) -> tuple[float, float]:
    """Percentile interval of bootstrap draws; NaN if there are none."""
    known = draws[np.isfinite(draws)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def gap(table: ContrastGrid, draws: Draws, rng: np.random.Generator) -> Gap:
    """The gap of a grid as given (centre it first if resumes differ).

    Without a cell on either side it is unknown, and its p is 1.
    """
    means = table.by_variant
    value = float(difference(means, table.treated))
    if np.isnan(value):
        return Gap(value, value, value, 1.0)
    drawn = labels(table.treated, table.stratum, draws.permutations, rng)
    null = difference(means, drawn) * table.inflation
    spread = (pigeonhole(table, draws.bootstrap, rng) - value) * table.inflation
    low, high = interval(value + spread, draws.level)
    return Gap(value, low, high, p_value(value, null))


@dataclass(frozen=True, slots=True)
class Clustered:
    """A mean over pairs with a standard error for pairs that share resumes and cues.

    low, high: two-sided interval; lower: one-sided limit at the same level; n: pairs.
    """

    value: float
    low: float
    high: float
    lower: float
    n: int

    def scaled(self, by: float) -> Clustered:
        """The same in another unit; `by` is positive."""
        return Clustered(self.value * by, self.low * by, self.high * by, self.lower * by, self.n)


NAN = float("nan")
NOTHING = Clustered(NAN, NAN, NAN, NAN, 0)


def clustered_mean(
    values: FloatArray, clusters: tuple[IntArray, ...], level: float = 0.95
) -> Clustered:
    """Mean of pairs [P] with crossed clusters (resume, both cues), by inclusion and exclusion.

    The variance is the sum of the one-way cluster variances, less what is counted twice for single
    pairs [cameron2011], and at least each one-way variance. NaN without pairs.
    """
    known = ~np.isnan(values)
    n = int(known.sum())
    if not n:
        return NOTHING
    x = values[known]
    off = x - x.mean()
    single = float((off**2).sum())
    sums = [float((np.bincount(c[known], off) ** 2).sum()) for c in clusters]
    variance = max(sum(sums) - (len(sums) - 1) * single, single, *sums) / n**2
    error = float(np.sqrt(variance))
    mean = float(x.mean())
    half = float(stats.norm.ppf((1 + level) / 2)) * error
    return Clustered(mean, mean - half, mean + half, mean - float(stats.norm.ppf(level)) * error, n)
