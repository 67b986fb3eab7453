"""Influence (persuasion): how far each speaker and each statement moved its listeners.

Shapes: C citizens, P pairs, R rounds, N statements. Movement is in log odds of the pair's first
outcome, after minus before, with shares at least EDGE away from 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse, stats
from scipy.special import logit

from assembly.record.ballots import AFTER, BEFORE, VALID, Votes, citizen_shares
from assembly.record.ledger import Spoken
from evaluation.stats.multiple_testing import reject_fdr
from plenary.errors import NotMeasured
from plenary.preferences import BoolArray, FloatArray, IntArray

EDGE = 0.005
SINGULAR = 1e-6


class Influence(NamedTuple):
    """How far speakers and statements moved their listeners.

    effect [C]: log odds by which one statement of this citizen moves a listener toward its outcome,
    the other speakers held fixed; NaN for a citizen who spoke to nobody. error [C]: standard error,
    clustered by pair (and table, with `expected`). shrunk [C]: effect shrunk toward the mean
    according to its error (empirical Bayes, Morris 1983 [morris1983]), the figure to rank by.
    left_out [C]: by how much the squared movement left unexplained grows when the speaker is left
    out of the regression.
    statements [C]: statements heard. moves [C]: the effect differs from 0 at false-discovery rate
    `rate`; stands_out [C]: it differs from the mean of the speakers.
    of_statement [N]: mean movement of its listeners toward its outcome that the other speakers do
    not account for; NaN when nobody heard it.
    listening [C]: log odds by which a citizen moves for each additional statement on one side.
    """

    effect: FloatArray
    error: FloatArray
    shrunk: FloatArray
    left_out: FloatArray
    statements: IntArray
    moves: BoolArray
    stands_out: BoolArray
    of_statement: FloatArray
    listening: FloatArray

    @property
    def ranked(self) -> list[int]:
        """Citizens who spoke, most persuasive first."""
        spoke = np.flatnonzero(~np.isnan(self.shrunk))
        return spoke[np.argsort(-self.shrunk[spoke], kind="stable")].tolist()


class _Heard(NamedTuple):
    """One row per citizen and pair: signed statements of each speaker; who heard which statement.

    listens [C, P]: both ballots are valid and the citizen did not speak on the pair.
    """

    design: sparse.csr_array
    row: IntArray
    statement: IntArray
    listens: BoolArray


class _Within:
    """Differences from the mean of a pair's listeners [C, P]; rows are those of `_Heard`."""

    def __init__(self, listens: BoolArray) -> None:
        citizens, pairs = listens.shape
        self.pair = np.tile(np.arange(pairs), citizens)
        self._listens = listens.ravel()
        rows = np.flatnonzero(listens)
        shape = (pairs, citizens * pairs)
        self._sum = sparse.csr_array((np.ones(len(rows)), (self.pair[rows], rows)), shape=shape)
        self._count = np.maximum(listens.sum(axis=0), 1).astype(np.float64)

    def centred(self, values: FloatArray) -> FloatArray:
        """Values [C * P] less their pair's mean, 0 for citizens who do not listen."""
        mean = (self._sum @ values) / self._count
        return np.where(self._listens, values - mean[self.pair], 0.0)

    def gram(self, design: sparse.csr_array) -> FloatArray:
        """Products [C, C] of the centred columns, which are never formed."""
        total = self._sum @ design
        means = sparse.diags_array(1 / self._count) @ total
        return (design.T @ design - total.T @ means).toarray()


