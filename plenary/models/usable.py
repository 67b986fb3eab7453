"""The gate on invalid answers: stopping a run when too few ballots or answers can be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from plenary.errors import UnusableAnswers
from plenary.preferences import BoolArray, FloatArray

# Answers needed before a run may be stopped because of them.
FIRST = 40


class Seen(NamedTuple):
    """Answers to N questions of one kind.

    usable [N]: whether the answer counts. mass [N]: answer mass, NaN if the model gives none.
    shares [N, 2]: probability of each label if the answer was valid, else NaN. failure: the
    backend's reason for the first invalid answer.
    """

    usable: BoolArray
    mass: FloatArray
    shares: FloatArray
    failure: str


def require_usable(
    seen: Seen, who: str, what: str, min_mass: float, limit: float, setting: str
) -> None:
    """UnusableAnswers if a share above `limit` does not count: what was seen, why, what to set.

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
    """The highest threshold, to two digits, that excludes only half as many as the limit allows."""
    gate = float(np.floor(100 * np.quantile(mass[~np.isnan(mass)], limit / 2)) / 100)
    if gate < 0.05:
        return "; a lower elicitation.min_mass would count answers that are hardly answers"
    return f", or set elicitation.min_mass={gate:g} if so little mass is enough"


@contextmanager
def nothing_lost() -> Iterator[None]:
    """Add to the error about unusable answers that all answers are kept."""
    try:
        yield
    except UnusableAnswers as error:
        raise UnusableAnswers(
            f"{error}; all answers are kept, and only failed calls will be repeated"
        ) from error
