"""Tables of persons on disk, read block by block with only the columns that are wanted.

A CSV file may be plain, gzipped, or one or several members of a zip archive.
"""

from __future__ import annotations

import csv
import gzip
import zipfile
import zlib
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

BLOCK = 8 * 2**20
HEADER_BYTES = 2**20
BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile)


class CsvForm(NamedTuple):
    """Encoding and delimiter of a CSV file, and which members of an archive hold it."""

    encoding: str = "utf8"
    delimiter: str = ","
    members: str = "*.csv"


PLAIN = CsvForm()


def read_blocks(
    path: Path, wanted: Sequence[str], form: CsvForm = PLAIN
) -> Iterator[pa.RecordBatch]:
    """Blocks of the wanted columns; every column of a CSV file comes as text.

    Raises DataError for a file that is absent, truncated, malformed, in another encoding, or
    without one of the columns.
    """
    reader = _parquet_blocks if path.suffix.lower() == ".parquet" else _csv_blocks
    with _readable(path, form):
        yield from reader(path, wanted, form)


def column_names(path: Path, form: CsvForm = PLAIN) -> tuple[str, ...]:
    """Columns of a table of persons."""
    with _readable(path, form):
        if path.suffix.lower() == ".parquet":
            return tuple(pq.read_schema(path).names)
        with _streams(path, form) as streams:
            return _header(streams[0], form)


@contextmanager
def _readable(path: Path, form: CsvForm) -> Iterator[None]:
    """DataError for whatever is wrong with a table of persons."""
    try:
        yield
    except UnicodeError as error:
        raise DataError(_encoding(path, form, error)) from error
    except BROKEN_ARCHIVE as error:
        raise DataError(
            f"{str(path)!r} is truncated or damaged: {error}; fetch it again"
        ) from error
    except pa.ArrowInvalid as error:
        text = str(error)
        if "UTF8" in text or "UTF-8" in text:
            raise DataError(_encoding(path, form, error)) from error
        raise DataError(f"{str(path)!r} is malformed: {text}; mend the file") from error
    except LookupError as error:
        raise DataError(f"encoding {form.encoding!r}: {error}; name another") from error
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error}; check the path") from error


def _parquet_blocks(path: Path, wanted: Sequence[str], form: CsvForm) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        _require(path, file.schema_arrow.names, wanted)
        yield from file.iter_batches(columns=list(wanted))


def _csv_blocks(path: Path, wanted: Sequence[str], form: CsvForm) -> Iterator[pa.RecordBatch]:
    with _streams(path, form) as streams:
        for stream in streams:
            _require(path, _header(stream, form), wanted)
            stream.seek(0)
            with pacsv.open_csv(
                stream,
                read_options=pacsv.ReadOptions(block_size=BLOCK, encoding=form.encoding),
                parse_options=pacsv.ParseOptions(delimiter=form.delimiter),
                convert_options=pacsv.ConvertOptions(
                    include_columns=list(wanted),
                    column_types={name: pa.string() for name in wanted},
                    strings_can_be_null=False,
                ),
            ) as reader:
                yield from reader


@contextmanager
def _streams(path: Path, form: CsvForm) -> Iterator[list[IO[bytes]]]:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if fnmatch(n.lower(), form.members)]
            if not names:
                raise DataError(
                    f"{str(path)!r} has no member {form.members!r}; it holds {archive.namelist()!r}"
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


def _header(stream: IO[bytes], form: CsvForm) -> tuple[str, ...]:
    line = stream.readline(HEADER_BYTES).decode(form.encoding).lstrip("\ufeff")
    return tuple(next(csv.reader([line], delimiter=form.delimiter), ()))


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
