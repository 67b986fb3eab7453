"""Client of the Census Bureau's API: ACS tables and microdata, with the user's key.

The one door to the `census` package. The key comes from the environment variable CENSUS_API_KEY and
goes nowhere else. Estimates that the bureau withholds are NaN (it writes them as codes such as
-666666666).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from census import Census
from census.core import APIKeyError, CensusException
from pydantic import BaseModel, ConfigDict, Field

from census_data.sources.session import (
    HOST,
    KEY_VARIABLE,
    SIGN_UP,
    CensusError,
    CensusKeyError,
    HardenedSession,
    Patience,
)
from plenary.errors import ConfigError
from plenary.preferences import FloatArray

NATION = "us"
WITHHELD = -111_111_111
TABLE_NAME = re.compile(r"[BC]\d{5}[A-I]?(PR)?")
STATE_CODE = re.compile(r"\d{2}|\*")
COUNTY_CODE = re.compile(r"\d{2}(\d{3}|\*)")


class Geography(NamedTuple):
    """Places to ask about, in the service's terms: `for` and `in`."""

    place: str
    inside: str | None = None


class TableSettings(BaseModel):
    """Which survey is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    year: int = Field(default=2024, description="year of the survey, the last one for acs5")
    survey: Literal["acs1", "acs5"] = Field(
        default="acs5", description="American Community Survey over one year, or five"
    )


@dataclass(frozen=True, slots=True)
class AcsTable:
    """Estimates of one table. P places, G variables.

    variables [G], labels [G]: names, and their paths ("Estimate!!Total:!!Male:").
    places [P], place_codes [P]: names and codes (state + county, as text).
    estimates [P, G]: persons or households; NaN where withheld.
    """

    table: str
    title: str
    year: int
    survey: str
    variables: tuple[str, ...]
    labels: tuple[str, ...]
    places: tuple[str, ...]
    place_codes: tuple[str, ...]
    estimates: FloatArray


def geography(text: str) -> Geography:
    """Read `us`, `state:06`, `state:*`, `county:06037` or `county:06*`."""
    kind, _, code = text.partition(":")
    if text == NATION:
        return Geography("us:1")
    if kind == "state" and STATE_CODE.fullmatch(code):
        return Geography(f"state:{code}")
    if kind == "county" and COUNTY_CODE.fullmatch(code):
        return Geography(f"county:{code[2:]}", f"state:{code[:2]}")
    if kind in ("zip", "zcta", "state_zipcode"):
        raise ConfigError(
            f"geography {text!r}: the service drops the state of ZIP code areas and would answer "
            "for the whole nation; use county:SSCCC"
        )
    raise ConfigError(
        f"unknown geography {text!r}; use us, state:06, state:*, county:06037 or county:06*"
    )


def key_from_environment() -> str:
    """The key to the service; CensusKeyError if the environment has none."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        raise CensusKeyError(
            f"the environment variable {KEY_VARIABLE!r} is not set; since May 2026 every "
            f"question to the Census Bureau needs a key: get one at {SIGN_UP}"
        )
    return key


class CensusClient:
    """Asks the bureau for tables and for microdata."""

    def __init__(
        self,
        settings: TableSettings,
        patience: Patience,
        cache: Path | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._settings = settings
        self._key = key_from_environment()
        self.session = HardenedSession(patience, cache, *([sleep] if sleep else []))
        client = Census(self._key, session=self.session)
        self._client = {"acs1": client.acs1, "acs5": client.acs5}[settings.survey]
        if settings.year not in self._client.years:
            raise ConfigError(
                f"{settings.survey!r} has no year {settings.year!r}; use one of "
                f"{', '.join(map(str, self._client.years))}"
            )

    def table(self, table: str, places: Geography) -> AcsTable:
        """Every estimate of a table for the places asked for."""
        if not TABLE_NAME.fullmatch(table):
            raise ConfigError(f"{table!r} is not a detailed table; give a name such as B01001")
        title, labels = self._lines(table)
        rows = self._query(["NAME", *labels], places)
        if not rows:
            raise CensusError(f"table {table!r} has nothing for {places!r}; ask for another place")
        found = np.array([[_estimate(row.get(name)) for name in labels] for row in rows])
        found[found <= WITHHELD] = np.nan
        return AcsTable(
            table=table,
            title=title,
            year=self._settings.year,
            survey=self._settings.survey,
            variables=tuple(labels),
            labels=tuple(labels.values()),
            places=tuple(str(row["NAME"]) for row in rows),
            place_codes=tuple(_place_code(row) for row in rows),
            estimates=found,
        )

    def microdata(self, state: str, variables: Sequence[str]) -> list[dict[str, str]]:
        """Records of the public-use microdata of one state, every value as text from the service.

        Large questions fail at the bureau: ask for one state and few variables.
        """
        if not re.fullmatch(r"\d{2}", state):
            raise ConfigError(f"state {state!r} is not a FIPS code; give two digits")
        url = f"{HOST}/data/{self._settings.year}/acs/{self._settings.survey}/pums"
        asked = {"get": ",".join(variables), "for": f"state:{state}", "key": self._key}
        answer = self.session.get(url, params=asked)
        if not answer.content:
            raise CensusError(f"no microdata for state {state!r}; check state and year")
        rows = answer.json()
        if not isinstance(rows, list) or len(rows) < 2:
            raise CensusError(f"no microdata for state {state!r}; check state and year")
        return [dict(zip(rows[0], map(str, row), strict=True)) for row in rows[1:]]

    def _lines(self, table: str) -> tuple[str, dict[str, str]]:
        """Title of a table, and its estimates' variables with their labels, in order."""
        year, survey = self._settings.year, self._settings.survey
        answer = self.session.get(
            f"{HOST}/data/{year}/acs/{survey}/groups/{table}.json", params={"key": self._key}
        )
        variables: Mapping[str, Mapping[str, str]] = (
            answer.json().get("variables", {}) if answer.content else {}
        )
        kept = {
            name: facts.get("label", "")
            for name, facts in sorted(variables.items())
            if re.fullmatch(rf"{table}_\d+E", name)
        }
        if not kept:
            raise CensusError(f"table {table!r} is not in {survey} {year}; check name and year")
        self.session.types |= {
            name: variables[name].get("predicateType", "string") for name in kept
        }
        title = next((f["concept"] for f in variables.values() if "concept" in f), table)
        return title, kept

    def _query(self, fields: list[str], places: Geography) -> list[dict[str, object]]:
        asked = {"for": places.place, **({"in": places.inside} if places.inside else {})}
        try:
            return self._client.get(fields, asked, year=self._settings.year)
        except APIKeyError:
            raise CensusKeyError(
                f"the key in {KEY_VARIABLE!r} is refused; get one at {SIGN_UP}"
            ) from None
        except (CensusException, ValueError, KeyError) as error:
            raise CensusError(
                f"an answer for {places!r} is not in the expected form: "
                f"{str(error).replace(self._key, '***')!r}; try again later"
            ) from None


def _estimate(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _place_code(row: Mapping[str, object]) -> str:
    return "".join(str(row[part]) for part in ("state", "county") if part in row) or NATION
