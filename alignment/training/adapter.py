"""Adapters on disk (safetensors only), tied by content hash to the base weights they belong to.

An adapter folder holds PEFT's `adapter_config.json` and `adapter_model.safetensors`, so PEFT itself
can load it, and our `plenary_adapter.json` next to them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from alignment.training.settings import AlignmentSettings
from plenary.errors import DataError
from plenary.hashing import content_hash

MANIFEST = "plenary_adapter.json"
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


class AdapterManifest(BaseModel):
    """What an adapter belongs to and how it was made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["plenary-adapter-1"] = Field(description="layout of this file")
    base_model: str = Field(description="absolute path of the base model when it was trained")
    base_sha256: str = Field(description="hash of the base weights, see base_fingerprint")
    files: dict[str, str] = Field(description="sha256 of each adapter file, by name")
    settings: AlignmentSettings = Field(description="settings of the training run")
    seed: int = Field(description="root seed of the run")


class Savable(Protocol):
    """The part of a PEFT model that saving needs."""

    def save_pretrained(
        self,
        save_directory: str,
        *,
        safe_serialization: bool,
        state_dict: dict[str, Tensor] | None,
    ) -> None:
        """Write the adapter's configuration and weights, taken from `state_dict` if given."""
        ...


def base_fingerprint(model_path: Path) -> str:
    """Hex sha256 over name and content of a checkpoint's safetensors files and its config.json.

    DataError if the folder is missing or contains no safetensors; pickled weights are never opened.
    """
    if not model_path.is_dir():
        raise DataError(f"no model folder {str(model_path)!r}; check the path")
    weights = sorted(model_path.glob("*.safetensors"))
    if not weights:
        pickles = [file.name for file in sorted(model_path.glob("*")) if file.suffix in PICKLES]
        found = f"only pickled weights {pickles[0]!r}" if pickles else "no weights"
        raise DataError(f"{found} in {str(model_path)!r}; give a checkpoint saved as safetensors")
    parts = []
    for file in (*weights, model_path / "config.json"):
        if not file.is_file():
            raise DataError(f"cannot read {str(file)!r}: no such file; give a whole checkpoint")
        try:
            parts.append(f"{file.name}\x1f{content_hash(file)}\x1e")
        except OSError as error:
            raise DataError(f"cannot read {str(file)!r}: {error.strerror}; check it") from error
    return content_hash("".join(parts))


def save_adapter(
    model: Savable,
    folder: Path,
    base: Path,
    base_sha256: str,
    settings: AlignmentSettings,
    seed: int,
    weights: dict[str, Tensor] | None = None,
) -> AdapterManifest:
    """Write an adapted model's adapter and manifest to an existing folder.

    weights: the gathered state of a model that is spread over processes.
    """
    model.save_pretrained(str(folder), safe_serialization=True, state_dict=weights)
    (folder / "README.md").unlink(missing_ok=True)
    _make_config_repeatable(folder / CONFIG, base)
    manifest = AdapterManifest(
        format="plenary-adapter-1",
        base_model=str(base.resolve()),
        base_sha256=base_sha256,
        files={name: content_hash(folder / name) for name in (CONFIG, WEIGHTS)},
        settings=settings.told,
        seed=seed,
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def _make_config_repeatable(path: Path, base: Path) -> None:
    """PEFT writes sets in hash order and the base path as given; sort and resolve them."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config["target_modules"] = sorted(config["target_modules"])
    config["base_model_name_or_path"] = str(base.resolve())
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def check_adapter(folder: Path, base: Path) -> AdapterManifest:
    """Read an adapter's manifest and check that it is complete and belongs to the model at `base`.

    Raises DataError if a file is missing, altered or pickled, or if the base weights differ.
    """
    manifest = read_manifest(folder)
    for file in sorted(folder.iterdir()):
        if file.suffix in PICKLES:
            raise DataError(f"pickled file {file.name!r} in {str(folder)!r}; use safetensors only")
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise DataError(f"{name!r} is missing from {str(folder)!r}; train the adapter again")
        if content_hash(folder / name) != manifest.files.get(name):
            raise DataError(f"{name!r} in {str(folder)!r} was altered; train the adapter again")
    found = base_fingerprint(base)
    if found != manifest.base_sha256:
        raise DataError(
            f"adapter {str(folder)!r} was trained on weights {manifest.base_sha256[:12]!r} and "
            f"{str(base)!r} holds {found[:12]!r}; use the base it was trained on "
            f"({manifest.base_model!r}) or train again"
        )
    return manifest


def read_manifest(folder: Path) -> AdapterManifest:
    """The manifest in an adapter folder; DataError if it is missing or cannot be read."""
    path = folder / MANIFEST
    try:
        return AdapterManifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"cannot read {str(path)!r}: {error.strerror}; give a folder that plenary align wrote"
        ) from error
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise DataError(
            f"{str(path)!r} is not an adapter manifest: {reason}; train again"
        ) from error
