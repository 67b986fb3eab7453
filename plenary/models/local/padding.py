"""Padding token rows of unequal length into one rectangle, with its mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class PaddedRows(NamedTuple):
    """Token ids [B, S], and mask [B, S]: 1 for a token of the row, 0 for padding."""

    ids: Tensor
    mask: Tensor


def pad(
    rows: Sequence[Sequence[int] | np.ndarray], fill: int = 0, *, left: bool = False
) -> PaddedRows:
    """Rows padded with the token `fill` on the right, or on the left."""
    widest = max(map(len, rows))
    ids = np.full((len(rows), widest), fill, dtype=np.int64)
    mask = np.zeros((len(rows), widest), dtype=np.int64)
    for k, row in enumerate(rows):
        at = slice(widest - len(row), widest) if left else slice(0, len(row))
        ids[k, at] = row
        mask[k, at] = 1
    return PaddedRows(torch.from_numpy(ids), torch.from_numpy(mask))
