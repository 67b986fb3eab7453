"""Argument novelty: whether statements say something new, by sentence embeddings.

The encoder is that of `personas.diversity.open_encoder`, the one door to sentence-transformers.
Shapes: N statements, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from assembly.record.ballots import VALID
from assembly.record.ledger import Spoken
from personas.diversity import Encoder
from plenary.errors import NotMeasured
from plenary.preferences import BoolArray, FloatArray


class Novelty(NamedTuple):
    """What each statement adds; all [N], NaN for a statement that was not heard.

    novelty: 1 - the highest cosine to anything said before about the pair at that table; 0 is a
    repetition and about 1 unrelated; NaN for the first statement. centrality: mean cosine to the
    other statements for the same outcome of the pair, at any table; NaN if there is none. repeats:
    novelty is at most `repeated`, that of an almost equal sentence.
    repetition: share of later statements that repeat. distinct: effective number of different
    arguments per pair and side, 1 when all say the same; exp of the entropy of the eigenvalues of
    the cosines (Friedman and Dieng 2023 [friedman2023]), mean over pairs and sides.
    """

    novelty: FloatArray
    centrality: FloatArray
    repeats: BoolArray
    repetition: float
    distinct: float


def novelty(statements: Sequence[Spoken], encode: Encoder, *, repeated: float = 0.05) -> Novelty:
    """Compare each statement with earlier ones at its table and with those of other tables.

    Statements of one round do not hear one another, so only earlier rounds count as before.
    """
    heard = [k for k, s in enumerate(statements) if s.state == VALID and s.text]
    if not heard:
        raise NotMeasured(
            f"none of {len(statements)!r} statements was heard; check the failed ones"
        )
    texts = sorted({statements[k].text for k in heard})
    vectors = np.asarray(encode(texts), dtype=np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    place = {text: k for k, text in enumerate(texts)}
    new, central = np.full((2, len(statements)), np.nan)
    for group in _groups(heard, statements, ("pair", "table")):
        turn = np.array([statements[k].round for k in group])
        cosine = _cosines(group, statements, place, vectors)
        before = turn[None, :] < turn[:, None]
        later = before.any(axis=1)
        nearest = np.where(before, cosine, -1.0).max(axis=1)
        new[group] = np.where(later, 1.0 - nearest, np.nan)
    kinds: list[float] = []
    for group in _groups(heard, statements, ("pair", "side")):
        cosine = _cosines(group, statements, place, vectors)
        kinds.append(_effective(cosine))
        if len(group) > 1:
            central[group] = (cosine.sum(axis=1) - 1.0) / (len(group) - 1)
    repeats = np.nan_to_num(new, nan=1.0) <= repeated
    later = int((~np.isnan(new)).sum())
    return Novelty(
        new,
        central,
        repeats,
        float(repeats.sum() / later) if later else float("nan"),
        float(np.mean(kinds)),
    )


def _groups(
    heard: Sequence[int], statements: Sequence[Spoken], by: tuple[str, str]
) -> list[list[int]]:
    found: dict[tuple[object, ...], list[int]] = {}
    for k in heard:
        found.setdefault(tuple(getattr(statements[k], name) for name in by), []).append(k)
    return list(found.values())


def _cosines(
    group: Sequence[int],
    statements: Sequence[Spoken],
    place: dict[str, int],
    vectors: FloatArray,
) -> FloatArray:
    own = vectors[[place[statements[k].text] for k in group]]
    return own @ own.T


def _effective(cosine: FloatArray) -> float:
    values = np.linalg.eigvalsh(cosine / len(cosine)).clip(1e-15)
    return float(np.exp(-(values * np.log(values)).sum()))
