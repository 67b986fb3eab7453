"""Reading large tables of persons (CSV, zip, Parquet) block by block, only the needed columns.

A CSV file may be plain, gzipped, or one or several members of a zip archive.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, NamedTuple

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from plenary.errors import DataError
from plenary.table_files import DELIMITERS, column_name, column_names
from plenary.untrusted import BROKEN_ARCHIVE, Unreadable, marked_encoding, members

BLOCK = 8 * 2**20
HEADER_BYTES = 2**20
UTF8 = "utf8"


class CsvForm(NamedTuple):
    """Encoding and delimiter of a CSV file, and which members of an archive hold it.

    A byte order mark takes precedence over UTF-8. By default the delimiter is whichever of comma,
    semicolon and tab splits the header into the wanted columns.
    """

    encoding: str = UTF8
    delimiter: str | None = None
    members: str = "*.[ct]sv"


class _Header(NamedTuple):
    """Names of the columns, records up to and including the header, and how to read the file."""

    names: tuple[str, ...]
    records: int
    encoding: str
    delimiter: str


PLAIN = CsvForm()


def read_blocks(
    path: Path, wanted: Sequence[str], form: CsvForm = PLAIN
) -> Iterator[pa.RecordBatch]:
    """Blocks of the wanted columns; every column of a CSV file is text.

    Raises DataError for a file that is absent, truncated, malformed, in another encoding, without
    one of the columns, or with a repeated column.
    """
    reader = _parquet_blocks if path.suffix.lower() == ".parquet" else _csv_blocks
    with _readable(path, form):
        yield from reader(path, wanted, form)


def columns_in(path: Path, form: CsvForm = PLAIN) -> tuple[str, ...]:
    """Columns of a table of persons."""
    with _readable(path, form):
        if path.suffix.lower() == ".parquet":
            return tuple(pq.read_schema(path).names)
        with _streams(path, form) as streams:
            return _header(path, streams[0], (), form).names


@contextmanager
def _readable(path: Path, form: CsvForm) -> Iterator[None]:
    """Raise DataError for anything wrong with a table of persons."""
    try:
        yield
    except UnicodeError as error:
        raise DataError(_encoding(path, form, error)) from error
    except Unreadable as error:
        raise DataError(f"{str(path)!r} {error}") from error
    except BROKEN_ARCHIVE as error:
        raise DataError(
            f"{str(path)!r} is truncated or damaged: {error}; fetch it again"
        ) from error
    except pa.ArrowException as error:
        text = " ".join(str(error).split())
        if "UTF8" in text or "UTF-8" in text:
            raise DataError(_encoding(path, form, error)) from error
        raise DataError(f"{str(path)!r} is malformed: {text}; fix the file") from error
    except LookupError as error:
        raise DataError(f"encoding {form.encoding!r}: {error}; name another") from error
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error}; check the path") from error


def _parquet_blocks(path: Path, wanted: Sequence[str], form: CsvForm) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        _require(path, names, wanted)
        for name in wanted:
            if names.count(name) > 1:
                raise DataError(f"{str(path)!r} has the column {name!r} twice; rename one")
            if pa.types.is_nested(file.schema_arrow.field(name).type):
                raise DataError(
                    f"column {name!r} of {str(path)!r} contains lists or objects; write text or "
                    "numbers"
                )
        for block in file.iter_batches(columns=list(wanted)):
            yield pa.RecordBatch.from_arrays([_plain(block[name]) for name in wanted], list(wanted))


def _plain(column: pa.Array) -> pa.Array:
    """A column without its dictionary; bytes as text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    binary = pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)
    return column.cast(pa.string()) if binary or pa.types.is_null(column.type) else column


def _csv_blocks(path: Path, wanted: Sequence[str], form: CsvForm) -> Iterator[pa.RecordBatch]:
    columns = [column_name(name) for name in wanted]
    with _streams(path, form) as streams:
        for stream in streams:
            header = _header(path, stream, columns, form)
            _require(path, header.names, columns)
            counted = _Counted(stream)
            try:
                yield from _parsed(counted, header, columns, wanted)
            except pa.ArrowInvalid:
                _check_rows(stream, header)
                raise
            if counted.quotes % 2:
                # An unclosed quote may have swallowed rows.
                _check_rows(stream, header)


