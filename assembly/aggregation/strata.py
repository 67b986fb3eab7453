"""Strata (subgroups) of the panel by attribute and category, and weighted means within them.

Shapes: C citizens, P pairs, G strata (every category of every attribute, so strata overlap).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from assembly.aggregation.electorate import weighted_mean
from plenary.errors import DataError
from plenary.preferences import BoolArray, FloatArray

Attributes = Mapping[str, Sequence[str]]


class Stratum(NamedTuple):
    """The citizens who share a category of an attribute, such as region = West."""

    attribute: str
    category: str


class Strata(NamedTuple):
    """names [G]; members [G, C]: who belongs. Each citizen is in one stratum per attribute."""

    names: tuple[Stratum, ...]
    members: BoolArray

    def means(self, values: FloatArray, weights: FloatArray) -> FloatArray:
        """Weighted mean [G, P] of `values` [C, P] in each stratum, NaN where nobody has one."""
        means = [weighted_mean(values[m], weights[m]) for m in self.members]
        return np.stack(means) if means else np.empty((0, values.shape[1]))


def strata_of(attributes: Attributes, citizens: int) -> Strata:
    """Strata from a mapping of attribute to each citizen's category [C], in alphabetical order."""
    names: list[Stratum] = []
    members: list[BoolArray] = []
    for attribute, categories in attributes.items():
        if len(categories) != citizens:
            raise DataError(
                f"{len(categories)!r} categories of {attribute!r} for {citizens} citizens; give "
                "one per citizen"
            )
        column = np.array(categories)
        for category in np.unique(column).tolist():
            names.append(Stratum(attribute, category))
            members.append(column == category)
    return Strata(tuple(names), np.array(members, dtype=bool).reshape(-1, citizens))
