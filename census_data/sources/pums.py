"""Importing PUMS, the Public Use Microdata Sample of the American Community Survey.

From the bureau's person files (psam_p*.csv, plain or in their zip), with the housing files for
household income, type, tenure and language; or from its microdata endpoint. Variable names depend
on the year: STATE since 2024, ST before. Blank, N, and the endpoint's own numbers stand for not in
universe. Metropolitan status is not in the files and is missing. Shapes: N persons, H households.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from census_data.geography import STATES
from census_data.population import Population, load_book
from census_data.schema import BY_NAME, COLUMNS, NOT_IN_UNIVERSE
from census_data.sources.mapping import block_weights
from census_data.sources.recode import DERIVED, label_tables, recode, source_name
from census_data.sources.tables import CsvForm, columns_in, read_blocks
from census_data.store import Facts, assembled
from plenary.errors import ConfigError, DataError
from plenary.hashing import content_hash
from plenary.preferences import FloatArray, IntArray

BULK = "https://www2.census.gov"
SOURCE = "US Census Bureau, American Community Survey Public Use Microdata Sample"
PERSONS = CsvForm(delimiter=",", members="*psam_p*.csv")
HOUSING = CsvForm(delimiter=",", members="*psam_h*.csv")
WEIGHT, SERIAL = "PWGTP", "SERIALNO"
STATE_NAMES = ("STATE", "ST")
PERSON_VARIABLES = (
    "AGEP", "SEX", "RAC1P", "HISP", "SCHL", "FOD1P", "MAR", "ESR", "COW", "OCCP", "INDP", "WKHP",
    "PINCP", "CIT", "ENG", "MIL", "DIS", "HICOV", "JWTRNS", "RELSHIPP",
)  # fmt: skip
HOUSING_VARIABLES = ("HINCP", "HHT", "TEN", "HHL")
ENDPOINT_VARIABLES = (WEIGHT, *PERSON_VARIABLES, *HOUSING_VARIABLES, "NP", SERIAL)
# The endpoint has numbers where the files have blanks (from its variable pages).
NO_INCOME = {"PINCP": -19_999, "HINCP": -60_000}
BLANKS = ("", "N", "b", "None")
REFERENCE_PERSON, INSTITUTION, OTHER_QUARTERS = 20, 37, 38
ADULT, MOST_PERSONS, MOST_CHILDREN = 18, 12, 8
UNASKED_IF_ZERO = frozenset(
    column.census for column in COLUMNS if column.kind == "category" and column.first == 1
) | {"WKHP"}


class PersonRecords(NamedTuple):
    """Raw variables by name [N each], weights [N] and household numbers as bytes [N]."""

    variables: dict[str, IntArray]
    weight: FloatArray
    serial: np.ndarray[tuple[int], np.dtype[np.bytes_]]


def bulk_address(state: str, year: int, *, housing: bool = False, base_url: str = BULK) -> str:
    """Address of the zip of one state, named by its postal code, for the 1-year survey."""
    if state.upper() not in {known.postal for known in STATES}:
        raise ConfigError(f"unknown state {state!r}; give a postal code such as CA")
    kind = "h" if housing else "p"
    folder = f"{base_url.rstrip('/')}/programs-surveys/acs/data/pums/{year}/1-Year"
    return f"{folder}/csv_{kind}{state.lower()}.zip"


def import_pums(persons: Sequence[Path], housing: Sequence[Path], year: int) -> Population:
    """The adults in person files, joined to housing files if there are any."""
    if not persons:
        raise ConfigError("no person file; give psam_p*.csv or its zip")
    records = _joined([_persons(path) for path in persons])
    if housing:
        records.variables.update(_housing(housing, records.serial))
    hashes = ", ".join(content_hash(path) for path in (*persons, *housing))
    names = ", ".join(path.name for path in (*persons, *housing))
    return _population(records, year, f"{names}, recoded by census_data.pums", hashes)


def import_records(rows: Sequence[Mapping[str, str]], year: int) -> Population:
    """The adults among records of the microdata endpoint (`CensusClient.microdata`)."""
    if not rows:
        raise DataError("no record from the microdata endpoint; ask for another state")
    state = next((name for name in ("state", *STATE_NAMES) if name in rows[0]), None)
    lacking = [name for name in (WEIGHT, *PERSON_VARIABLES) if name not in rows[0]]
    if lacking or state is None:
        raise DataError(f"records lack {lacking or 'state'!r}; ask the endpoint for them too")
    kept = [name for name in ENDPOINT_VARIABLES[1:] if name in rows[0] and name != SERIAL]
    variables = {name: _coded(pa.array([row[name] for row in rows]), name, 0) for name in kept}
    variables["STATE"] = _coded(pa.array([row[state] for row in rows]), "STATE", 0)
    weight = block_weights(pa.array([row[WEIGHT] for row in rows]), WEIGHT, 0)
    serial = np.array([row.get(SERIAL, str(k)) for k, row in enumerate(rows)], dtype=np.bytes_)
    return _population(
        PersonRecords(variables, weight, serial), year, "the bureau's microdata endpoint", ""
    )


def _population(
    records: PersonRecords, year: int, provenance: str, source_sha256: str
) -> Population:
    raw = {name.lower(): values for name, values in records.variables.items()}
    raw |= _of_household(records)
    age = records.variables["AGEP"]
    oldest = BY_NAME["age"].bounds[1]
    for row in np.flatnonzero((age < 0) | (age > oldest))[:1].tolist():
        raise DataError(
            f"age {int(age[row])!r} in variable 'AGEP', person {row + 1!r}, is not between 0 and "
            f"{oldest}; drop or fix such rows"
        )
    adults = age >= ADULT
    if not adults.any():
        raise DataError("no adult among the records; give a person file of the survey")
    raw = {name: values[adults] for name, values in raw.items()}
    people = int(adults.sum())
    # Recoding needs every variable; the columns of the absent ones are dropped afterwards.
    absent = [c for c in COLUMNS if c.name not in DERIVED and source_name(c) not in raw]
    raw |= {source_name(column): np.full(people, NOT_IN_UNIVERSE) for column in absent}
    recoded = recode(raw, label_tables(load_book()))
    dropped = {column.name for column in absent}
    kept = {name: values for name, values in recoded.columns.items() if name not in dropped}
    return assembled(
        kept,
        {name: recoded.book.labels[name] for name in kept if name in recoded.book.labels},
        records.weight[adults],
        Facts(
            source=f"{SOURCE}, {year}",
            licence="US government figures, public domain (17 USC 105)",
            universe="adults (18+), group quarters and people who are not citizens included",
            year=year,
            provenance=provenance,
            source_sha256=source_sha256,
            origins={name: BY_NAME[name].census for name in kept},
            bands={},
        ),
    )


def _persons(path: Path) -> PersonRecords:
    state = next((n for n in STATE_NAMES if n in columns_in(path, PERSONS)), STATE_NAMES[0])
    wanted = (SERIAL, WEIGHT, state, *PERSON_VARIABLES)
    parts: list[PersonRecords] = []
    rows = 0
    for block in read_blocks(path, wanted, PERSONS):
        variables = {n: _coded(block.column(n), n, rows) for n in (state, *PERSON_VARIABLES)}
        variables["STATE"] = variables.pop(state)
        weight = block_weights(block.column(WEIGHT), WEIGHT, rows)
        parts.append(PersonRecords(variables, weight, _serials(block)))
        rows += block.num_rows
    if not parts:
        raise DataError(f"{str(path)!r} has no rows; give a person file of the survey")
    return _joined(parts)


def _joined(parts: Sequence[PersonRecords]) -> PersonRecords:
    names = parts[0].variables
    return PersonRecords(
        {name: np.concatenate([part.variables[name] for part in parts]) for name in names},
        np.concatenate([part.weight for part in parts]),
        np.concatenate([part.serial for part in parts]),
    )


def _housing(
    paths: Iterable[Path], serial: np.ndarray[tuple[int], np.dtype[np.bytes_]]
) -> dict[str, IntArray]:
    """Housing variables of each person [N]; DataError for a person without a household."""
    keys, values = [], {name: [] for name in HOUSING_VARIABLES}
    for path in paths:
        rows = 0
        for block in read_blocks(path, (SERIAL, *HOUSING_VARIABLES), HOUSING):
            keys.append(_serials(block))
            for name, found in values.items():
                found.append(_coded(block.column(name), name, rows))
            rows += block.num_rows
    households = np.concatenate(keys) if keys else np.array([], dtype="S1")
    order = np.argsort(households)
    at = order[np.searchsorted(households, serial, sorter=order).clip(max=max(len(order) - 1, 0))]
    stray = households[at] != serial
    if stray.any():
        raise DataError(
            f"person of household {serial[stray][0].decode()!r} has no housing record; give the "
            "housing file of the same state and year"
        )
    return {name: np.concatenate(found)[at] for name, found in values.items()}


def _serials(block: pa.RecordBatch) -> np.ndarray[tuple[int], np.dtype[np.bytes_]]:
    return np.array([str(value).encode() for value in block.column(SERIAL).to_pylist()], np.bytes_)


def _of_household(records: PersonRecords) -> dict[str, IntArray]:
    """What follows from all persons of a household, and where each lives."""
    _, home, size = np.unique(records.serial, return_inverse=True, return_counts=True)
    children = np.bincount(home, records.variables["AGEP"] < ADULT).astype(np.int64)
    role = records.variables["RELSHIPP"]
    quarters = np.select([role == INSTITUTION, role == OTHER_QUARTERS], [2, 3], 1)
    persons = records.variables.get("NP", size[home].astype(np.int64))
    return {
        "np": np.minimum(persons, MOST_PERSONS),
        "kids": np.minimum(children[home], MOST_CHILDREN),
        "householder": (role == REFERENCE_PERSON).astype(np.int64),
        "typehugq": quarters,
    }


def _coded(column: pa.Array, name: str, rows_before: int) -> IntArray:
    """Whole numbers of a variable [N], NOT_IN_UNIVERSE if not asked."""
    encoded = column.dictionary_encode(null_encoding="encode")
    places = encoded.indices.to_numpy(zero_copy_only=False)
    texts = [str(value).strip() for value in encoded.dictionary.to_pylist()]
    return np.array([_code(text, name) for text in texts], dtype=np.int64)[places]


def _code(text: str, name: str) -> int:
    if text in BLANKS:
        return NOT_IN_UNIVERSE
    try:
        number = int(float(text))
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"unknown code {text!r} in variable {name!r}; give a file as the bureau publishes it"
        ) from error
    unasked = (number == 0 and name in UNASKED_IF_ZERO) or number == NO_INCOME.get(name)
    return NOT_IN_UNIVERSE if unasked else number
