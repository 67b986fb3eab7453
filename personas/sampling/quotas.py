"""Quotas on categories, feasible panels, and the smallest relaxation if quotas are infeasible.

People with equal features are one type. Shapes: P people of the pool, T types, Q quotas, k seats. A
panel is a count of each type [T].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array, hstack, identity, vstack

from census_data.cells import Cells
from plenary.errors import ConfigError, ConvergenceError, DataError
from plenary.preferences import FloatArray, IntArray
from plenary.table_files import read_csv
from plenary.untrusted import ending, first_fault, read_tree

# Types that a quick panel leaves to the exact solver, besides one per quota; its relative gap.
UNSETTLED, NEARLY = 10, 0.3


class Quota(BaseModel):
    """How many seats one category may have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attribute: str = Field(description="name of the attribute")
    category: str = Field(description="label of the category, or of the band of a number")
    lower: int = Field(ge=0, description="least number of seats")
    upper: int = Field(ge=0, description="largest number of seats")


class Relaxation(NamedTuple):
    """A quota as it is and as it would have to be."""

    quota: Quota
    lower: int
    upper: int


class InfeasibleQuotas(ConfigError):
    """No panel meets the quotas; carries the smallest change that would make one possible."""

    def __init__(self, relaxations: Sequence[Relaxation], seats: int) -> None:
        self.relaxations = tuple(relaxations)
        changes = "; ".join(
            f"{r.quota.attribute}={r.quota.category!r} from {r.quota.lower}-{r.quota.upper} "
            f"to {r.lower}-{r.upper}"
            for r in relaxations
        )
        super().__init__(
            f"no panel of {seats!r} from this pool meets the quotas; the smallest change that "
            f"makes one possible: {changes}"
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """A pool in which people with equal features form one type.

    type_of [P]: type of each person. sizes [T]: people of the type. member [Q, T]: 1 where the
    type counts toward the quota. lower [Q], upper [Q]: bounds. seats: k.
    """

    type_of: IntArray
    sizes: IntArray
    member: FloatArray
    lower: FloatArray
    upper: FloatArray
    seats: int
    quotas: tuple[Quota, ...]

    def counts(self, people: IntArray) -> IntArray:
        """Number of each type [T] among people given by position."""
        return np.bincount(self.type_of[people], minlength=len(self.sizes))

    def meets(self, panel: IntArray) -> bool:
        """Whether a panel [T] has the right size and meets every quota."""
        sums = self.member @ panel
        fits = np.all(panel <= self.sizes) and int(panel.sum()) == self.seats
        return bool(fits and np.all(sums >= self.lower) and np.all(sums <= self.upper))

    def constraints(self) -> list[LinearConstraint]:
        """Quotas and the number of seats as linear constraints on a panel [T]."""
        whole = LinearConstraint(np.ones((1, len(self.sizes))), self.seats, self.seats)
        if not len(self.quotas):
            return [whole]
        return [whole, _rows_between(csr_array(self.member), self.lower, self.upper)]

    def best_panel(self, value: FloatArray) -> IntArray:
        """The feasible panel [T] with the greatest value @ panel."""
        answer = milp(
            -value,
            integrality=np.ones(len(self.sizes)),
            bounds=_between(np.zeros(len(self.sizes)), self.sizes),
            constraints=self.constraints(),
        )
        if answer.x is None:
            if answer.status == 2:
                raise InfeasibleQuotas(smallest_relaxation(self), self.seats)
            raise ConvergenceError(
                f"the solver stopped with {answer.message!r}; use fewer or wider quotas"
            )
        return np.round(answer.x).astype(np.int64)

    def good_panel(self, value: FloatArray) -> IntArray:
        """A feasible panel [T] with nearly the greatest value @ panel, but found many times faster.

        The fractional optimum has no more fractional counts than quotas; these and the types
        closest to changing are solved exactly, the others are rounded.
        """
        held = csr_array(self.member)
        whole = linprog(
            -value,
            A_ub=vstack([held, -held]),
            b_ub=np.concatenate([self.upper, -self.lower]),
            A_eq=np.ones((1, len(value))),
            b_eq=[self.seats],
            bounds=np.stack([np.zeros(len(value)), self.sizes], axis=1),
            method="highs",
            options={"presolve": False},
        )
        if whole.x is None:
            return self.best_panel(value)
        panel = np.round(whole.x)
        doubt = np.abs(whole.lower.marginals + whole.upper.marginals)
        doubt[np.abs(whole.x - panel) > 1e-6] = -1.0
        free = np.argsort(doubt, kind="stable")[: UNSETTLED + len(self.quotas)]
        panel[free] = 0
        rest = replace(
            self,
            sizes=self.sizes[free],
            member=self.member[:, free],
            lower=self.lower - self.member @ panel,
            upper=self.upper - self.member @ panel,
            seats=self.seats - int(panel.sum()),
        )
        answer = milp(
            -value[free],
            integrality=np.ones(len(free)),
            bounds=_between(np.zeros(len(free)), rest.sizes),
            constraints=rest.constraints(),
            options={"mip_rel_gap": NEARLY},
        )
        if answer.x is None:
            return self.best_panel(value)
        panel[free] = np.round(answer.x)
        return panel.astype(np.int64)


def quota_problem(
    columns: Sequence[Cells], quotas: Sequence[Quota], seats: int, people: int
) -> Problem:
    """The pool as a problem; ConfigError for quotas that no pool could have.

    columns: attributes of the pool's people [P]; only those with a quota distinguish types.
    """
    if seats > people:
        raise ConfigError(
            f"a panel of {seats!r} from a pool of {people!r}; ask for fewer or enlarge the pool"
        )
    by_name = {column.name: column for column in columns}
    codes = [_code(quota, by_name, seats) for quota in quotas]
    _check_repeats(quotas)
    used = sorted({quota.attribute for quota in quotas})
    features = (
        np.stack([by_name[name].codes for name in used], 1) if used else np.zeros((people, 1))
    )
    rows, type_of, sizes = np.unique(features, axis=0, return_inverse=True, return_counts=True)
    member = np.array(
        [rows[:, used.index(q.attribute)] == c for q, c in zip(quotas, codes, strict=True)]
    )
    return Problem(
        type_of.reshape(-1),
        sizes,
        member.reshape(len(quotas), len(sizes)).astype(np.float64),
        np.array([quota.lower for quota in quotas], dtype=np.float64),
        np.array([quota.upper for quota in quotas], dtype=np.float64),
        seats,
        tuple(quotas),
    )


def smallest_relaxation(problem: Problem) -> list[Relaxation]:
    """The smallest total change of bounds, in seats, for which a panel exists."""
    types, count = len(problem.sizes), len(problem.quotas)
    cost = np.concatenate([np.zeros(types), np.ones(2 * count)])
    slack = identity(count)
    shifted = csr_array(hstack([csr_array(problem.member), slack, -slack]))
    whole = np.concatenate([np.ones(types), np.zeros(2 * count)])[None, :]
    seats = float(problem.seats)
    answer = milp(
        cost,
        integrality=np.ones(len(cost)),
        bounds=_between(
            np.zeros(len(cost)), np.concatenate([problem.sizes, np.full(2 * count, seats)])
        ),
        constraints=[
            LinearConstraint(whole, seats, seats),
            _rows_between(shifted, problem.lower, problem.upper),
        ],
    )
    if answer.x is None:
        raise ConvergenceError(
            f"the solver stopped with {answer.message!r}; use fewer or wider quotas"
        )
    moves = np.round(answer.x[types:]).astype(int)
    return [
        Relaxation(quota, quota.lower - int(down), quota.upper + int(up))
        for quota, down, up in zip(problem.quotas, moves[:count], moves[count:], strict=True)
        if down or up
    ]


def proportional_quotas(
    columns: Sequence[Cells], weight: FloatArray, seats: int
) -> tuple[Quota, ...]:
    """The population's share of seats for every category of the columns, rounded down and up."""
    found = []
    for column in columns:
        shares = column.shares(weight) * seats
        found += [
            Quota(
                attribute=column.name,
                category=label,
                lower=int(np.floor(share + 1e-9)),
                upper=int(np.ceil(share - 1e-9)),
            )
            for label, share in zip(column.labels, shares.tolist(), strict=True)
        ]
    return tuple(found)


def read_quotas(path: Path) -> tuple[Quota, ...]:
    """Quotas from YAML or JSON, {attribute: {category: [lower, upper]}}, or from CSV or TSV.

    The table has the columns attribute, category, lower, upper. DataError for anything else.
    """
    if ending(path) in (".csv", ".tsv"):
        rows: list[Mapping[str, object]] = list(read_csv(path, "quotas", DataError))
    else:
        rows = _tree_rows(read_tree(path, "quotas", DataError), path)
    if not rows:
        raise DataError(f"{str(path)!r} contains no quota; give at least one")
    found: list[Quota] = []
    for number, row in enumerate(rows, 1):
        try:
            found.append(Quota.model_validate(row))
        except ValidationError as error:
            raise DataError(
                f"quota {number} in {str(path)!r} {first_fault(error)}; fix the file"
            ) from error
    return tuple(found)


def _between(lower: FloatArray, upper: FloatArray | IntArray) -> Bounds:
    # SciPy's annotations say float where its documentation says array.
    return Bounds(lower, upper)  # pyright: ignore[reportArgumentType]


def _rows_between(rows: csr_array, lower: FloatArray, upper: FloatArray) -> LinearConstraint:
    return LinearConstraint(rows, lower, upper)  # pyright: ignore[reportArgumentType]


def _tree_rows(tree: object, path: Path) -> list[Mapping[str, object]]:
    if not isinstance(tree, Mapping):
        _bad_shape(tree, path)
    rows: list[Mapping[str, object]] = []
    for name, categories in tree.items():
        if not isinstance(categories, Mapping):
            _bad_shape(categories, path)
        for category, bounds in categories.items():
            if not isinstance(bounds, list) or len(bounds) != 2:
                _bad_shape(bounds, path)
            if any(isinstance(bound, bool) for bound in bounds):
                _bad_shape(bounds, path)
            low, high = bounds
            rows.append(
                {"attribute": str(name), "category": str(category), "lower": low, "upper": high}
            )
    return rows


def _bad_shape(found: object, path: Path) -> NoReturn:
    raise DataError(
        f"{found!r} in {str(path)!r} is not of the form attribute: {{category: [lower, upper]}}; "
        "fix the file"
    )


def _code(quota: Quota, columns: Mapping[str, Cells], seats: int) -> int:
    if quota.attribute not in columns:
        raise ConfigError(
            f"quota on unknown attribute {quota.attribute!r}; use one of {', '.join(columns)}"
        )
    labels = columns[quota.attribute].labels
    if quota.category not in labels:
        raise ConfigError(
            f"quota on unknown category {quota.category!r} of {quota.attribute!r}; "
            f"use one of {', '.join(map(repr, labels))}"
        )
    if quota.lower > min(quota.upper, seats):
        raise ConfigError(
            f"quota {quota.attribute}={quota.category!r} wants at least {quota.lower!r} and "
            f"at most {quota.upper!r} of {seats!r} seats; lower the minimum"
        )
    return labels.index(quota.category)


def _check_repeats(quotas: Sequence[Quota]) -> None:
    seen: set[tuple[str, str]] = set()
    for quota in quotas:
        key = quota.attribute, quota.category
        if key in seen:
            raise ConfigError(f"two quotas on {key[0]}={key[1]!r}; keep one")
        seen.add(key)
