"""A table shows itself, sorts, filters, and becomes columns of other libraries."""

from __future__ import annotations

import sys

import pytest

from plenary.errors import ConfigError, DataError
from plenary.table import Table


@pytest.fixture
def table() -> Table:
    return Table.of(["who", "share"], [("b <i>", 0.25), ("a", None), ("c", 1.0)], "Shares")


def test_rows_and_columns_are_reached(table: Table) -> None:
    assert len(table) == 3
    assert table["who"] == ["b <i>", "a", "c"]
    assert table[2] == {"who": "c", "share": 1.0}
    assert [row["who"] for row in table] == ["b <i>", "a", "c"]
    with pytest.raises(ConfigError, match="share"):
        table["shares"]


def test_rows_without_a_value_are_sorted_last(table: Table) -> None:
    assert table.sort("share")["who"] == ["b <i>", "c", "a"]
    assert table.sort("share", falling=True)["who"] == ["c", "b <i>", "a"]
    assert table.where(who="c")["share"] == [1.0]


def test_it_shows_itself_safely(table: Table) -> None:
    assert "0.250" in repr(table)
    page = table._repr_html_()
    assert "<i>" not in page
    assert "&lt;i&gt;" in page
    assert "30 more rows" in repr(Table({"n": range(50)}))


def test_columns_of_other_libraries(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    assert table.to_arrow().num_rows == 3
    assert list(table.to_pandas()["who"]) == table["who"]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match="pip install pandas"):
        table.to_pandas()


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(DataError, match="length"):
        Table({"a": [1], "b": []})


def test_a_table_without_rows_shows_its_columns() -> None:
    assert "who" in repr(Table.of(["who"], []))
    assert len(Table.of(["who"], [])) == 0