def influence(
    votes: Votes,
    pairs: int,
    tables: IntArray,
    statements: Sequence[Spoken],
    *,
    expected: FloatArray | None = None,
    rate: float = 0.05,
) -> Influence:
    """Leave-one-speaker-out contrast of every citizen, from the rotation of speakers over pairs.

    tables [C], or [R, C] where seats change by round: who sits together. expected [C, P]: movement
    in log odds of the same citizens without discussion (from a control condition). Without it, a
    listener is compared with those who heard other statements on the same pair: movement common to
    all on a pair, such as from being asked again, is subtracted, and random seating removes other
    confounding. Citizens who spoke on a pair themselves are not counted as listeners on it. The
    effects are the coefficients of one least-squares regression of the listeners' movement on all
    statements heard (+1 for the pair's first outcome, -1 for the second); each is what remains of
    the movement once the other speakers are accounted for. An effect that cannot be identified,
    because on every pair all listeners heard the same side, is NaN.
    """
    moved = movement_in_log_odds(votes, pairs, tables.shape[-1])
    moved = moved if expected is None else moved - expected
    heard = _heard(statements, np.atleast_2d(tables), ~np.isnan(moved))
    if not heard.design.nnz:
        raise NotMeasured(_why_unheard(statements, moved))
    x, y = heard.design, np.nan_to_num(moved).ravel()
    within = None if expected is not None else _Within(heard.listens)
    gram = (x.T @ x).toarray() if within is None else within.gram(x)
    clusters = _clusters(np.atleast_2d(tables)[0], pairs) if within is None else within.pair
    centred = np.asarray if within is None else within.centred
    inverse: FloatArray = np.asarray(
        np.linalg.pinv(gram, rcond=SINGULAR, hermitian=True), dtype=np.float64
    )
    effect = inverse @ (x.T @ centred(y))
    left = centred(y - x @ effect)
    # Where all tables heard one side, statements differ from one another but not from silence.
    spoke = (np.diag(gram) > 0) & (np.diag(inverse @ gram) > 1 - SINGULAR)
    error, freedom = _errors(x, left, inverse, clusters)
    effect, error = np.where(spoke, effect, np.nan), np.where(spoke, error, np.nan)
    valid = np.bincount([s.citizen for s in statements if _was_heard(s)], minlength=len(effect))
    return Influence(
        effect,
        error,
        _shrunk(effect, error),
        np.where(spoke, effect**2 / np.maximum(np.diag(inverse), 1e-12), np.nan),
        valid,
        _moves(effect, error, freedom, rate),
        _moves(effect - effect[spoke].sum() / max(spoke.sum(), 1), error, freedom, rate),
        _of_statement(heard, statements, left, effect),
        _listening(centred(np.asarray(x.sum(axis=1)).ravel()), centred(y), len(effect)),
    )


def _why_unheard(statements: Sequence[Spoken], moved: FloatArray) -> str:
    if not any(map(_was_heard, statements)):
        return f"none of {len(statements)!r} statements could be used; check the failed ones"
    silent = np.ones(moved.shape, dtype=bool)
    for s in statements:
        silent[s.citizen, s.pair] = False
    if not silent.any():
        return (
            "everybody spoke on every pair, so nobody only listened; lower assembly.rounds or "
            "assembly.speakers, or seat larger tables"
        )
    return (
        f"none of {len(statements)!r} statements had a listener who was silent on its pair and "
        "voted validly before and after; check the invalid ballots"
    )


def movement_in_log_odds(votes: Votes, pairs: int, citizens: int) -> FloatArray:
    """Log odds after minus before [C, P]; NaN unless both ballots are valid in both orders."""
    before, after = (
        logit(citizen_shares(votes, phase, citizens, pairs).clip(EDGE, 1 - EDGE))
        for phase in (BEFORE, AFTER)
    )
    return after - before


def _was_heard(spoken: Spoken) -> bool:
    return spoken.state == VALID and spoken.side is not None


