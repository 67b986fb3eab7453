"""Utility shift: which outcomes' utilities moved between two fits, on a common robust scale.

Preference, decisiveness and order bias are separate numbers: a model that only became sharper,
flatter or more biased to one slot moves no outcome. Method: docs/references.md, key fitting; robust
errors-in-variables anchor (york1968), false discoveries (benjamini1995), largest null shift
(westfall1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from evaluation.comparison.compare import ComparisonSettings
from evaluation.stats.multiple_testing import reject_fdr, two_sided_p
from evaluation.stats.rank_correlation import rank_correlation
from evaluation.stats.robust_line import RobustLine, robust_line
from evaluation.utility.thurstonian import UtilityFit
from plenary.errors import ConfigError, DataError, NotMeasured
from plenary.preferences import BoolArray, ComparisonCounts, FloatArray, IntArray

FEWEST_ANCHORS, SMALLEST_SPREAD, HELD_SCALE = 3, 1e-6, 0.5

NullPair = tuple[UtilityFit, UtilityFit]


@dataclass(frozen=True, slots=True)
class UtilityShift:
    """What moved, one row per outcome [K], in the normalisation of the fit before.

    before, after, target: utilities mapped to that scale by a robust line; higher is preferred.
    shift: after minus before; low, high its interval; p_value two-sided; threshold: with re-asking
    noise alone the largest of K shifts stays below it in `settings.retest_level` of runs (0 without
    a test-retest). moved: significant after Benjamini-Hochberg and beyond `threshold`.
    mass_before, mass_after: mean answer mass of the outcome's cells, NaN for counts; 1 is best.
    anchors: outcomes named in advance (0: none). anchored: share of their weight that the anchoring
    outcomes kept.
    spread_ratio: decisiveness; spread of utilities after over before on that line, each in units
    of its own answer noise (1 unchanged, above 1 sharper).
    order_bias_before, order_bias_after: in probits; positive favours the slot shown first.
    inflation: root mean square of the test-retest's shifts in units of their standard errors (1:
    the errors are right; NaN without a test-retest); if above 1, all errors here are inflated by
    it.
    correlation_before, correlation_after: Spearman correlation of the model's utilities with the
    target's.
    """

    before: FloatArray
    after: FloatArray
    target: FloatArray
    shift: FloatArray
    shift_sd: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: FloatArray
    threshold: FloatArray
    moved: BoolArray
    mass_before: FloatArray
    mass_after: FloatArray
    anchors: float
    anchored: float
    spread_ratio: float
    order_bias_before: float
    order_bias_after: float
    inflation: float
    correlation_before: float
    correlation_after: float

    @property
    def scale_holds(self) -> bool:
        """Whether single outcomes can be said to have moved.

        The scale is set by what stayed; if most outcomes, or most anchors named in advance, moved,
        there is no scale, and only the rank correlations can be reported.
        """
        free = self.anchors == 0 and self.moved.mean() > 1 - HELD_SCALE
        return bool(self.anchored >= HELD_SCALE and not free)

    def write(self, path: Path) -> None:
        """Write the per-outcome columns as Parquet, the scalars in its metadata."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        scalars = {name: repr(float(getattr(self, name))) for name in _SCALARS}
        pq.write_table(pa.table(columns).replace_schema_metadata(scalars), path)

    @classmethod
    def read(cls, path: Path) -> UtilityShift:
        """Read what `write` wrote; DataError if the file is missing or altered."""
        try:
            table = pq.read_table(path)
            metadata = table.schema.metadata or {}
            scalars = [float(metadata[name.encode()]) for name in _SCALARS]
            columns = [table[name].to_numpy() for name in _COLUMNS]
        except (OSError, KeyError, ValueError, pa.ArrowInvalid) as error:
            raise DataError(
                f"cannot read a shift from {str(path)!r}: {error}; compare again"
            ) from error
        return cls(*columns, *scalars)


_FIELDS = tuple(UtilityShift.__dataclass_fields__)

_COLUMNS, _SCALARS = _FIELDS[:12], _FIELDS[12:]


class OnScale(NamedTuple):
    """A fit in another's normalisation: values [K], own errors [K], errors of the line [K]."""

    values: FloatArray
    sd: FloatArray
    line_sd: FloatArray
    anchored: float
    slope: float


def _line(reference: UtilityFit, fit: UtilityFit, anchors: IntArray | None) -> RobustLine:
    chosen = slice(None) if anchors is None else anchors
    return robust_line(
        reference.mu[chosen],
        fit.mu[chosen],
        reference.sd[chosen],
        fit.sd[chosen],
    )


def on_scale(reference: UtilityFit, fit: UtilityFit, anchors: IntArray | None = None) -> OnScale:
    """Map `fit` to the reference's scale, by the outcomes at positions `anchors` or by all."""
    line = _line(reference, fit, anchors)
    if line.slope <= 0:
        line = line._replace(slope=1.0)
    return OnScale(
        line.inverse(fit.mu),
        fit.sd / line.slope,
        line.error(fit.mu),
        float(line.weight.mean()),
        line.slope,
    )


def _noise_unit(fit: UtilityFit) -> float:
    """Answer noise of a typical outcome in units of the utilities."""
    return float(np.exp(np.median(fit.log_sigma)))


class _Move(NamedTuple):
    to: OnScale
    shift: FloatArray
    sd: FloatArray


