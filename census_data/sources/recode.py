"""Recoding Census codes (ACS variables) into the columns of the schema. Shapes: N persons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from census_data import labels
from census_data.geography import REGIONS, STATES
from census_data.manifest import CodeBook
from census_data.schema import BY_NAME, COLUMNS, NOT_IN_UNIVERSE, Column
from plenary.errors import DataError
from plenary.preferences import IntArray

SOURCE_NAMES = {
    "children": "kids",
    "metro": "metro",
    "metro_area": "cbsa",
    "householder": "householder",
    "region": "",
}
GROUPS = {"occupation": labels.OCCUPATION_GROUP, "industry": labels.INDUSTRY_GROUP}
# First Census code of each group, in the order of the groups (2018 occupation codes and later).
GROUP_STARTS = {
    "occupation": (
        *(0, 500, 800, 1005, 1305, 1600, 2001, 2100, 2205, 2600, 3000, 3601, 3700, 4000, 4200),
        *(4330, 4700, 5000, 6005, 6200, 6800, 7000, 7700, 9005, 9800, 9920),
    ),
    "industry": (
        *(0, 370, 570, 770, 1070, 4070, 4670, 6070, 6471, 6871, 7270, 7860, 7970, 8370, 8561),
        *(8770, 9370, 9670, 9920),
    ),
}
DERIVED = ("race_origin", "education", "nativity", "region", "occupation_group", "industry_group")
RACE_TO_ORIGIN = np.array([0, 1, 4, 4, 4, 3, 5, 6, 7])
SCHOOLING_TO_EDUCATION = np.array([0] * 15 + [1, 1, 2, 2, 3, 4, 5, 6, 7])


class LabelTable(NamedTuple):
    """A long category: sorted Census codes, the label of each, its major group's prefix."""

    codes: IntArray
    labels: tuple[str, ...]
    prefixes: tuple[str, ...]


class Recoded(NamedTuple):
    """Integer columns by name, and the labels behind them."""

    columns: dict[str, IntArray]
    book: CodeBook


def recode(raw: Mapping[str, IntArray], tables: Mapping[str, LabelTable]) -> Recoded:
    """The schema's columns from the survey's variables, by lower-case name [N each].

    Raises DataError for a code without a label and for a variable that is absent.
    """
    columns = {
        column.name: _column(column, raw, tables)
        for column in COLUMNS
        if column.name in tables or source_name(column) in raw
    }
    columns |= _derived(columns, tables)
    if set(columns) != set(BY_NAME):
        raise DataError(
            f"columns {sorted(set(BY_NAME) - set(columns))!r} cannot be made from the source; "
            "give the complete source file"
        )
    known = {column.name: column.labels for column in COLUMNS if column.kind == "category"}
    known |= {name: table.labels for name, table in tables.items()}
    codes = {name: tuple(table.codes.tolist()) for name, table in tables.items()}
    ordered = {column.name: columns[column.name] for column in COLUMNS}
    return Recoded(ordered, CodeBook(labels=known, census_codes=codes))


def label_tables(book: CodeBook) -> dict[str, LabelTable]:
    """The long tables of a code book, with the group of each occupation and industry."""
    tables = {}
    for name, codes in book.census_codes.items():
        prefixes = ("",) * len(codes)
        if name in GROUPS:
            at = np.searchsorted(GROUP_STARTS[name], codes, side="right") - 1
            prefixes = tuple(tuple(GROUPS[name])[k] for k in at)
        tables[name] = LabelTable(np.array(codes), book.labels[name], prefixes)
    return tables


def source_name(column: Column) -> str:
    """The raw variable that a column is recoded from; meaningless for DERIVED columns."""
    return SOURCE_NAMES.get(column.name, column.census.lower())


def _column(
    column: Column, raw: Mapping[str, IntArray], tables: Mapping[str, LabelTable]
) -> IntArray:
    values = raw[source_name(column)]
    if column.name in tables:
        return _positions(column.name, values, tables[column.name].codes)
    if column.kind == "number":
        return values
    asked = values != NOT_IN_UNIVERSE
    codes = np.where(asked, values - column.first, NOT_IN_UNIVERSE)
    bad = asked & ((codes < 0) | (codes >= len(column.labels)))
    _refuse(column.name, values[bad])
    return codes


def _positions(name: str, values: IntArray, codes: IntArray) -> IntArray:
    outside = values <= 0
    at = np.searchsorted(codes, values).clip(max=len(codes) - 1)
    _refuse(name, values[~outside & (codes[at] != values)])
    return np.where(outside, NOT_IN_UNIVERSE, at)


def _refuse(name: str, unknown: IntArray) -> None:
    if len(unknown):
        raise DataError(
            f"unknown code {int(unknown[0])!r} in column {name!r}; add its label to the code book"
        )


def _derived(
    columns: Mapping[str, IntArray], tables: Mapping[str, LabelTable]
) -> dict[str, IntArray]:
    hispanic = columns["hispanic_origin"] > 0
    regions = np.array([REGIONS.index(state.region) for state in STATES])
    derived = {
        "race_origin": np.where(hispanic, 2, RACE_TO_ORIGIN[columns["race"]]),
        "education": SCHOOLING_TO_EDUCATION[columns["schooling"]],
        "nativity": (columns["citizenship"] >= 3).astype(np.int64),
        "region": regions[columns["state"]],
    }
    for name, groups in GROUPS.items():
        order = list(groups)
        lookup = np.array([order.index(prefix) for prefix in tables[name].prefixes])
        codes = columns[name]
        derived[f"{name}_group"] = np.where(codes < 0, NOT_IN_UNIVERSE, lookup[codes])
    return derived
