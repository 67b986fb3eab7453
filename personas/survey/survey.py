"""A survey of people (General Social Survey or your own): items, groups, answer shares by group.

The packaged one is the General Social Survey [gss]; your own is a folder of the same three files:
survey.json (this model), shares.csv and, where known, coefficients.csv.
Shapes: C citizens, A answers of an item.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from personas.persona import Persona
from plenary.errors import DataError
from plenary.preferences import FloatArray
from plenary.table_files import finite, read_csv
from plenary.untrusted import Unreadable, read_file

SURVEY_FILE, SHARES_FILE, COEFFICIENTS_FILE = "survey.json", "shares.csv", "coefficients.csv"
ALL = "all"
LARGEST_SUM_ERROR = 0.02
_NUMBER_TYPES = (int, float, int | None)


NUMBERS = tuple(
    name for name, field in Persona.model_fields.items() if field.annotation in _NUMBER_TYPES
)


class SurveyItem(BaseModel):
    """One closed question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str = Field(min_length=1, description="what is asked about, in a few words")
    answers: tuple[str, ...] = Field(min_length=2, max_length=20, description="in scale order")
    ordered: bool = Field(default=True, description="answers are steps of a scale")
    retest: float | None = Field(
        default=None, gt=0, le=1, description="share of people who repeat their answer later"
    )


class Grouping(BaseModel):
    """How one attribute assigns a citizen to one of the survey's groups."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attribute: str = Field(description="field of the persona")
    groups: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="group -> values of the attribute in it"
    )
    edges: tuple[float, ...] = Field(
        default=(), description="lower edges of the bands of a number, lowest first"
    )
    labels: tuple[str, ...] = Field(default=(), description="group of each band")

    def group(self, persona: Persona) -> str | None:
        """The citizen's group, None if the attribute is unknown."""
        value = getattr(persona, self.attribute)
        if value is None:
            return None
        if self.edges:
            at = int(np.searchsorted(self.edges, value, side="right")) - 1
            return self.labels[at] if at >= 0 else None
        return next((name for name, values in self.groups.items() if value in values), None)


class SurveyFile(BaseModel):
    """The file survey.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="short name of the survey")
    source: str = Field(description="publisher, waves and terms, for every record made with it")
    items: dict[str, SurveyItem] = Field(min_length=1, description="item -> question")
    groupings: dict[str, Grouping] = Field(min_length=1, description="name -> grouping")


class Coefficient(NamedTuple):
    """Effect of a demographic term on the standardised answer code, and its standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Survey:
    """Items, groupings and figures.

    shares: (item, grouping, group) -> share of every answer [A]; ("all", "all") is everybody.
    bases: the same keys -> respondents. coefficients: item -> term -> effect.
    """

    file: SurveyFile
    shares: Mapping[tuple[str, str, str], FloatArray]
    bases: Mapping[tuple[str, str, str], int]
    coefficients: Mapping[str, Mapping[str, Coefficient]]

    def marginal(self, item: str) -> FloatArray:
        """Everybody's share of each answer [A]."""
        return self.shares[item, ALL, ALL]


def load_survey(folder: Path | None = None) -> Survey:
    """The packaged General Social Survey, or the survey in a folder of your own."""
    where = folder or Path(str(resources.files("personas"))) / "surveys"
    file = _read_file(where / SURVEY_FILE)
    shares, bases = _read_shares(where / SHARES_FILE, file)
    for item in file.items:
        if (item, ALL, ALL) not in shares:
            raise DataError(
                f"no shares of everybody for item {item!r} in {str(where / SHARES_FILE)!r}; "
                "add rows with by=all and stratum=all"
            )
    coefficients = where / COEFFICIENTS_FILE
    effects = _read_coefficients(coefficients) if coefficients.exists() else {}
    return Survey(file, shares, bases, effects)


