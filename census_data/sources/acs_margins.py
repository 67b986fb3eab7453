"""Margins of adults from tables of the American Community Survey (ACS).

Lines of a table are identified by their labels ("Estimate!!Total:!!Male:!!18 and 19 years"), not by
their numbers, which change between years. Each table here counts adults, or states the ages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from census_data.geography import STATES
from census_data.labels import EDUCATION
from census_data.margins import JOIN, MarginTarget
from census_data.sources.api import AcsTable
from plenary.errors import ConfigError, DataError

SEXES = {"Male": "man", "Female": "woman"}
GRADUATE = JOIN.join(EDUCATION[5:])
BORN_HERE = "born in the United States | born in a US territory | born abroad of US citizens"


class TableSpec(NamedTuple):
    """How a table's lines become cells.

    columns: the margin's columns, in order; levels: column -> part of a line's label -> cell.
    ignored: parts without new information; left_out: parts of lines for people who are not counted.
    """

    columns: tuple[str, ...]
    levels: Mapping[str, Mapping[str, str]]
    ignored: frozenset[str]
    left_out: frozenset[str]


CHILDREN = ("Under 5 years", "5 to 9 years", "10 to 14 years", "15 to 17 years")
AGES = {
    **dict.fromkeys(("18 and 19 years", "20 years", "21 years", "22 to 24 years"), "under 25"),
    **dict.fromkeys(("25 to 29 years", "30 to 34 years"), "25 to 34"),
    **dict.fromkeys(("35 to 39 years", "40 to 44 years"), "35 to 44"),
    **dict.fromkeys(("45 to 49 years", "50 to 54 years"), "45 to 54"),
    **dict.fromkeys(("55 to 59 years", "60 and 61 years", "62 to 64 years"), "55 to 64"),
    **dict.fromkeys(("65 and 66 years", "67 to 69 years", "70 to 74 years"), "65 to 74"),
    **dict.fromkeys(("75 to 79 years", "80 to 84 years", "85 years and over"), "75 and over"),
}
SCHOOLING = {
    "Less than 9th grade": EDUCATION[0],
    "9th to 12th grade, no diploma": EDUCATION[0],
    "High school graduate (includes equivalency)": EDUCATION[1],
    "Some college, no degree": EDUCATION[2],
    "Associate's degree": EDUCATION[3],
    "Bachelor's degree": EDUCATION[4],
    "Graduate or professional degree": GRADUATE,
}
BROAD_AGES = (
    "18 to 24 years", "25 to 34 years", "35 to 44 years", "45 to 64 years", "65 years and over",
)  # fmt: skip
CITIZENSHIP = {
    "Native": BORN_HERE,
    "Naturalized U.S. citizen": "naturalized citizen",
    "Not a U.S. citizen": "not a citizen",
}
TABLES = {
    "B01001": TableSpec(
        ("sex", "age"), {"sex": SEXES, "age": AGES}, frozenset(), frozenset(CHILDREN)
    ),
    "B15001": TableSpec(
        ("sex", "education"),
        {"sex": SEXES, "education": SCHOOLING},
        frozenset(BROAD_AGES),
        frozenset(),
    ),
    "B05003": TableSpec(
        ("sex", "citizenship"),
        {"sex": SEXES, "citizenship": CITIZENSHIP},
        frozenset({"18 years and over", "Foreign born"}),
        frozenset({"Under 18 years"}),
    ),
}


def table_margin(table: AcsTable) -> MarginTarget:
    """The margin of adults in a table, by state if it has several states.

    Raises ConfigError for a table without a known margin, DataError for a line whose label is
    unknown or whose estimate is withheld.
    """
    spec = TABLES.get(table.table)
    if spec is None:
        raise ConfigError(
            f"no margin of adults is known in table {table.table!r}; use one of "
            f"{', '.join(TABLES)}, or write a margin file from its counts"
        )
    by_state = len(table.places) > 1
    if by_state and any(len(code) != 2 for code in table.place_codes):
        raise ConfigError(
            f"table {table.table!r} was fetched for {len(table.places)!r} places that are not "
            "states; rake to one county, to states or to the nation"
        )
    counts: dict[tuple[str, ...], float] = defaultdict(float)
    for row, code in enumerate(table.place_codes):
        start = (_state(code),) if by_state else ()
        for line, cell in _leaves(table, spec).items():
            value = float(table.estimates[row, line])
            if np.isnan(value):
                raise DataError(
                    f"the estimate {table.variables[line]!r} of {table.places[row]!r} is withheld; "
                    "use acs5, or a larger place"
                )
            counts[(*start, *cell)] += value
    columns = (*(("state",) if by_state else ()), *spec.columns)
    return MarginTarget(
        columns=columns,
        cells=tuple((*cell, count) for cell, count in counts.items()),
        source=f"{table.survey} {table.year}, table {table.table}: {table.title}",
    )


def _leaves(table: AcsTable, spec: TableSpec) -> dict[int, tuple[str, ...]]:
    """Line -> cell, for the lines that no other line divides further."""
    paths = [tuple(part.rstrip(":") for part in label.split("!!")) for label in table.labels]
    inner = {path[:depth] for path in paths for depth in range(1, len(path))}
    found = {}
    for line, path in enumerate(paths):
        if path not in inner:
            cell = _cell(table, spec, path)
            if cell is not None:
                found[line] = cell
    return found


def _cell(table: AcsTable, spec: TableSpec, path: tuple[str, ...]) -> tuple[str, ...] | None:
    cell: dict[str, str] = {}
    for part in path:
        if part in spec.left_out:
            return None
        column = next((name for name, known in spec.levels.items() if part in known), None)
        if column is not None:
            cell[column] = spec.levels[column][part]
        elif part not in spec.ignored and part not in ("Estimate", "Total"):
            raise DataError(
                f"unknown line {'!!'.join(path)!r} in table {table.table!r} of {table.year!r}; "
                "write a margin file from its counts"
            )
    if set(cell) != set(spec.columns):
        raise DataError(
            f"line {'!!'.join(path)!r} of table {table.table!r} lacks "
            f"{sorted(set(spec.columns) - set(cell))!r}; write a margin file from its counts"
        )
    return tuple(cell[column] for column in spec.columns)


def _state(code: str) -> str:
    name = next((state.name for state in STATES if f"{state.fips:02d}" == code), None)
    if name is None:
        raise DataError(f"state {code!r} is not in the population; ask for states one by one")
    return name
