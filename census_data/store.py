"""Making a population from coded columns, and writing it to a folder (Parquet, labels, manifest).

A folder holds population.parquet, labels.json and manifest.json, as the packaged snapshot does;
`load_population` reads it back and checks its hashes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from census_data.manifest import (
    LABELS_FILE,
    MANIFEST_FILE,
    POPULATION_FILE,
    CodeBook,
    ColumnNote,
    Manifest,
)
from census_data.population import Population
from census_data.schema import BANDS, BY_NAME, COLUMNS, MISSING
from plenary.hashing import content_hash
from plenary.preferences import BoolArray, FloatArray, IntArray


class Facts(NamedTuple):
    """What a population's manifest states beyond its columns."""

    source: str
    licence: str
    universe: str
    year: int
    provenance: str
    source_sha256: str
    origins: Mapping[str, str]
    bands: Mapping[str, tuple[int, ...]]


def assembled(
    values: Mapping[str, IntArray],
    labels: Mapping[str, tuple[str, ...]],
    weight: FloatArray,
    facts: Facts,
) -> Population:
    """A population of columns [N]; columns of the schema that are absent are missing for all."""
    people = len(weight)
    absent = [c for c in COLUMNS if c.name not in values]
    columns = {**values, **{c.name: np.full(people, MISSING) for c in absent}}
    categories = {**labels, **{c.name: c.labels for c in absent if c.kind == "category"}}
    book = CodeBook(labels=categories, census_codes={})
    donor = np.zeros(people, dtype=bool)
    content = parquet_bytes(columns, weight, donor)
    manifest = Manifest(
        sha256=content_hash(content),
        labels_sha256=content_hash(pretty(book)),
        source_sha256=facts.source_sha256,
        year=facts.year,
        universe=facts.universe,
        source=facts.source,
        licence=facts.licence,
        provenance=facts.provenance,
        rows=people,
        weight_sum=max(1, round(float(weight.sum()))),
        columns=tuple(
            _note(name, facts.origins.get(name, "not given"), categories) for name in columns
        ),
        imputed_columns=(),
        imputed_share=0.0,
        notes=(
            *(f"{column.name} is missing for everybody." for column in absent),
            *_left_out(columns),
        ),
        bands=dict(facts.bands) or None,
    )
    return Population(
        row_id=np.arange(people),
        weight=weight,
        donor=donor,
        columns=MappingProxyType(columns),
        categories=MappingProxyType(categories),
        source=manifest,
        bands=MappingProxyType({**BANDS, **facts.bands}),
    )


def _left_out(columns: Mapping[str, IntArray]) -> Iterator[str]:
    """A note on the rows that cannot become citizens."""
    rows = int(np.count_nonzero((columns["age"] < 0) | (columns["sex"] < 0)))
    if 0 < rows < len(columns["age"]):
        yield f"{rows} rows have no age or no sex: they count in margins, and are never drawn."


def write_population(population: Population, folder: Path) -> None:
    """Write a whole population, as `assembled` made it or with other weights, to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = parquet_bytes(population.columns, population.weight, population.donor)
    book = pretty(CodeBook(labels=dict(population.categories), census_codes={}))
    known = {note.name: note for note in population.source.columns}
    manifest = population.source.model_copy(
        update={
            "sha256": content_hash(content),
            "labels_sha256": content_hash(book),
            "rows": len(population),
            "weight_sum": max(1, round(float(population.weight.sum()))),
            "columns": tuple(known[name] for name in population.columns),
            "imputed_share": population.imputed_share,
        }
    )
    for name, data in (
        (POPULATION_FILE, content),
        (LABELS_FILE, book),
        (MANIFEST_FILE, pretty(manifest)),
    ):
        (folder / name).write_bytes(data)


def parquet_bytes(
    columns: Mapping[str, IntArray], weight: IntArray | FloatArray, donor: IntArray | BoolArray
) -> bytes:
    """A Parquet file of the columns [N], the same bytes for the same columns."""
    everything = {**columns, "weight": weight, "donor": donor.astype(np.int64)}
    table = pa.table({name: _smallest(values) for name, values in everything.items()})
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=19 if len(weight) < 1_000_000 else 3,
        row_group_size=len(weight),
        write_statistics=False,
        store_schema=False,
    )
    return sink.getvalue()


def pretty(model: BaseModel) -> bytes:
    """A model as JSON for reading, without the fields that are None."""
    return (model.model_dump_json(indent=1, exclude_none=True) + "\n").encode()


def _note(name: str, origin: str, categories: Mapping[str, tuple[str, ...]]) -> ColumnNote:
    known = BY_NAME.get(name)
    return ColumnNote(
        name=name,
        kind="category" if name in categories else "number",
        census=origin,
        description=known.description if known else name,
        universe="as in the source",
        labels=len(categories.get(name, ())),
    )


def _smallest(values: IntArray | FloatArray) -> pa.Array:
    if values.dtype.kind == "f":
        return pa.array(values)
    for dtype in (np.int8, np.int16, np.int32):
        bounds = np.iinfo(dtype)
        if bounds.min <= values.min() and values.max() <= bounds.max:
            return pa.array(values.astype(dtype))
    return pa.array(values)
