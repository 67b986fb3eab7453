"""A small table that shows itself: in a shell, in a notebook, and as pandas or Arrow columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, overload

from plenary.errors import ConfigError, DataError
from plenary.safe_text import strip_hidden

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SHOWN, WIDEST, WIDEST_IN_A_PAGE = 20, 60, 200


class Table:
    """Rows under named columns, all of one length.

    `table["age"]` is a column, `table[0]` a row as a dict, and iteration goes over rows.
    """

    __slots__ = ("columns", "title")

    def __init__(self, columns: Mapping[str, Sequence[object]], title: str = "") -> None:
        self.columns = {name: list(values) for name, values in columns.items()}
        self.title = title
        lengths = {name: len(values) for name, values in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"columns of different length {lengths!r}; give one value per row")

    @classmethod
    def of(cls, names: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> Table:
        """A table of rows, each with one value per name."""
        listed = [tuple(row) for row in rows]
        columns = list(zip(*listed, strict=True)) if listed else [()] * len(names)
        return cls(dict(zip(names, columns, strict=True)), title)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[k] for k in range(len(self)))

    @overload
    def __getitem__(self, which: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, which: str) -> list[Any]: ...

    def __getitem__(self, which: int | str) -> dict[str, Any] | list[Any]:
        if isinstance(which, int):
            return {name: values[which] for name, values in self.columns.items()}
        if which not in self.columns:
            raise ConfigError(f"no column {which!r}; use one of {', '.join(self.columns)}")
        return self.columns[which]

    def sort(self, column: str, *, falling: bool = False) -> Table:
        """The rows in the order of a column; rows without a value come last."""
        key = self[column]
        known = [k for k in range(len(self)) if not _empty(key[k])]
        order = sorted(known, key=lambda k: key[k], reverse=falling)
        order += [k for k in range(len(self)) if _empty(key[k])]
        return self.take(order)

    def take(self, rows: Iterable[int]) -> Table:
        """Some of the rows, by position."""
        kept = list(rows)
        columns = {name: [values[k] for k in kept] for name, values in self.columns.items()}
        return Table(columns, self.title)

    def where(self, **wanted: object) -> Table:
        """The rows whose columns have the values given: `table.where(phase="after")`."""
        columns = [(self[name], value) for name, value in wanted.items()]
        return self.take(
            k for k in range(len(self)) if all(values[k] == value for values, value in columns)
        )

    def to_arrow(self) -> pa.Table:
        """The same as a pyarrow table."""
        import pyarrow as pa

        return pa.table(self.columns)

    def to_pandas(self) -> pd.DataFrame:
        """The same as a pandas DataFrame; ConfigError where pandas is not installed."""
        try:
            import pandas as pd
        except ImportError as error:
            raise ConfigError(
                "to_pandas needs pandas, which is not installed; pip install pandas, or use "
                "to_arrow()"
            ) from error
        return pd.DataFrame(self.columns)

    def __repr__(self) -> str:
        rows = [[_told(value) for value in self[k].values()] for k in range(min(SHOWN, len(self)))]
        grid = [list(self.columns), *rows]
        widths = [max(len(row[j]) for row in grid) for j in range(len(self.columns))]
        right = [_numeric(values) for values in self.columns.values()]
        lines = [
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(row, widths, right, strict=True)
            ).rstrip()
            for row in grid
        ]
        head = [self.title] if self.title else []
        return "\n".join([*head, *lines, *_more(len(self))])

    def _repr_html_(self) -> str:
        right = [_numeric(values) for values in self.columns.values()]
        style = ["text-align:right" if number else "text-align:left" for number in right]
        head = _html_row("th", list(self.columns), style)
        body = [
            _html_row("td", [_told(v, WIDEST_IN_A_PAGE) for v in self[k].values()], style)
            for k in range(min(SHOWN, len(self)))
        ]
        caption = f"<caption>{escape(self.title)}</caption>" if self.title else ""
        more = "".join(f"<p>{line}</p>" for line in _more(len(self)))
        return f"<table>{caption}<thead>{head}</thead><tbody>{''.join(body)}</tbody></table>{more}"


def _html_row(cell: str, texts: Sequence[str], styles: Sequence[str]) -> str:
    cells = (
        f'<{cell} style="{style}">{escape(text)}</{cell}>'
        for text, style in zip(texts, styles, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _more(rows: int) -> list[str]:
    return [f"... {rows - SHOWN:,} more rows"] if rows > SHOWN else []


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _numeric(values: Sequence[object]) -> bool:
    known = [value for value in values if not _empty(value)]
    return bool(known) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in known
    )


def _told(value: object, limit: int = WIDEST) -> str:
    """A cell as text: three decimals, nothing where there is no value, no hidden characters."""
    if _empty(value):
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return strip_hidden(str(value), limit)
