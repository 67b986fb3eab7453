"""Opening a backend from a spec such as local:PATH or langchain:PROVIDER:MODEL."""

from __future__ import annotations

import importlib
from pathlib import Path

from plenary.errors import BackendError, ConfigError
from plenary.models.base import ChatBackend
from plenary.models.settings import DEFAULTS, ChatSettings

# Modules are imported by name: importing torch or langchain takes seconds, which other backends
# should not cost.
BACKENDS: dict[str, str] = {
    "local": "plenary.models.local.huggingface",
    "langchain": "plenary.models.langchain",
    "vllm": "plenary.models.local.vllm",
    "planted": "plenary.models.planted",
}
CHECKPOINTS = ("local", "vllm")


def existing_folder(path: str | Path, what: str) -> Path:
    """The folder at a path; otherwise BackendError that says how to download a checkpoint."""
    folder = Path(path)
    if folder.is_dir():
        return folder
    remedy = "check the path"
    if str(path).count("/") == 1 and not str(path).startswith((".", "/", "~")):
        remedy += f", or fetch it first: hf download {path} --local-dir FOLDER, and give FOLDER"
    raise BackendError(f"{what} {str(path)!r} is not a folder; {remedy}")


def check_template(spec: str) -> bool:
    """Whether the chat template of a checkpoint prints a date; no weights are read.

    BackendError for a missing checkpoint and for a template that drops text.
    """
    prefix, _, rest = spec.partition(":")
    if prefix not in CHECKPOINTS:
        return False
    return importlib.import_module("plenary.models.local.checkpoint_backend").prints_date(rest)


def gpu_at_hand() -> bool:
    """Whether training would use a GPU."""
    return importlib.import_module(BACKENDS["local"]).torch.cuda.is_available()


def open_backend(
    spec: str,
    *,
    adapter: Path | None = None,
    base_url: str | None = None,
    settings: ChatSettings = DEFAULTS,
) -> ChatBackend:
    """Open local:PATH (adapter), langchain:PROVIDER:MODEL (base_url), vllm:PATH or planted:FILE.

    Each backend's module has a function `open_spec(rest, adapter, base_url, settings)`.
    """
    prefix, found, rest = spec.partition(":")
    if prefix not in BACKENDS or not found or not rest:
        known = ", ".join(f"{name}:..." for name in BACKENDS)
        raise ConfigError(f"unknown backend spec {spec!r}; use one of {known}")
    if adapter is not None and prefix != "local":
        raise ConfigError(
            f"backend {spec!r} cannot load the adapter {str(adapter)!r}; use a local:PATH model"
        )
    return importlib.import_module(BACKENDS[prefix]).open_spec(rest, adapter, base_url, settings)
