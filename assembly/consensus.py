"""What the assembly decided, pair by pair, with its uncertainty and every ballot accounted for.

Shapes: C citizens, P pairs, G clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from assembly.ballots import STATES, VALID, Grid, Votes, citizen_shares, grid
from assembly.rules import weighted_mean
from plenary.errors import ConfigError, DataError, NotMeasured
from plenary.preferences import BoolArray, FloatArray, IntArray, Targets

COUNTED = ("first", "second", "tie", *STATES[1:])
_SCHEMA = b"plenary-consensus-1"


@dataclass(frozen=True, slots=True)
class Consensus:
    """One row a pair.

    pairs [P, 2]: outcome indices. p [P]: weighted share of citizens for pairs[:, 0], NaN without a
    ballot.
    low, high [P]: interval of p at `level`. effective_n [P]: Kish's (sum w)^2 / sum w^2 over valid
    citizens.
    counts, weighted [P, len(COUNTED)]: citizens, and their weights, by COUNTED; a citizen is
    counted for an outcome only when both orders are valid, else under the state of the two that
    comes first in STATES.
    order_gap [P]: weighted mean P(first shown) minus 0.5; positive favours the first slot.
    contested [P]: the interval holds one half.
    """

    phase: int
    level: float
    pairs: IntArray
    p: FloatArray
    low: FloatArray
    high: FloatArray
    effective_n: FloatArray
    counts: IntArray
    weighted: FloatArray
    order_gap: FloatArray
    contested: BoolArray

    def targets(self) -> Targets:
        """The pairs with a valid ballot as training targets, weighing effective_n."""
        voted = ~np.isnan(self.p)
        return Targets(self.pairs[voted], self.p[voted], self.effective_n[voted])

    @property
    def unusable_share(self) -> float:
        """Share of citizens x pairs without a valid ballot in both orders, unweighted."""
        return float(self.counts[:, 3:].sum() / self.counts.sum())

    @classmethod
    def join(cls, parts: Sequence[Consensus]) -> Consensus:
        """The pairs of several parts of one assembly, in order."""
        columns = [f.name for f in fields(cls) if f.name not in ("phase", "level")]
        return cls(
            phase=parts[0].phase,
            level=parts[0].level,
            **{name: np.concatenate([getattr(p, name) for p in parts]) for name in columns},
        )

    def write(self, path: Path) -> None:
        """Write as Parquet: outcomes first and second, one column a field and a count."""
        columns = {"first": self.pairs[:, 0], "second": self.pairs[:, 1]}
        columns |= {name: getattr(self, name) for name in _PLAIN}
        for k, name in enumerate(COUNTED):
            columns |= {f"count_{name}": self.counts[:, k], f"weight_{name}": self.weighted[:, k]}
        facts = {
            b"schema": _SCHEMA,
            b"phase": str(self.phase).encode(),
            b"level": repr(self.level).encode(),
        }
        pq.write_table(pa.table(columns).replace_schema_metadata(facts), path)

    @classmethod
    def read(cls, path: Path) -> Consensus:
        """Read what `write` wrote; DataError for a missing, altered or foreign file."""
        try:
            table = pq.read_table(path)
            facts = table.schema.metadata or {}
            if facts.get(b"schema") != _SCHEMA:
                raise DataError(
                    f"{str(path)!r} has schema {facts.get(b'schema')!r}; export it again"
                )
            column = {name: table[name].to_numpy() for name in table.column_names}
            return cls(
                phase=int(facts[b"phase"]),
                level=float(facts[b"level"]),
                pairs=np.stack([column["first"], column["second"]], axis=1),
                counts=np.stack([column[f"count_{name}"] for name in COUNTED], axis=1),
                weighted=np.stack([column[f"weight_{name}"] for name in COUNTED], axis=1),
                **{name: column[name] for name in _PLAIN},
            )
        except (OSError, KeyError, pa.ArrowInvalid) as error:
            raise DataError(
                f"cannot read consensus from {str(path)!r}: {error}; export it again"
            ) from error


_PLAIN = ("p", "low", "high", "effective_n", "order_gap", "contested")


def consensus(
    votes: Votes,
    pairs: IntArray,
    weights: FloatArray,
    phase: int,
    *,
    level: float = 0.95,
    clusters: IntArray | None = None,
) -> Consensus:
    """Weighted share a pair with a design-based interval.

    The variance of p is linearised (Taylor) over `clusters` [C], by default each citizen his own;
    pass `Seating.hall_of()` for votes after discussion, which depend within a hall. The interval
    is Wilson's with the variance's effective size and Student's t on G - 1 degrees of freedom (Korn
    and Graubard 1998 in spirit), so a unanimous panel does not claim certainty. DataError when a
    ballot is missing.
    """
    laid = grid(votes, phase, len(weights), len(pairs))
    shares = laid.share.mean(axis=0)
    p = weighted_mean(shares, weights)
    valid = ~np.isnan(shares)
    size = np.divide(
        (weights @ valid) ** 2, weights**2 @ valid, out=np.zeros(len(p)), where=valid.any(axis=0)
    )
    spread = linearised(
        shares, weights, p, np.arange(len(weights)) if clusters is None else clusters
    )
    low, high = _wilson(p, spread, size, level)
    kind = kinds(laid, shares)
    per_kind = [kind == k for k in range(len(COUNTED))]
    return Consensus(
        phase=phase,
        level=level,
        pairs=pairs,
        p=p,
        low=low,
        high=high,
        effective_n=size,
        counts=np.stack([k.sum(axis=0) for k in per_kind], axis=1),
        weighted=np.stack([weights @ k for k in per_kind], axis=1),
        order_gap=weighted_mean((laid.share[0] - laid.share[1]) / 2, weights),
        contested=(low <= 0.5) & (high >= 0.5),
    )


def kinds(laid: Grid, shares: FloatArray) -> IntArray:
    """Column of COUNTED [C, P] that each citizen falls under on each pair."""
    codes = np.where(laid.state == VALID, len(STATES), laid.state).min(axis=0)
    chosen = np.where(shares > 0.5, 0, np.where(shares < 0.5, 1, 2))
    return np.where(codes == len(STATES), chosen, 2 + codes)


class Spread(NamedTuple):
    """Variance of a weighted share [P] and the number of clusters with a ballot [P]."""

    variance: FloatArray
    clusters: FloatArray


def linearised(
    shares: FloatArray, weights: FloatArray, p: FloatArray, clusters: IntArray
) -> Spread:
    """Taylor-linearised variance of a ratio mean, clusters drawn with replacement.

    G/(G-1) sum_g (sum_{i in g} w_i (s_i - p))^2 / (sum w)^2; NaN with fewer than two clusters.
    """
    valid = ~np.isnan(shares)
    residual = np.where(valid, weights[:, None] * (shares - p), 0.0)
    names, at = np.unique(clusters, return_inverse=True)
    summed, present = np.zeros((2, len(names), len(p)))
    np.add.at(summed, at, residual)
    np.maximum.at(present, at, valid.astype(float))
    count = present.sum(axis=0)
    total = weights @ valid
    enough = count > 1
    scale = np.divide(count, (count - 1) * total**2, out=np.full(len(p), np.nan), where=enough)
    return Spread(scale * (summed**2).sum(axis=0), count)


def _wilson(
    p: FloatArray, spread: Spread, size: FloatArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """Wilson's interval with n = p(1-p)/variance, Kish's n where nobody differs at 0 or 1."""
    enough = spread.clusters > 1
    t = stats.t.ppf(0.5 + level / 2, np.where(enough, spread.clusters - 1, 1.0))
    unanimous = np.minimum(p, 1 - p) < 1e-12
    with np.errstate(divide="ignore", invalid="ignore"):
        n = np.where(unanimous, size, p * (1 - p) / spread.variance)
        middle = (p + t**2 / (2 * n)) / (1 + t**2 / n)
        half = t / (1 + t**2 / n) * np.sqrt(p * (1 - p) / n + (t / (2 * n)) ** 2)
    # One cluster tells nothing about its like: the interval is everything.
    low, high = np.where(enough, middle - half, 0.0), np.where(enough, middle + half, 1.0)
    voted = ~np.isnan(p)
    return np.where(voted, low.clip(0, 1), np.nan), np.where(voted, high.clip(0, 1), np.nan)


class Ceiling(NamedTuple):
    """How far panels agree with one another: the most to ask of a model trained on one of them.

    agreement: share of pairs on which the majorities of two independent panels of the FULL size are
    expected to agree. low, high: 95 % range of that share from one pair of panels to another.
    half_agreement: the same between random halves of this panel (split-half), a lower bound of it.
    A tied pair agrees by one half. Pairs nobody voted on are left out.
    """

    agreement: float
    low: float
    high: float
    half_agreement: float


def panel_ceiling(
    votes: Votes,
    pairs: IntArray,
    weights: FloatArray,
    phase: int,
    rng: np.random.Generator,
    *,
    draws: int = 1000,
    clusters: IntArray | None = None,
) -> Ceiling:
    """Reliability of the assembly's majority over panels; higher is better, one half is chance.

    Full size: two bootstrap panels a draw, clusters (default citizens) resampled with replacement.
    Bootstrap panels scatter about the OBSERVED shares, whose own sampling error makes pairs look
    more decided than they are, so the shares are first shrunk toward one half by the share of their
    spread over pairs that is not sampling variance. Resampling whole citizens keeps the dependence
    of pairs.
    """
    shares = citizen_shares(votes, phase, len(weights), len(pairs))
    shares = shares[:, ~np.isnan(shares).all(axis=0)]
    groups = np.unique(
        np.arange(len(weights)) if clusters is None else clusters, return_inverse=True
    )[1]
    if groups.max(initial=0) < 1:
        raise ConfigError(f"{len(weights)!r} citizens in one cluster; seat more tables")
    if shares.shape[1] == 0:
        raise NotMeasured(
            f"no valid ballot on any of {len(pairs)!r} pairs; look at the invalid ballots"
        )
    p = weighted_mean(shares, weights)
    variance = linearised(shares, weights, p, groups).variance
    if np.isnan(variance).all():
        raise NotMeasured(
            "on no pair citizens of two halls have valid ballots; seat more tables, or look at the "
            "invalid ballots"
        )
    kept = 1.0 - np.nanmean(variance) / max(float(np.mean((p - 0.5) ** 2)), 1e-12)
    centre = 0.5 + np.sqrt(max(kept, 0.0)) * (p - 0.5)
    panels = _panels(shares, weights, groups, 2 * draws, rng) - p + centre
    full = agreement(panels[:draws], panels[draws:])
    half = agreement(*_halves(shares, weights, groups, draws, rng))
    low, high = np.quantile(full, [0.025, 0.975])
    return Ceiling(float(full.mean()), float(low), float(high), float(half.mean()))


def _panels(
    shares: FloatArray, weights: FloatArray, groups: IntArray, draws: int, rng: np.random.Generator
) -> FloatArray:
    """Weighted shares [draws, P] of bootstrap panels; a pair without a ballot in a draw is NaN."""
    count = groups.max() + 1
    times = rng.multinomial(count, np.full(count, 1.0 / count), size=draws)[:, groups]
    return _means(shares, weights * times)


def _halves(
    shares: FloatArray, weights: FloatArray, groups: IntArray, draws: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Weighted shares [draws, P] of the two random halves of the clusters."""
    count = groups.max() + 1
    ranks = rng.permuted(np.tile(np.arange(count), (draws, 1)), axis=1)
    one, two = ranks < count // 2, ranks >= count - count // 2
    return _means(shares, weights * one[:, groups]), _means(shares, weights * two[:, groups])


def _means(shares: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted means [D, P] for many weight vectors [D, C] at once."""
    there = ~np.isnan(shares)
    total = weights @ there.astype(float)
    return np.divide(
        weights @ np.where(there, shares, 0.0),
        total,
        out=np.full(total.shape, np.nan),
        where=total > 0,
    )


def agreement(one: FloatArray, two: FloatArray) -> FloatArray:
    """Share of pairs [D] whose majorities agree, ties by one half."""
    product = np.sign(one - 0.5) * np.sign(two - 0.5)
    return np.nanmean(0.5 + 0.5 * product, axis=1)
