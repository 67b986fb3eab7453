"""Fields that the specification of Croissant 1.0 requires."""

import hashlib
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.held import held_from

from assembly.dataset.card import CardFacts
from assembly.dataset.croissant import CONTEXT, croissant
from assembly.dataset.labels import build_dataset
from plenary.errors import DataError

REQUIRED = {
    "sc:Dataset": {
        "@context", "@type", "conformsTo", "description", "license", "name", "url", "creator",
        "datePublished", "distribution", "recordSet",
    },
    "cr:FileObject": {"@type", "@id", "name", "contentUrl", "encodingFormat", "sha256"},
    "cr:RecordSet": {"@type", "@id", "name", "field"},
    "cr:Field": {"@type", "@id", "name", "source"},
}  # fmt: skip
FACTS = CardFacts(
    name="consensus", population="ACS", geography="US", variables=("age",), licence="CC-BY-4.0",
    census_citation="Census", creator="plenary", contact="x", removal="y",
    url="https://example.org", published="2026-11-25", version="0.1.0",
)  # fmt: skip


def nodes(value):
    if isinstance(value, dict):
        if "@type" in value and isinstance(value["@type"], str):
            yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


@pytest.fixture
def written(tmp_path):
    made = build_dataset(held_from(np.random.default_rng(0).uniform(0.1, 0.9, (2, 12, 6))))
    path = tmp_path / "consensus.parquet"
    made.write(path)
    return path, json.loads(croissant(made, FACTS, path))


def test_required_fields_are_there_and_filled(written) -> None:
    _, metadata = written
    seen = set()
    for node in nodes({key: value for key, value in metadata.items() if key != "@context"}):
        needed = REQUIRED.get(node["@type"], set()) - {"@context"}
        assert all(node.get(key) for key in needed), node
        seen.add(node["@type"])
    assert set(REQUIRED) <= seen
    assert "http://mlcommons.org/croissant/1.0" in metadata["conformsTo"]


def test_names_of_croissant_are_mapped_to_its_vocabulary(written) -> None:
    """An unmapped term would silently become one of schema.org."""
    _, metadata = written
    assert metadata["@context"] == CONTEXT
    for term in ("recordSet", "field", "source", "extract", "column", "subField", "repeated"):
        assert CONTEXT[term] == f"cr:{term}"


def test_the_file_is_told_by_its_hash_and_every_column_is_a_field(written) -> None:
    path, metadata = written
    (file,) = metadata["distribution"]
    assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    fields = metadata["recordSet"][0]["field"]
    assert [f["source"]["extract"]["column"] for f in fields] == pq.read_schema(path).names
    assert {f["source"]["fileObject"]["@id"] for f in fields} == {file["@id"]}
    kinds = {f["name"].split("/")[1]: f.get("dataType") for f in fields}
    assert (kinds["p"], kinds["split"], kinds["contested"], kinds["count_first"]) == (
        "sc:Float", "sc:Text", "sc:Boolean", "sc:Integer",
    )  # fmt: skip
    minority = next(f for f in fields if f["name"] == "pairs/minority")
    assert minority["repeated"]
    assert len({node["@id"] for node in nodes(fields)}) == len(list(nodes(fields)))


@pytest.mark.filterwarnings("ignore")  # of the libraries that mlcroissant uses
def test_mlcroissant_finds_no_fault_and_reads_the_rows(written) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    path, metadata = written
    (path.parent / "croissant.json").write_text(json.dumps(metadata), encoding="utf-8")
    read = mlcroissant.Dataset(path.parent / "croissant.json")
    assert not read.metadata.ctx.issues.errors
    rows = list(read.records("pairs"))
    table = pq.read_table(path)
    assert [row["pairs/p"] for row in rows] == pytest.approx(table["p"].to_pylist())
    first = [row["pairs/first_id"] for row in rows]
    assert [name.decode() for name in first] == table["first_id"].to_pylist()
    strata = [[part["pairs/strata/p"] for part in row["pairs/strata"]] for row in rows]
    assert strata == [[part["p"] for part in row] for row in table["strata"].to_pylist()]


def test_a_dataset_that_is_not_written_has_no_hash(tmp_path) -> None:
    made = build_dataset(held_from(np.full((2, 4, 3), 0.7)))
    with pytest.raises(DataError, match="write the dataset there first"):
        croissant(made, FACTS, tmp_path / "none.parquet")
