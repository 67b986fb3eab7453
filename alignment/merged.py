"""The base and an adapter as one checkpoint, for tools that know nothing of adapters."""

from __future__ import annotations

import shutil
from pathlib import Path

from alignment.adapter import base_fingerprint, check_adapter
from alignment.trainer import without_library_warnings
from plenary.chat.checkpoints import load_tokenizer
from plenary.chat.local import load_model
from plenary.errors import DataError


def merge(adapter: Path, base: Path, out: Path) -> str:
    """Write the merged float32 checkpoint with its tokenizer to `out`, whole or not at all.

    Returns the hash of its weights (see base_fingerprint). float32, whatever the base has: rounded
    to bfloat16 a small update is lost. DataError when the two do not belong together or `out`
    exists.
    """
    check_adapter(adapter, base)
    if out.exists():
        raise DataError(f"{str(out)!r} exists; choose another folder for the merged model")
    staged = out.with_name(out.name + ".partial")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        with without_library_warnings():
            load_model(base, adapter=adapter).save_pretrained(staged)
        load_tokenizer(base).save_pretrained(staged)
        staged.replace(out)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return base_fingerprint(out)
