"""Reading users' tables (CSV, TSV, JSONL, Parquet) and writing CSV that reads back unchanged.

Rows are counted from 1, without the header. A cell of a CSV file is text; whoever reads a file that
plenary wrote removes the escapes of formulas (plenary.safe_text).
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from plenary.safe_text import escape_formula
from plenary.untrusted import (
    Refusal,
    Unreadable,
    ending,
    read_bytes,
    read_json_lines,
    read_text,
    understood,
)

DELIMITERS = (",", ";", "\t")
TABLES = (".csv", ".tsv", ".jsonl", ".parquet", ".pq")
# From here on, neighbouring whole numbers are the same float.
LARGEST_EXACT = 2**53
# What programs write into a text cell for "no value", besides leaving it blank.
NO_VALUES = frozenset({"nan", "<na>", "null", "#n/a"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SPECIAL = re.compile('[",;\t\r\n]|^ | $')
# The csv module's limit holds for the whole process; a file's own size is limit enough.
csv.field_size_limit(2**31 - 1)


def read_rows(path: Path, name: str, refusal: Refusal) -> list[Mapping[str, object]]:
    """Rows of a table by column name; the file's ending says the format, and CSV cells are text."""
    kind = ending(path)
    if kind in (".csv", ".tsv"):
        return list(read_csv(path, name, refusal))
    if kind == ".jsonl":
        return [_object(line, row, path, refusal) for line, row in read_json_lines(
            path, name, refusal)]  # fmt: skip
    if kind in (".parquet", ".pq"):
        return list(read_parquet(path, name, refusal))
    raise refusal(f"unknown format of {name} {path.name!r}; use one of {', '.join(TABLES)}")


def _object(line: int, row: object, path: Path, refusal: Refusal) -> Mapping[str, object]:
    if not isinstance(row, dict):
        raise refusal(f"line {line} of {path.name!r} is {str(row)[:60]!r}; write an object")
    return row


def read_csv(path: Path, name: str, refusal: Refusal) -> list[dict[str, str]]:
    """Rows of a CSV or TSV file by column name; blank rows are left out."""
    text = read_text(path, name, refusal)
    fixed = "\t" if ending(path) == ".tsv" else None
    return understood(lambda: csv_rows(text, fixed), path, name, refusal)


def csv_rows(text: str, delimiter: str | None = None) -> list[dict[str, str]]:
    """Rows of CSV text; the delimiter, if not given, is found from the header."""
    rows = _records(text, delimiter or _delimiter(text))
    names = column_names(next(rows, (0, []))[1])
    unnamed = [at for at, name in enumerate(names) if not name]
    found: list[dict[str, str]] = []
    for number, (line, cells) in enumerate(rows, 1):
        if len(cells) != len(names):
            raise Unreadable(
                f"has {len(cells)} cells in row {number} (line {line}) but {len(names)} in the "
                f"header: {cells[:4]!r}; write every cell, quoted where it holds a delimiter"
            )
        for at in unnamed:
            if cells[at] and len(unnamed) > 1:
                raise Unreadable(
                    f"has {cells[at]!r} in row {number} under a column without a name; name it"
                )
        found.append(dict(zip(names, cells, strict=True)))
    return found


def column_names(header: Sequence[str]) -> tuple[str, ...]:
    """Names of a header without outer blanks, their line breaks alike; Unreadable if repeated."""
    names = tuple(column_name(cell) for cell in header)
    for at, name in enumerate(names):
        if name and name in names[:at]:
            raise Unreadable(f"has the column {name!r} twice in its header; rename one")
    return names


def column_name(cell: str) -> str:
    """A column's name without outer blanks, its line breaks of one kind."""
    return cell.strip().replace("\r\n", "\n").replace("\r", "\n")


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Last line and cells of every row that is not blank, the header first."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise Unreadable(
            f"is not a CSV table: {error} in line {reader.line_num}; fix the quotes"
        ) from error


def _delimiter(text: str) -> str:
    """The only delimiter that splits the header, or that makes every row as long as the header."""
    widths: dict[str, int] = {}
    for delimiter in DELIMITERS:
        with contextlib.suppress(Unreadable):
            widths[delimiter] = len(next(_records(text, delimiter), (0, []))[1])
    found = [delimiter for delimiter, width in widths.items() if width > 1]
    if len(found) > 1:
        found = [d for d in found if _all_as_wide(text, d, widths[d])] or found
    if len(found) > 1:
        raise Unreadable(
            f"has a header that {' and '.join(map(repr, found))} split; quote the names that hold "
            "one of them"
        )
    return found[0] if found else DELIMITERS[0]


def _all_as_wide(text: str, delimiter: str, width: int) -> bool:
    try:
        return all(len(cells) == width for _, cells in _records(text, delimiter))
    except Unreadable:
        return False


def read_parquet(path: Path, name: str, refusal: Refusal) -> list[dict[str, object]]:
    """Rows of a Parquet file by column name; dictionary codes become the values they stand for."""
    content = read_bytes(path, name, refusal)
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            column_names(file.schema_arrow.names)
            return file.read().to_pylist()
    except Unreadable as error:
        raise refusal(f"{name} {str(path)!r} {error}") from error
    except (OSError, ValueError, ArithmeticError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:300]
        raise refusal(
            f"cannot read {name} {str(path)!r}: {reason}; write the Parquet file again"
        ) from error


def cell_text(value: object) -> str:
    """A cell as text: "" for none, whole numbers in full; Unreadable if the text is not unique.

    4102331.0 is "4102331". A float that may stand for several whole numbers, a list, an object and
    bytes that are not UTF-8 have no unique text.
    """
    if value is None or value != value:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value) or abs(value) >= LARGEST_EXACT:
            raise Unreadable(f"{value!r} is not an exact number; write it as text or as an integer")
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return str(int(value))
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Unreadable(f"{value[:40]!r} is not text; write it as UTF-8") from error
    if isinstance(value, Mapping | list | tuple):
        raise Unreadable(f"{str(value)[:60]!r} is not a single value; write text or a number")
    return str(value)


def finite(value: object) -> float:
    """A finite number of a cell; Unreadable for blanks, "NaN", infinity, flags and other words."""
    text = "" if isinstance(value, bool) else cell_text(value).strip()
    found = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(found):
        raise Unreadable(f"{value!r} is not a number")
    return found


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table without live spreadsheet formulas, which `read_csv` reads back unchanged."""
    lines = [header, *([escape_formula(cell) for cell in row] for row in rows)]
    text = "".join(",".join(map(_quoted, line)) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8", newline="")


def _quoted(cell: object) -> str:
    # The csv module leaves a lone carriage return bare, which then ends the row.
    text = "" if cell is None else str(cell)
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text