def _move(before: UtilityFit, after: UtilityFit, anchors: IntArray | None) -> _Move:
    to = on_scale(before, after, anchors)
    sd = np.sqrt(before.sd**2 + to.sd**2 + to.line_sd**2)
    return _Move(to, to.values - before.mu, sd)


class Null(NamedTuple):
    """What re-asking an unchanged model does, in standard errors of a shift.

    inflation: root mean square; largest: bound on the largest of K shifts at the null level.
    """

    inflation: float
    largest: float


def null_distribution(pairs: Sequence[NullPair], anchors: IntArray | None, level: float) -> Null:
    """How far unmoved outcomes seem to move, from pairs of fits of one unchanged model.

    A single maximum says little about the distribution of the maximum, so the scale of all K shifts
    is estimated, and the quantile of the largest of K normal shifts of that scale is computed.
    """
    moves = [_move(first, second, anchors) for first, second in pairs]
    z = np.concatenate([m.shift / m.sd for m in moves])
    free, k = len(z) - 2 * len(moves), len(moves[0].shift)
    inflation = float(np.sqrt(z @ z / free))
    return Null(inflation, inflation * float(stats.norm.ppf((1 + level ** (1 / k)) / 2)))


def outcome_mass(cells: ComparisonCounts, outcomes: int) -> FloatArray:
    """Mean answer mass [K] of the cells that an outcome is in; NaN if only counts exist."""
    cells = cells.select(~np.isnan(cells.mass))
    ends, mass = np.concatenate([cells.first, cells.second]), np.tile(cells.mass, 2)
    count = np.bincount(ends, minlength=outcomes)
    total = np.bincount(ends, mass, outcomes)
    return np.divide(total, count, out=np.full(outcomes, np.nan), where=count > 0)


def _check(fits: Sequence[UtilityFit], anchors: IntArray | None) -> None:
    sizes = [len(fit.mu) for fit in fits]
    if len(set(sizes)) > 1:
        raise DataError(
            f"fits of {sizes!r} outcomes cannot be compared; fit all on the same outcomes"
        )
    if any(np.ptp(fit.mu) < SMALLEST_SPREAD for fit in fits):
        raise NotMeasured(
            "the utilities of a fit do not differ, so it has no scale; ask a model that prefers "
            "some outcomes to others"
        )
    if anchors is not None and len(np.unique(anchors)) < FEWEST_ANCHORS:
        raise DataError(
            f"{len(np.unique(anchors))!r} anchors set no scale; name at least {FEWEST_ANCHORS}"
        )


def anchor_places(
    settings: ComparisonSettings, ids: Sequence[str], catalogue: Sequence[str]
) -> IntArray | None:
    """Places among `ids` [K], some or all of `catalogue`, of the anchors named in advance.

    None if the settings name none of them; ConfigError if one is not in the catalogue.
    """
    unknown = sorted(set(settings.anchors) - set(catalogue))
    if unknown:
        raise ConfigError(
            f"comparison.anchors names {unknown[0]!r}, which is not among the {len(catalogue)} "
            "outcomes; name their ids"
        )
    places = [place for place, name in enumerate(ids) if name in settings.anchors]
    return np.array(places) if places else None


def utility_shift(
    before: UtilityFit,
    after: UtilityFit,
    target: UtilityFit,
    settings: ComparisonSettings,
    *,
    retest: Sequence[NullPair] = (),
    asked: tuple[ComparisonCounts, ComparisonCounts] | None = None,
    anchors: IntArray | None = None,
) -> UtilityShift:
    """Which outcomes moved; all fits are of the same K outcomes, pairs, templates and orders.

    retest: pairs of fits of the unchanged model (evaluation/consistency/test_retest.py); without
    any, re-asking noise is known from the standard errors alone. asked: the cells before and after,
    for their answer mass, which enters no utility. anchors: positions of outcomes named in advance
    as unmoved, needed if most are expected to move; without them, most are assumed not to.
    """
    _check((before, after, target, *chain.from_iterable(retest)), anchors)
    move = _move(before, after, anchors)
    noise = Null(np.nan, 0.0)
    if retest:
        noise = null_distribution(retest, anchors, settings.retest_level)
    threshold = noise.largest * move.sd
    sd = move.sd * np.fmax(1.0, noise.inflation)
    p_value = two_sided_p(move.shift / sd)
    significant = reject_fdr(p_value, settings.false_discovery)
    half = stats.norm.ppf((1 + settings.level) / 2) * sd
    mass = [np.full(len(sd), np.nan)] * 2
    if asked is not None:
        mass = [outcome_mass(cells, len(sd)) for cells in asked]
    return UtilityShift(
        before=before.mu,
        after=move.to.values,
        target=on_scale(before, target, anchors).values,
        shift=move.shift,
        shift_sd=sd,
        low=move.shift - half,
        high=move.shift + half,
        p_value=p_value,
        threshold=threshold,
        moved=significant & (np.abs(move.shift) > threshold),
        mass_before=mass[0],
        mass_after=mass[1],
        anchors=0.0 if anchors is None else float(len(anchors)),
        anchored=move.to.anchored,
        spread_ratio=move.to.slope * _noise_unit(before) / _noise_unit(after),
        order_bias_before=before.order_bias_probit,
        order_bias_after=after.order_bias_probit,
        inflation=noise.inflation,
        correlation_before=rank_correlation(before.mu, target.mu),
        correlation_after=rank_correlation(after.mu, target.mu),
    )
