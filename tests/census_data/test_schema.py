"""The schema and the page that describes it."""

from __future__ import annotations

from pathlib import Path

from census_data.population import load_population
from census_data.schema import COLUMNS

PAGE = Path(__file__).parents[2] / "docs" / "data" / "population.md"


def test_the_page_describes_every_column_as_it_is():
    people = load_population()
    page = PAGE.read_text("utf-8")
    for column in COLUMNS:
        size = len(people.labels(column.name)) if column.kind == "category" else "number"
        donor = "yes" if column.donor else ""
        row = f"| `{column.name}` | {column.census} | {size} | {column.universe} | {donor} |"
        assert row in page


def test_the_manifest_describes_the_schema():
    notes = load_population().source.columns
    assert [note.name for note in notes] == [column.name for column in COLUMNS]
    assert [note.universe for note in notes] == [column.universe for column in COLUMNS]
