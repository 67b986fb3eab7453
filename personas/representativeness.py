"""Representativeness: panel against population by category, with the sampling-error band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from census_data.cells import columns_of
from census_data.fidelity import ATTRIBUTES, positions_of
from census_data.population import Population
from personas.persona import Panel

BAND = 1.959964


class CategoryShare(NamedTuple):
    """One category: weighted shares, the 95 % band of simple random samples, citizens in it.

    low, high: the population's share plus and minus 1.96 standard errors of a sample of the
    panel's effective size. inside: the panel's share is in the band.
    """

    attribute: str
    category: str
    population: float
    panel: float
    low: float
    high: float
    citizens: int

    @property
    def inside(self) -> bool:
        """Whether the panel's share is within the range that sampling error explains."""
        return self.low <= self.panel <= self.high


def representativeness(
    population: Population, panel: Panel, names: Sequence[str] = ATTRIBUTES
) -> tuple[CategoryShare, ...]:
    """Population and panel shares of every category that is not empty."""
    rows = positions_of(population, np.array([persona.row_id for persona in panel]))
    table = []
    for column in columns_of(population, names):
        truth = column.shares(population.weight)
        codes, size = column.codes[rows], len(column.labels)
        drawn = np.bincount(codes, panel.weight, size) / panel.weight.sum()
        counts = np.bincount(codes, minlength=size)
        error = BAND * np.sqrt(truth * (1 - truth) / panel.effective_size)
        for k in np.flatnonzero((truth > 0) | (drawn > 0)).tolist():
            share = float(truth[k])
            table.append(
                CategoryShare(
                    column.name,
                    column.labels[k],
                    share,
                    float(drawn[k]),
                    max(0.0, share - float(error[k])),
                    min(1.0, share + float(error[k])),
                    int(counts[k]),
                )
            )
    return tuple(table)