def _read_file(path: Path) -> SurveyFile:
    file = read_file(SurveyFile, path, "survey", DataError)
    for name, grouping in file.groupings.items():
        if grouping.attribute not in Persona.model_fields:
            raise DataError(
                f"grouping {name!r} is by {grouping.attribute!r}, which no persona has; "
                f"use one of {', '.join(Persona.model_fields)}"
            )
        if bool(grouping.groups) == bool(grouping.edges) or len(grouping.edges) != len(
            grouping.labels
        ):
            raise DataError(
                f"grouping {name!r} needs either groups, or edges with as many labels; fix it"
            )
        numeric = grouping.attribute in NUMBERS
        if bool(grouping.edges) != numeric or list(grouping.edges) != sorted(grouping.edges):
            wanted = "edges, lowest first" if numeric else "groups of its values"
            raise DataError(
                f"grouping {name!r} is by {grouping.attribute!r}, which needs {wanted}; fix "
                f"{str(path)!r}"
            )
    return file


def _read_shares(
    path: Path, file: SurveyFile
) -> tuple[dict[tuple[str, str, str], FloatArray], dict[tuple[str, str, str], int]]:
    shares: dict[tuple[str, str, str], FloatArray] = {}
    bases: dict[tuple[str, str, str], int] = {}
    seen: set[tuple[str, ...]] = set()
    for place, row in _rows(path, ("item", "by", "stratum", "response", "n", "share")):
        if row["item"] not in file.items:
            continue
        key = row["item"], row["by"], row["stratum"]
        _check_stratum(file, row["by"], row["stratum"], place)
        answers = len(file.items[row["item"]].answers)
        code = _number(row["response"], place)
        if code not in range(1, answers + 1):
            raise DataError(
                f"response {row['response']!r} of item {row['item']!r} is not one of its {answers} "
                f"answers, in {place}; number them from 1"
            )
        if (*key, row["response"]) in seen:
            raise DataError(
                f"{place} gives answer {row['response']!r} of {'/'.join(key)!r} again; keep one row"
            )
        seen.add((*key, row["response"]))
        shares.setdefault(key, np.zeros(answers))[int(code) - 1] = _number(row["share"], place)
        bases[key] = int(_number(row["n"], place))
    for key, values in shares.items():
        if abs(values.sum() - 1) > LARGEST_SUM_ERROR or values.min() < 0:
            raise DataError(
                f"shares {values.tolist()!r} of {'/'.join(key)!r} do not add up to 1; "
                f"fix {str(path)!r}"
            )
        values /= values.sum()
    return shares, bases


def _check_stratum(file: SurveyFile, by: str, stratum: str, place: str) -> None:
    """DataError for a group that a grouping, or a crossing of some, does not have."""
    names, parts = by.split("|"), stratum.split("|")
    if not set(names) <= set(file.groupings):
        return
    if len(names) != len(parts):
        raise DataError(f"stratum {stratum!r} in {place} is not a group of {by!r}; fix the row")
    for name, part in zip(names, parts, strict=True):
        grouping = file.groupings[name]
        known = (*grouping.groups, *grouping.labels)
        if part not in known:
            raise DataError(
                f"stratum {part!r} in {place} is not a group of {name!r}; use one of "
                f"{', '.join(map(repr, known))}"
            )


def _read_coefficients(path: Path) -> dict[str, dict[str, Coefficient]]:
    found: dict[str, dict[str, Coefficient]] = {}
    for place, row in _rows(path, ("item", "term", "coef", "se")):
        effect = Coefficient(_number(row["coef"], place), _number(row["se"], place))
        if row["term"] in found.setdefault(row["item"], {}):
            raise DataError(f"{place} gives term {row['term']!r} of an item again; keep one row")
        found[row["item"]][row["term"]] = effect
    return found


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    rows = read_csv(path, "survey table", DataError)
    missing = [name for name in columns if name not in (rows[0] if rows else ())]
    if missing:
        raise DataError(f"{str(path)!r} lacks the columns {missing!r}; add them")
    for at, row in enumerate(rows, 1):
        yield f"row {at} of {str(path)!r}", row


def _number(text: str, place: str) -> float:
    try:
        return finite(text)
    except Unreadable as error:
        raise DataError(f"{error}, in {place}; fix the file") from error