def _heard(statements: Sequence[Spoken], tables: IntArray, there: BoolArray) -> _Heard:
    citizens, pairs = there.shape
    there = there.copy()
    for s in statements:
        there[s.citizen, s.pair] = False
    rows, columns, signs, numbers = [], [], [], []
    for k, s in enumerate(statements):
        if not _was_heard(s):
            continue
        seated = tables[min(s.round, len(tables) - 1)] == s.table
        listeners = np.flatnonzero(seated & there[:, s.pair])
        rows.append(listeners * pairs + s.pair)
        columns.append(np.full(len(listeners), s.citizen))
        signs.append(np.full(len(listeners), 1.0 - 2.0 * (s.side or 0)))
        numbers.append(np.full(len(listeners), k))
    if not rows:
        nothing = np.empty(0, dtype=np.int64)
        return _Heard(sparse.csr_array((citizens * pairs, citizens)), nothing, nothing, there)
    row = np.concatenate(rows)
    design = sparse.csr_array(
        (np.concatenate(signs), (row, np.concatenate(columns))),
        shape=(citizens * pairs, citizens),
    )
    return _Heard(design, row, np.concatenate(numbers), there)


def _clusters(table_of: IntArray, pairs: int) -> IntArray:
    """Cluster of each row [C * P]: a table on a pair."""
    return (table_of[:, None] * pairs + np.arange(pairs)).ravel()


class _Errors(NamedTuple):
    error: FloatArray
    freedom: FloatArray


def _errors(
    x: sparse.csr_array, left: FloatArray, inverse: FloatArray, clusters: IntArray
) -> _Errors:
    """Cluster-robust standard errors [C] and each speaker's number of clusters minus one."""
    gather = sparse.csr_array((np.ones(len(left)), (clusters, np.arange(len(left)))))
    scores = gather @ (x.multiply(left[:, None])).tocsr()
    known = np.asarray((gather @ abs(x)).astype(bool).sum(axis=0)).ravel()
    variance = np.einsum("ij,jk,ki->i", inverse, (scores.T @ scores).toarray(), inverse)
    freedom = np.maximum(known - 1.0, 0.0)
    correction = np.divide(known, freedom, out=np.full(len(known), np.nan), where=freedom > 0)
    return _Errors(np.sqrt(np.maximum(variance, 0.0) * correction), freedom)


def _shrunk(effect: FloatArray, error: FloatArray) -> FloatArray:
    """Effects shrunk toward their mean; true variance is the observed variance less the errors'."""
    known = ~np.isnan(effect) & ~np.isnan(error)
    if known.sum() < 2:
        return effect
    middle = effect[known].mean()
    true = max(float(effect[known].var(ddof=1) - (error[known] ** 2).mean()), 0.0)
    total = true + error**2
    kept = np.divide(true, total, out=np.zeros(len(effect)), where=total > 0)
    return np.where(known, middle + kept * (effect - middle), np.nan)


def _moves(effect: FloatArray, error: FloatArray, freedom: FloatArray, rate: float) -> BoolArray:
    """Effects that differ from 0 by t tests; one that is 0 up to rounding never does."""
    tested = np.flatnonzero((np.abs(effect) > 1e-9) & (freedom > 0))
    t = np.abs(effect[tested]) / np.maximum(error[tested], 1e-12)
    found = np.zeros(len(effect), dtype=bool)
    found[tested] = reject_fdr(2 * stats.t.sf(t, freedom[tested]), rate)
    return found


def _of_statement(
    heard: _Heard, statements: Sequence[Spoken], left: FloatArray, effect: FloatArray
) -> FloatArray:
    signs = np.array([1.0 - 2.0 * (s.side or 0) for s in statements])
    speakers = np.array([s.citizen for s in statements], dtype=np.int64)
    at = heard.statement
    moved = signs[at] * left[heard.row] + effect[speakers[at]]
    count = np.bincount(at, minlength=len(statements))
    total = np.bincount(at, moved, minlength=len(statements))
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def _listening(balance: FloatArray, y: FloatArray, citizens: int) -> FloatArray:
    balance = balance.reshape(citizens, -1)
    heard = (balance**2).sum(axis=1)
    moved = (balance * y.reshape(citizens, -1)).sum(axis=1)
    return np.divide(moved, heard, out=np.full(citizens, np.nan), where=heard > 0)
