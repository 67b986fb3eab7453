"""A snapshot's manifest (origin, columns, hashes), and the check that its files are unaltered."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plenary.errors import DataError
from plenary.hashing import content_hash

SNAPSHOT_FILE = "us_adults_2024.parquet"
POPULATION_FILE = "population.parquet"
LABELS_FILE = "labels.json"
MANIFEST_FILE = "manifest.json"
REMEDY = "reinstall plenary, or remake it with python -m census_data.build SOURCE_FOLDER"

M = TypeVar("M", bound=BaseModel)


class ColumnNote(BaseModel):
    """One column of the snapshot."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="name in the Parquet file")
    kind: Literal["category", "number"] = Field(description="integer code into labels, or number")
    census: str = Field(description="Census variable or columns it comes from")
    description: str = Field(description="what it means, with its unit")
    universe: str = Field(description="who is asked; everyone else has code -1")
    labels: int = Field(ge=0, description="labels of a category, 0 for a number")


class Manifest(BaseModel):
    """Origin, content and hashes of a population snapshot."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(description="SHA-256 of the Parquet file")
    labels_sha256: str = Field(description="SHA-256 of the label table")
    source_sha256: str = Field(description="SHA-256 of the file it was recoded from")
    year: int = Field(description="year of the survey")
    universe: str = Field(description="whom the weighted rows represent")
    source: str = Field(description="survey and publisher")
    licence: str = Field(description="terms of use of the figures")
    provenance: str = Field(description="how the records were obtained")
    rows: int = Field(ge=1, description="person records")
    weight_sum: int = Field(ge=1, description="persons that the rows represent")
    columns: tuple[ColumnNote, ...] = Field(description="columns besides weight and donor")
    imputed_columns: tuple[str, ...] = Field(description="columns taken from a donor if donor is 1")
    imputed_share: float = Field(ge=0, le=1, description="weighted share of rows with donor 1")
    notes: tuple[str, ...] = Field(description="what users of the figures must know")
    bands: dict[str, tuple[int, ...]] | None = Field(
        default=None, description="number -> lower edges of its bands, if not the default ones"
    )


class CodeBook(BaseModel):
    """Labels of every category, and the Census codes of the long tables."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: dict[str, tuple[str, ...]] = Field(description="column -> label of code 0, 1, ...")
    census_codes: dict[str, tuple[int, ...]] = Field(description="column -> Census code of each")


def read_bytes(path: Path) -> bytes:
    """Content of a snapshot file; DataError if it does not exist."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read the snapshot file {str(path)!r}: {error.strerror}; {REMEDY}"
        ) from error


def read_checked(path: Path, sha256: str) -> bytes:
    """Content of a file whose hash is known; DataError if it was altered."""
    content = read_bytes(path)
    found = content_hash(content)
    if found != sha256:
        raise DataError(
            f"{str(path)!r} has SHA-256 {found!r}, but its manifest says {sha256!r}; {REMEDY}"
        )
    return content


def read_model(model: type[M], content: bytes, path: Path) -> M:
    """Parse a JSON file of the snapshot; DataError if it does not match the model."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise DataError(
            f"{str(path)!r} is not a {model.__name__}: {error.errors()[0]['msg']!r}; {REMEDY}"
        ) from error
