"""How much work code does, counted in calls: the same on every machine, busy or not."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable


def calls_made(work: Callable[[], object]) -> int:
    """Functions that the work calls in this thread, those written in C among them."""
    profile = cProfile.Profile()
    profile.runcall(work)
    return pstats.Stats(profile).total_calls  # pyright: ignore[reportAttributeAccessIssue]
