"""The script that carries the tables of names over."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from personas.build_names import COLUMNS, FIRST_NAMES_FILE, SOURCES, SURNAMES_FILE, build


def test_build_keeps_the_columns_in_use(tmp_path):
    first = {"sex": ["F"], "decade": [1920], "name": ["Agnes"], "count": [19]}
    surname = {name: [1] for name in COLUMNS[SURNAMES_FILE]} | {"surname": ["Smith"], "rank": [1]}
    pq.write_table(pa.table(first), tmp_path / SOURCES[FIRST_NAMES_FILE])
    pq.write_table(pa.table(surname), tmp_path / SOURCES[SURNAMES_FILE])
    provenance = build(tmp_path, tmp_path / "out")
    assert pq.read_table(tmp_path / "out" / FIRST_NAMES_FILE).to_pydict() == first
    assert (
        tuple(pq.read_table(tmp_path / "out" / SURNAMES_FILE).column_names)
        == COLUMNS[SURNAMES_FILE]
    )
    assert provenance.tables[SURNAMES_FILE].rows == 1
    again = build(tmp_path, tmp_path / "again")
    assert again == provenance
