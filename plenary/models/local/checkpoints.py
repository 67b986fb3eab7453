"""Checkpoints on disk: finding a folder, hashing it, loading its tokenizer."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors import SafetensorError
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from plenary.errors import BackendError
from plenary.models.registry import existing_folder

_IDENTITY = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
LOAD_ERRORS = (OSError, ValueError, KeyError, RuntimeError, SafetensorError, ImportError)


def checkpoint_hash(folder: Path) -> str:
    """Hash of weights, configuration and tokenizer: the identity of a checkpoint anywhere."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted({path for pattern in _IDENTITY for path in folder.glob(pattern)}):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()


def checkpoint_folder(path: str | Path, what: str) -> Path:
    """The folder of a checkpoint with safetensors; nothing is downloaded from a hub."""
    folder = existing_folder(path, what)
    if not any(folder.glob("*.safetensors")):
        raise BackendError(
            f"{what} {str(path)!r} has no safetensors file; convert its weights to safetensors"
        )
    return folder


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint."""
    folder = checkpoint_folder(path, "model")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except LOAD_ERRORS as error:
        raise BackendError(
            f"cannot load the tokenizer of {str(path)!r}: {error}; check the checkpoint"
        ) from error
