"""What a stage costs: calls, tokens, money and seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class StageCost(NamedTuple):
    """One stage: calls, estimated tokens, money (None: no price known), seconds (None: unknown)."""

    stage: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    money: float | None
    seconds: float | None


def total_cost(costs: Sequence[StageCost]) -> StageCost:
    """The sum over stages; a part is None if it is unknown for one of them."""
    columns = list(zip(*costs, strict=True))
    sums = [None if None in column else sum(column) for column in columns[1:]]
    return StageCost("all", *sums)  # type: ignore[arg-type]
