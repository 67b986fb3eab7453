"""Croissant 1.0 metadata (JSON-LD, machine-readable) of a consensus dataset.

Source: docs/references.md, key croissant2024.
"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa

from assembly.analysis.variance_components import VarianceComponents
from assembly.dataset.card import CardFacts, statements
from assembly.dataset.consensus_dataset import MEANING, SCHEMA, ConsensusDataset
from plenary.errors import DataError
from plenary.hashing import content_hash

Json = dict[str, "str | bool | Json | list[str] | list[Json]"]

_TERMS = (
    "citeAs column conformsTo data dataType examples extract field fileObject fileProperty fileSet "
    "format includes isLiveDataset jsonPath key md5 parentField path recordSet references regex "
    "repeated replace separator source subField transform"
)
CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    **{term: f"cr:{term}" for term in _TERMS.split()},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}


def croissant(
    dataset: ConsensusDataset,
    facts: CardFacts,
    file: Path,
    budget: VarianceComponents | None = None,
) -> str:
    """JSON-LD for `file`, the written dataset; it carries the file's name, size and sha256."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read {str(file)!r}: {error.strerror}; write the dataset there first"
        ) from error
    said = statements(dataset, facts, budget)
    metadata: Json = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.0",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "name": facts.name,
        "description": "Pairwise choices of simulated citizens, not of people, one row per pair.",
        "url": facts.url,
        "license": f"https://spdx.org/licenses/{facts.licence}",
        "creator": {"@type": "sc:Organization", "name": facts.creator},
        "datePublished": facts.published,
        "version": facts.version,
        "inLanguage": list(facts.languages),
        "citeAs": f"{facts.creator}. {facts.name} {facts.version}. {facts.url}",
        "rai:dataCollection": said[0],
        "rai:machineAnnotationTools": list(dataset.provenance.models),
        "rai:annotationsPerItem": f"{len(dataset.provenance.persona_ids)} simulated citizens",
        "rai:personalSensitiveInformation": "None: no row describes a person.",
        "rai:dataUseCases": " ".join([*said[3:5], said[12]]),
        "rai:dataBiases": " ".join([said[2], said[5], said[10]]),
        "rai:dataLimitations": " ".join([said[1], *said[6:10]]),
        "rai:dataReleaseMaintenancePlan": said[11],
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file.name,
                "name": file.name,
                "contentUrl": file.name,
                "contentSize": f"{len(content)} B",
                "encodingFormat": "application/x-parquet",
                "sha256": content_hash(content),
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "pairs",
                "name": "pairs",
                "key": [{"@id": "pairs/first_id"}, {"@id": "pairs/second_id"}],
                "field": [_field(field, file.name) for field in SCHEMA],
            }
        ],
    }
    return json.dumps(metadata, indent=2, ensure_ascii=False) + "\n"


def _field(field: pa.Field, file: str, within: tuple[str, ...] = ()) -> Json:
    """A column as a Croissant field; a list is repeated, a struct's fields are subfields.

    within: names of the column and of the structs that the field is part of.
    """
    place = (*within, field.name)
    name = "/".join(("pairs", *place))
    source: Json = {"fileObject": {"@id": file}, "extract": {"column": place[0]}}
    if within:
        source["transform"] = {"jsonPath": ".".join(place[1:])}
    found: Json = {
        "@type": "cr:Field",
        "@id": name,
        "name": name,
        "description": field.name if within else MEANING[field.name],
        "source": source,
    }
    kind = field.type
    if pa.types.is_list(kind):
        found["repeated"], kind = True, kind.value_type
    if pa.types.is_struct(kind):
        found["subField"] = [_field(inner, file, place) for inner in kind]
    else:
        found["dataType"] = _type_name(kind)
    return found


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_floating(kind):
        return "sc:Float"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Boolean" if pa.types.is_boolean(kind) else "sc:Text"
