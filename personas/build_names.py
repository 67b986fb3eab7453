"""Build script: packs public name counts into tables (python -m personas.build_names FOLDER)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from plenary.hashing import content_hash

FIRST_NAMES_FILE = "first_names.parquet"
SURNAMES_FILE = "surnames.parquet"
PROVENANCE_FILE = "provenance.json"
SOURCES = {
    FIRST_NAMES_FILE: "us_first_names_ssa.parquet",
    SURNAMES_FILE: "us_surnames_census2010.parquet",
}
COLUMNS = {
    FIRST_NAMES_FILE: ("sex", "decade", "name", "count"),
    SURNAMES_FILE: (
        "surname",
        "share",
        "p_white",
        "p_black",
        "p_hispanic",
        "p_asian",
        "p_aian",
        "p_multi",
    ),
}
ORIGINS = {
    FIRST_NAMES_FILE: "US Social Security Administration, state-level annual top ten names "
    "1925-2007 summed by sex and decade of birth; via "
    "github.com/dataofnote/popular-babynames-via-ssa 8a5f9b10 (MIT). Public domain figures.",
    SURNAMES_FILE: "US Census Bureau, surnames of the 2000 and 2010 censuses with race and origin "
    "per mille; via github.com/jacobkap/predictrace dc04ef8d (MIT). Share of the population exact "
    "for the 1,000 most frequent names, interpolated by rank below. Public domain figures.",
}


class NameTable(BaseModel):
    """Where one packaged table of names comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(description="SHA-256 of the packaged Parquet file")
    rows: int = Field(ge=1, description="rows of the table")
    origin: str = Field(description="publisher, content, carrier and terms")


class NameProvenance(BaseModel):
    """Origin of every packaged table of names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tables: dict[str, NameTable] = Field(description="file name -> origin")


def build(source: Path, output: Path) -> NameProvenance:
    """Copy the columns that `personas` uses from folder `source` to folder `output`."""
    output.mkdir(parents=True, exist_ok=True)
    provenance = NameProvenance(tables={name: _carry(name, source, output) for name in SOURCES})
    text = provenance.model_dump_json(indent=1) + "\n"
    (output / PROVENANCE_FILE).write_text(text, encoding="utf-8")
    return provenance


def _carry(name: str, source: Path, output: Path) -> NameTable:
    table = pq.read_table(source / SOURCES[name], columns=list(COLUMNS[name]))
    plain = table.replace_schema_metadata(None)
    pq.write_table(_narrow(plain), output / name, compression="zstd", compression_level=19)
    digest = content_hash(output / name)
    return NameTable(sha256=digest, rows=table.num_rows, origin=ORIGINS[name])


def _narrow(table: pa.Table) -> pa.Table:
    fields = [
        pa.field(f.name, pa.float32() if pa.types.is_floating(f.type) else f.type)
        for f in table.schema
    ]
    return table.cast(pa.schema(fields))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the script."""
    parser = argparse.ArgumentParser(description="remake the packaged tables of names")
    parser.add_argument("source", type=Path, help="folder of the source figures")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "names")
    chosen = parser.parse_args(arguments)
    build(chosen.source, chosen.output)


if __name__ == "__main__":
    main()
