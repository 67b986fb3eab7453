"""Where the uncertainty of the assembly's share on a pair comes from.

Shapes: C citizens, P pairs, F frames.
"""

from __future__ import annotations

import numpy as np

from assembly.ballots import VALID, Votes, grid
from assembly.consensus import linearised
from assembly.rules import weighted_mean
from plenary.preferences import FloatArray, IntArray

SOURCES = ("citizens", "sampling", "order", "tables", "frame")


def error_sources(
    votes: Votes,
    pairs: int,
    weights: FloatArray,
    phase: int,
    *,
    samples: int = 1,
    clusters: IntArray | None = None,
    frames: FloatArray | None = None,
) -> FloatArray:
    """Standard error [P, 5] of the weighted share by SOURCES; NaN is "not measured", never 0.

    citizens: another panel of the same size, citizens independent, less the sampling part.
    sampling: the answers were `samples` draws of a model (0 for exact probabilities; NaN for a
    single draw, which tells nothing of its own variance). order: the two orders taken as two draws,
    |order gap|. tables: what dependence within `clusters` [C] adds to the citizens' part. frame:
    `frames` [F, P] are shares under other wordings, sd / sqrt(F). The parts of citizens, sampling
    and tables are orthogonal: their squares add up to the clustered variance of `consensus`.
    """
    laid = grid(votes, phase, len(weights), pairs)
    shares = laid.share.mean(axis=0)
    p = weighted_mean(shares, weights)
    alone = linearised(shares, weights, p, np.arange(len(weights))).variance
    drawn = _sampling(laid.share, shares, weights, exact(votes, phase), samples)
    missing = np.full(pairs, np.nan)
    at_tables = missing if clusters is None else linearised(shares, weights, p, clusters).variance
    parts = (
        alone - np.nan_to_num(drawn),
        drawn,
        weighted_mean((laid.share[0] - laid.share[1]) / 2, weights) ** 2,
        at_tables - alone,
        missing if frames is None or len(frames) < 2 else frames.var(axis=0, ddof=1) / len(frames),
    )
    return np.sqrt(np.stack(parts, axis=1).clip(min=0))


def exact(votes: Votes, phase: int) -> bool:
    """Whether every valid ballot of a phase is an exact probability (then its mass is known)."""
    valid = (votes.phase == phase) & (votes.state == VALID)
    return not np.isnan(votes.mass[valid]).any()


def _sampling(
    shown: FloatArray, shares: FloatArray, weights: FloatArray, exact: bool, samples: int
) -> FloatArray:
    """Sampling variance [P] of the weighted share from answers [2, C, P]."""
    if exact:
        return np.where(np.isnan(shares).all(axis=0), np.nan, 0.0)
    if samples < 2:
        return np.full(shares.shape[1], np.nan)
    ballot = (shown * (1 - shown) / (samples - 1)).sum(axis=0) / 4
    valid = ~np.isnan(shares)
    total = weights @ valid
    return np.divide(
        weights**2 @ np.where(valid, ballot, 0.0),
        total**2,
        out=np.full(len(total), np.nan),
        where=total > 0,
    )
