"""Parts of a label's error that one run knows although it held one discussion in one wording.

Shapes: C citizens, P pairs, W wordings, O orders. Every part is a variance [P], unbiased, so it may
be below 0; NaN where a pair does not tell it. `size` is Kish's number of citizens behind a label.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from assembly.error_budget import components
from plenary.preferences import FloatArray, IntArray


class GroupPart(NamedTuple):
    """own [P]: what the draw of groups adds; in_draw [P]: what of it the citizens' spread holds."""

    own: FloatArray
    in_draw: FloatArray


def between_groups(shares: FloatArray, groups: IntArray, size: float) -> GroupPart:
    """What groups [C] of citizens drawn at random add, by one-way analysis of shares [C, P].

    Halls hear nothing of one another, so what a hall's members have in common beyond chance is what
    was said there; models play citizens drawn by lot. With variance v between groups, a label over
    shares q of them varies by v * sum q^2, and the spread between citizens holds
    v * (n - sum n_g^2 / n) / (n - 1).
    """
    there = ~np.isnan(shares)
    member = np.equal.outer(np.unique(groups), groups).astype(np.float64)
    count = member @ there
    present, total = (count > 0).sum(axis=0), there.sum(axis=0)
    filled = np.where(there, shares, 0.0)
    sums = member @ filled
    means = np.divide(sums, count, out=np.zeros(count.shape), where=count > 0)
    grand = np.divide(filled.sum(axis=0), total, out=np.zeros(len(total)), where=total > 0)
    left = np.where(there, shares - member.T @ means, 0.0)
    known = (present > 1) & (total > present)
    free, inside = np.where(known, present - 1, 1), np.where(known, total - present, 1)
    apart = total - (count**2).sum(axis=0) / np.maximum(total, 1)
    between = (count * (means - grand) ** 2).sum(axis=0) / free
    variance = (between - (left**2).sum(axis=0) / inside) / np.where(known, apart / free, 1.0)
    variance = np.where(known, variance, np.nan)
    played = ((count / np.maximum(total, 1)) ** 2).sum(axis=0)
    return GroupPart(variance * played, variance * apart / np.maximum(total - 1, 1) / size)


def between_wordings(answers: FloatArray) -> FloatArray:
    """What another wording of the personas adds [P], from answers [W, C, P, O] of some citizens.

    The label has one wording, so the whole variance between wordings counts. What single citizens
    make of a wording is left out: the spread between citizens holds it already.
    """
    found = np.full(answers.shape[2], np.nan)
    for pair, cell in enumerate(answers.transpose(2, 1, 0, 3)):
        whole = cell[~np.isnan(cell).any(axis=(1, 2))]
        if len(whole) > 1 and whole.shape[1] > 1:
            parts = components(whole[:, :, None, :], 0.0)
            found[pair] = parts[(1,)] + parts.get((1, 3), 0.0) / whole.shape[2]
    return found
