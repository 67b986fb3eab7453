"""The consensus: each pair's weighted share of votes, with errors clustered by citizen or group.

Shapes: C citizens, P pairs, G clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from assembly.aggregation.electorate import Electorate, Rule, weighted_mean
from assembly.aggregation.uncertainty import uncertainty
from assembly.record.ballots import STATES, VALID, BallotGrid, Votes, grid
from plenary.errors import DataError
from plenary.preferences import BoolArray, FloatArray, IntArray, Targets

COUNTED = ("first", "second", "tie", *STATES[1:])

_SCHEMA = b"plenary-consensus-1"


@dataclass(frozen=True, slots=True)
class Consensus:
    """One row per pair.

    pairs [P, 2]: outcome indices. p [P]: weighted share of citizens for pairs[:, 0], NaN without a
    valid ballot.
    low, high [P]: interval of p at `level`. effective_n [P]: Kish's (sum w)^2 / sum w^2 over valid
    citizens.
    counts, weighted [P, len(COUNTED)]: number and weight of citizens by COUNTED; a citizen is
    counted for an outcome only when both orders are valid, otherwise under whichever of the two
    states comes first in STATES.
    order_gap [P]: weighted mean P(first shown) minus 0.5; positive favours the first slot.
    contested [P]: the interval contains one half.
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
        """The pairs with a valid ballot as training targets, weighted by effective_n."""
        voted = ~np.isnan(self.p)
        return Targets(self.pairs[voted], self.p[voted], self.effective_n[voted])

    @property
    def unusable_share(self) -> float:
        """Share of citizens x pairs without a valid ballot in both orders, unweighted."""
        return float(self.counts[:, 3:].sum() / self.counts.sum())

    @classmethod
    def join(cls, parts: Sequence[Consensus]) -> Consensus:
        """Join the pairs of several parts of one assembly, in order."""
        columns = [f.name for f in fields(cls) if f.name not in ("phase", "level")]
        return cls(
            phase=parts[0].phase,
            level=parts[0].level,
            **{name: np.concatenate([getattr(p, name) for p in parts]) for name in columns},
        )

    def write(self, path: Path) -> None:
        """Write as Parquet: outcomes first and second, one column per field and per count."""
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
    """Weighted share per pair with a design-based interval.

    The variance of p is linearised (Taylor) over `clusters` [C], by default one per citizen;
    pass `Seating.group_of()` for votes after discussion, which are dependent within a group. The
    interval is Wilson's with the variance's effective size and Student's t on G - 1 degrees of
    freedom (Korn and Graubard 1998 in spirit), so a unanimous panel does not claim certainty.
    DataError when a ballot is missing.
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


def kinds(laid: BallotGrid, shares: FloatArray) -> IntArray:
    """Column of COUNTED [C, P] that each citizen falls under on each pair."""
    codes = np.where(laid.state == VALID, len(STATES), laid.state).min(axis=0)
    chosen = np.where(shares > 0.5, 0, np.where(shares < 0.5, 1, 2))
    return np.where(codes == len(STATES), chosen, 2 + codes)


class ShareVariance(NamedTuple):
    """Variance of a weighted share [P] and the number of clusters with a ballot [P]."""

    variance: FloatArray
    clusters: FloatArray


def linearised(
    shares: FloatArray, weights: FloatArray, p: FloatArray, clusters: IntArray
) -> ShareVariance:
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
    return ShareVariance(scale * (summed**2).sum(axis=0), count)


def _wilson(
    p: FloatArray, spread: ShareVariance, size: FloatArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """Wilson's interval with n = p(1-p)/variance, or Kish's n where all citizens agree."""
    enough = spread.clusters > 1
    t = stats.t.ppf(0.5 + level / 2, np.where(enough, spread.clusters - 1, 1.0))
    unanimous = np.minimum(p, 1 - p) < 1e-12
    with np.errstate(divide="ignore", invalid="ignore"):
        n = np.where(unanimous, size, p * (1 - p) / spread.variance)
        middle = (p + t**2 / (2 * n)) / (1 + t**2 / n)
        half = t / (1 + t**2 / n) * np.sqrt(p * (1 - p) / n + (t / (2 * n)) ** 2)
    # One cluster says nothing about the spread between clusters: the interval is 0 to 1.
    low, high = np.where(enough, middle - half, 0.0), np.where(enough, middle + half, 1.0)
    voted = ~np.isnan(p)
    return np.where(voted, low.clip(0, 1), np.nan), np.where(voted, high.clip(0, 1), np.nan)


def decided_by(
    rule: Rule,
    electorate: Electorate,
    plain: Consensus,
    parts: IntArray,
    clusters: IntArray,
    rng: np.random.Generator,
    *,
    replicates: int = 100,
) -> Consensus:
    """`plain` with p, low, high and contested by `rule`; ballots and counts stay.

    parts [P]: the rule is asked about each part by itself, since outcomes on different sides of the
    split are never compared. clusters [C]: resampled for the interval
    (`assembly.aggregation.uncertainty`), which is widened to contain p where a decided answer falls
    outside it. A pair without a ballot keeps no label. DataError when the rule does not answer for
    a pair that was voted on.
    """
    p, low, high = np.full((3, len(plain.p)), np.nan)
    for part in np.unique(parts):
        at = np.flatnonzero(parts == part)
        own = replace(electorate, shares=electorate.shares[:, at], pairs=electorate.pairs[at])
        ends = uncertainty(rule, own, rng, replicates, clusters, level=plain.level)
        p[at], low[at], high[at] = rule(own).p, ends.p_low, ends.p_high
    voted = ~np.isnan(plain.p)
    silent = np.flatnonzero(voted & np.isnan(p))
    if len(silent):
        raise DataError(
            f"the rule has no answer for {len(silent)!r} pairs, first "
            f"{plain.pairs[silent[0]].tolist()!r}; ask more pairs that connect their outcomes, or "
            "use rule weighted_share"
        )
    p[~voted], low[~voted], high[~voted] = np.nan, np.nan, np.nan
    low, high = np.fmin(low, p), np.fmax(high, p)
    return replace(plain, p=p, low=low, high=high, contested=(low <= 0.5) & (high >= 0.5))
