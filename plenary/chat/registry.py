"""From a backend spec such as local:PATH to an open backend."""

from __future__ import annotations

import importlib
from pathlib import Path

from plenary.chat.base import ChatBackend
from plenary.chat.settings import DEFAULTS, ChatSettings
from plenary.errors import ConfigError

# Doors are opened by name: importing torch or langchain takes seconds that other backends must not
# pay.
BACKENDS: dict[str, str] = {
    "local": "plenary.chat.local",
    "langchain": "plenary.chat.langchain",
    "vllm": "plenary.chat.vllm",
    "planted": "plenary.chat.planted",
}


def open_backend(
    spec: str,
    *,
    adapter: Path | None = None,
    base_url: str | None = None,
    settings: ChatSettings = DEFAULTS,
) -> ChatBackend:
    """Open local:PATH (adapter), langchain:PROVIDER:MODEL (base_url), vllm:PATH or planted:FILE.

    Every door module has a function `open_spec(rest, adapter, base_url, settings)`.
    """
    prefix, found, rest = spec.partition(":")
    if prefix not in BACKENDS or not found or not rest:
        known = ", ".join(f"{name}:..." for name in BACKENDS)
        raise ConfigError(f"unknown backend spec {spec!r}; use one of {known}")
    if adapter is not None and prefix != "local":
        raise ConfigError(
            f"backend {spec!r} takes no adapter {str(adapter)!r}; use a local:PATH model"
        )
    return importlib.import_module(BACKENDS[prefix]).open_spec(rest, adapter, base_url, settings)
