"""The gate on invalid answers: stopping a run when too few ballots or answers can be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from plenary.errors import UnusableAnswers
from plenary.preferences import BoolArray, FloatArray

# Answers that must be there before a run is stopped for them.
FIRST = 40


class Seen(NamedTuple):
    """Answers to N questions of one kind.

    usable [N]: those that count. mass [N]: answer mass, NaN where the model gives none. shares
    [N, 2]: probability of either label where the answer was valid, else NaN. failure: the first
    reason for an answer that was not valid, as the backend said it.
    """

    usable: BoolArray
    mass: FloatArray
    shares: FloatArray
    failure: str


def require_usable(
    seen: Seen, who: str, what: str, min_mass: float, limit: float, setting: str
) -> None:
    """UnusableAnswers when more than `limit` do not count: what was seen, why, what to set.

    who: the backend. what: the questions, in words. setting: the name of the setting of `limit`.
    """
    lost = ~seen.usable
    if not len(lost) or lost.mean() <= limit:
        return
    low = seen.mass < min_mass
    if 2 * low.sum() < lost.sum():
        raise UnusableAnswers(
            f"{who!r} gave no valid answer to {lost.mean():.0%} of {len(lost)} {what} "
            f"(first reason: {seen.failure!r}); check the model or raise {setting} above "
            f"{limit!r}"
        )
    known = seen.shares[low] * seen.mass[low, None]
    by_label = np.nan_to_num(known).sum(axis=0) / max(int((~np.isnan(known[:, 0])).sum()), 1)
    raise UnusableAnswers(
        f"answer mass {np.median(seen.mass[low]):.3g} of {who!r} is below {min_mass!r} in "
        f"{low.mean():.0%} of {len(lost)} {what} (mean {by_label[0]:.3g} on the first label, "
        f"{by_label[1]:.3g} on the second); use a model that answers with a label, or another "
        f"template{_better(seen.mass, limit)}"
    )


def _better(mass: FloatArray, limit: float) -> str:
    """The highest gate, to two digits, that half the limit of the answers stay under."""
    gate = float(np.floor(100 * np.quantile(mass[~np.isnan(mass)], limit / 2)) / 100)
    if gate < 0.05:
        return "; a lower elicitation.min_mass would count answers that are hardly any"
    return f", or set elicitation.min_mass={gate:g} if so little is enough"


@contextmanager
def nothing_lost() -> Iterator[None]:
    """Say, where too few answers count, that what was asked is on record."""
    try:
        yield
    except UnusableAnswers as error:
        raise UnusableAnswers(
            f"{error}; all that was asked is kept, and only failed calls are made again"
        ) from error
