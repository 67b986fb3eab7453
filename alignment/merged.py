"""The base and an adapter as one checkpoint, for tools that know nothing of adapters."""

from __future__ import annotations

import shutil
from pathlib import Path

from alignment.adapter import base_fingerprint, check_adapter
from alignment.trainer import without_library_warnings
from plenary.chat.checkpoints import load_tokenizer
from plenary.chat.local import ROUNDING, load_model, probe_log_probs
from plenary.errors import DataError


def merge(adapter: Path, base: Path, out: Path) -> str:
    """Write the merged float32 checkpoint with its tokenizer to `out`, whole or not at all.

    Returns the hash of its weights (see base_fingerprint). float32, whatever the base has: rounded
    to bfloat16 a small update is lost. DataError when the two do not belong together, when `out`
    exists, or when what was written reads back as another model.
    """
    check_adapter(adapter, base)
    if out.exists():
        raise DataError(f"{str(out)!r} exists; choose another folder for the merged model")
    staged = out.with_name(out.name + ".partial")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        with without_library_warnings():
            merged = load_model(base, adapter=adapter)
            merged.save_pretrained(staged)
        away = float((probe_log_probs(merged) - probe_log_probs(load_model(staged))).abs().max())
        if not away <= ROUNDING:
            raise DataError(
                f"adapter {str(adapter)!r} cannot be written as one checkpoint with its base: read "
                f"back, log-probabilities differ by up to {away:.2g}; use the two side by side"
            )
        load_tokenizer(base).save_pretrained(staged)
        staged.replace(out)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return base_fingerprint(out)
