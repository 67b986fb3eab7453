"""A model in memory answers as its folder does; bare weights stay bare under an adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from alignment.training.trainer import without_library_warnings
from plenary.errors import BackendError
from plenary.models.base import Message
from plenary.models.local.checkpoints import load_tokenizer
from plenary.models.local.huggingface import LocalBackend, load_model
from plenary.models.local.in_memory import InMemoryBackend, open_folder
from plenary.models.settings import LocalSettings

ASKED = (Message("user", "Which one?\nOption A: a clinic opens\nOption B: trees"),)


def shares(backend: LocalBackend) -> tuple[float, ...]:
    return asyncio.run(backend.choose([ASKED], ("A", "B")))[0].shares


def test_it_is_its_folder(checkpoint: Callable[[str], Path]) -> None:
    folder = checkpoint("llama")
    known, read = LocalBackend(folder), open_folder(folder, None, LocalSettings())
    assert shares(read) == shares(known)
    assert read.name == known.name


def test_equal_weights_have_one_name(checkpoint: Callable[[str], Path]) -> None:
    folder = checkpoint("llama")
    first, second = (InMemoryBackend(load_model(folder)) for _ in range(2))
    assert first.name == second.name
    with torch.no_grad():
        next(second.weights.parameters()).mul_(2)
    assert InMemoryBackend(second.weights).name != first.name


def test_bare_weights_stay_bare_under_an_adapter(checkpoint: Callable[[str], Path]) -> None:
    model = load_model(checkpoint("llama"))
    before = InMemoryBackend(model)
    bare = shares(before)
    adapter = LoraConfig(target_modules="all-linear", init_lora_weights=False)
    with without_library_warnings():
        wrapped = get_peft_model(model, adapter)
    wrapped.train()
    after = InMemoryBackend(wrapped)
    trained = shares(after)
    assert trained != bare
    assert shares(before) == bare
    assert shares(after) == trained
    assert wrapped.training
    assert {p.requires_grad for n, p in wrapped.named_parameters() if "lora_" in n} == {True}
    assert after.name != before.name


def test_a_tokenizer_is_asked_for_where_none_is_found(checkpoint: Callable[[str], Path]) -> None:
    folder = checkpoint("llama")
    model = load_model(folder)
    model.config._name_or_path = model.name_or_path = "gone"
    with pytest.raises(BackendError, match="tokenizer="):
        InMemoryBackend(model)
    assert shares(InMemoryBackend(model, load_tokenizer(folder))) == shares(LocalBackend(folder))