def _parsed(
    stream: _Counted, header: _Header, columns: Sequence[str], wanted: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    names = [name or f"\0{at}" for at, name in enumerate(header.names)]
    with pacsv.open_csv(
        io.BufferedReader(stream, BLOCK),
        read_options=pacsv.ReadOptions(
            block_size=BLOCK,
            encoding=header.encoding,
            column_names=names,
            skip_rows_after_names=header.records,
        ),
        parse_options=pacsv.ParseOptions(delimiter=header.delimiter, newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            include_columns=list(columns),
            column_types={name: pa.string() for name in columns},
            strings_can_be_null=False,
        ),
    ) as reader:
        for block in reader:
            yield pa.RecordBatch.from_arrays(block.columns, list(wanted))


class _Counted(io.RawIOBase):
    """A stream from its beginning, with the number of quotes read so far."""

    def __init__(self, stream: IO[bytes]) -> None:
        stream.seek(0)
        self.stream, self.quotes = stream, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        content = self.stream.read(len(buffer))
        self.quotes += content.count(b'"')
        buffer[: len(content)] = content
        return len(content)


def _check_rows(stream: IO[bytes], header: _Header) -> None:
    """Raise Unreadable for the first row not as long as the header, and for an unclosed quote."""
    stream.seek(0)
    reader = csv.reader(
        io.TextIOWrapper(stream, header.encoding, newline=""),
        delimiter=header.delimiter,
        strict=True,
    )
    number = 1 - header.records
    try:
        for cells in reader:
            if cells and number > 0 and len(cells) != len(header.names):
                raise Unreadable(
                    f"is malformed: {len(cells)} cells in row {number} (line {reader.line_num}), "
                    f"{len(header.names)} in the header: {cells[:4]!r}; fix the file"
                )
            number += bool(cells) or number <= 0
    except csv.Error as error:
        raise Unreadable(
            f"is malformed: {error} in line {reader.line_num}; fix the file"
        ) from error


@contextmanager
def _streams(path: Path, form: CsvForm) -> Iterator[list[IO[bytes]]]:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [n for n in members(archive) if fnmatch(n.lower(), form.members)]
            if not names:
                raise DataError(
                    f"{str(path)!r} has no member {form.members!r}; it has {archive.namelist()!r}"
                )
            opened: list[IO[bytes]] = [archive.open(name) for name in sorted(names)]
            try:
                yield opened
            finally:
                for stream in opened:
                    stream.close()
        return
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rb") as stream:
        yield [stream]  # pyright: ignore[reportReturnType]


def _header(path: Path, stream: IO[bytes], wanted: Sequence[str], form: CsvForm) -> _Header:
    """The header, split by the delimiter that gives the wanted columns; Unreadable if repeated."""
    head = stream.read(HEADER_BYTES)
    marked = marked_encoding(head)
    encoding = form.encoding
    if marked[0] and codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "utf-16"):
        encoding = marked[1].removesuffix("-le").removesuffix("-be")
    "".encode(encoding)  # LookupError if it is not a text encoding
    text = codecs.getincrementaldecoder(encoding)().decode(head).removeprefix("\ufeff")
    kind = DELIMITERS if form.delimiter is None else (form.delimiter,)
    found = [_split(text, delimiter, encoding) for delimiter in kind]
    best = max(found, key=lambda header: (len(set(wanted) & set(header.names)), len(header.names)))
    return best._replace(names=column_names(best.names))


def _split(text: str, delimiter: str, encoding: str) -> _Header:
    """The first record that is not blank, its names not checked."""
    records = 0
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            records += 1
            if cells:
                return _Header(tuple(map(column_name, cells)), records, encoding, delimiter)
    except csv.Error as error:
        raise Unreadable(f"is not a CSV table: {error}; fix its header") from error
    return _Header((), records, encoding, delimiter)


def _require(path: Path, present: Sequence[str], wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in present:
            near = get_close_matches(name, present, 3) or list(present[:8])
            raise DataError(
                f"{str(path)!r} has no column {name!r}; it has {', '.join(map(repr, near))}"
            )


def _encoding(path: Path, form: CsvForm, error: Exception) -> str:
    return (
        f"{str(path)!r} is not encoded in {form.encoding!r}: {error}; save it as UTF-8, or name "
        "its encoding in the mapping"
    )
