"""Build script: recodes source figures into the packaged snapshot (python -m census_data.build).

Usage: python -m census_data.build SOURCE_FOLDER. Reads us_adults_acs_pums_2024.parquet,
acs_pums_codes.json and cbsa_names.csv; writes the packaged snapshot, its label table and its
manifest. The same input and pyarrow version give the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from census_data import labels
from census_data.geography import STATES
from census_data.manifest import (
    LABELS_FILE,
    MANIFEST_FILE,
    SNAPSHOT_FILE,
    CodeBook,
    ColumnNote,
    Manifest,
    read_bytes,
)
from census_data.schema import COLUMNS
from census_data.sources.recode import LabelTable, recode
from census_data.store import parquet_bytes, pretty
from plenary.hashing import content_hash
from plenary.preferences import IntArray

SOURCE_FILE = "us_adults_acs_pums_2024.parquet"
CODES_FILE = "acs_pums_codes.json"
AREAS_FILE = "cbsa_names.csv"
MARGINS_FILE = "reference_margins.json"
MARGIN_KEYS = ("adult_margins_51", "adult_margins_49_excluding_CA_TX", "adult_2way_51")
NO_WORK_CODE = 9920


def build(source: Path, output: Path) -> Manifest:
    """Recode the figures in folder `source`; write snapshot, labels and manifest to `output`."""
    content = read_bytes(source / SOURCE_FILE)
    raw = _raw_columns(content)
    tables = _label_tables(source)
    recoded = recode(raw, tables)
    output.mkdir(parents=True, exist_ok=True)
    snapshot = parquet_bytes(recoded.columns, raw["weight"], raw["donor"])
    book = pretty(recoded.book)
    manifest = _manifest(raw, recoded.book, snapshot, book, content)
    (output / SNAPSHOT_FILE).write_bytes(snapshot)
    (output / LABELS_FILE).write_bytes(book)
    (output / MANIFEST_FILE).write_bytes(pretty(manifest))
    return manifest


def copy_margins(source: Path, target: Path) -> None:
    """Copy the full survey's margins, with which the tests compare, into the project."""
    margins = json.loads(read_bytes(source / MARGINS_FILE))
    kept = {key: margins[key] for key in ("source", "adults_18plus", "age7_edges", *MARGIN_KEYS)}
    target.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def _raw_columns(content: bytes) -> dict[str, IntArray]:
    table = pq.read_table(pa.BufferReader(content))
    return {name: table[name].to_numpy().astype(np.int64) for name in table.column_names}


def _label_tables(source: Path) -> dict[str, LabelTable]:
    titles = json.loads(read_bytes(source / CODES_FILE))
    areas = csv.DictReader(io.StringIO(read_bytes(source / AREAS_FILE).decode("utf-8")))
    return {
        "occupation": _label_table(titles["occp"], prefixed=True),
        "industry": _label_table(titles["indp"], prefixed=True),
        "field_of_degree": _label_table(titles["fod1p"]),
        "metro_area": _label_table({row["cbsa_code"]: row["cbsa_name"] for row in areas}),
        "state": _label_table({str(state.fips): state.name for state in STATES}),
    }


def _label_table(titles: Mapping[str, str], *, prefixed: bool = False) -> LabelTable:
    codes = sorted(titles, key=int)
    prefixes, names = [], []
    for code in codes:
        prefix, dash, name = titles[code].partition("-")
        split = prefixed and bool(dash) and int(code) != NO_WORK_CODE
        prefixes.append(prefix if split else "")
        names.append(name if split else titles[code])
    if prefixed and int(codes[-1]) == NO_WORK_CODE:
        names[-1] = labels.NO_RECENT_WORK
    return LabelTable(np.array(codes, dtype=np.int64), tuple(names), tuple(prefixes))


def _manifest(
    raw: Mapping[str, IntArray], book: CodeBook, snapshot: bytes, labels_file: bytes, source: bytes
) -> Manifest:
    weight, donor = raw["weight"], raw["donor"]
    notes = tuple(
        ColumnNote(
            name=column.name,
            kind=column.kind,
            census=column.census,
            description=column.description,
            universe=column.universe,
            labels=len(book.labels.get(column.name, ())),
        )
        for column in COLUMNS
    )
    return Manifest(
        sha256=content_hash(snapshot),
        labels_sha256=content_hash(labels_file),
        source_sha256=content_hash(source),
        year=2024,
        universe=UNIVERSE,
        source=SOURCE,
        licence="US government figures, public domain (17 USC 105)",
        provenance=PROVENANCE,
        rows=len(weight),
        weight_sum=int(weight.sum()),
        columns=notes,
        imputed_columns=tuple(column.name for column in COLUMNS if column.donor),
        imputed_share=float(weight @ donor / weight.sum()),
        notes=NOTES,
    )


UNIVERSE = (
    "adults (18+) of the 50 states and the District of Columbia, group quarters and people who are "
    "not citizens included"
)
SOURCE = "US Census Bureau, American Community Survey 2024 1-year Public Use Microdata Sample"
PROVENANCE = (
    "199,996 of 2,790,132 adult records: systematic draw with probability proportional to the "
    "person weight inside each state, weights raked to 20 margins of the full file; records "
    "carried by github.com/mikesimonsen/acs-pums-explorer (commits a32352ce and 4a264282), "
    "recoded by census_data.build."
)
NOTES = (
    "donor = 1 marks all of California and Texas: there the imputed columns come from one donor "
    "record of another state, not from the respondent; every other column is the respondent's own.",
    "Code -1 means not in universe and -2 missing, for categories and numbers alike; the survey's "
    "own edits leave no missing answer.",
    "Dollars are those of the interview month; the inflation factor ADJINC is not applied.",
    "metro is the size of the statistical area that holds most of the person's PUMA.",
    "Replicate weights are not carried: variances from this file ignore the survey's own design.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the script."""
    parser = argparse.ArgumentParser(description="remake the packaged population snapshot")
    parser.add_argument("source", type=Path, help="folder of the source figures")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "snapshot")
    parser.add_argument("--margins", type=Path, help="also copy the tests' margins to this file")
    chosen = parser.parse_args(arguments)
    build(chosen.source, chosen.output)
    if chosen.margins:
        copy_margins(chosen.source, chosen.margins)


if __name__ == "__main__":
    main()
