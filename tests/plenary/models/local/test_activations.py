"""What is read is what the model computes; a push is what a hook by hand would add."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.checkpoints import CheckpointName

from plenary.errors import BackendError
from plenary.models.activations import MarkedText, interior_of
from plenary.models.base import Message
from plenary.models.local.checkpoints import load_tokenizer
from plenary.models.local.huggingface import LocalBackend, load_model
from plenary.models.planted import PlantedBackend, PlantedWorld
from plenary.models.wrappers.cache import CachedBackend, MemoryStore

TEXTS = ["a clinic opens in the valley", "the town plants four hundred trees for the people"]
LABELS = ("A", "B")
NAMES: tuple[CheckpointName, ...] = ("llama", "qwen2", "gpt2", "gemma2")
Checkpoints = Callable[[CheckpointName], Path]


def _marked(first: str, second: str) -> MarkedText:
    text = f"Which one would you prefer?\nOption A: {first}\nOption B: {second}"
    return MarkedText((Message("user", text),), first)


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_read_as_the_model_computes_them(checkpoint: Checkpoints, name: CheckpointName):
    folder = checkpoint(name)
    inside = interior_of(LocalBackend(folder))
    found = inside.read(TEXTS)
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    blocks = model.config.get_text_config().num_hidden_layers
    assert inside.layers == tuple(range(blocks + 1))
    for k, text in enumerate(TEXTS):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        plain = len(tokenizer(text, add_special_tokens=False)["input_ids"])
        with torch.inference_mode():
            states = model(ids, output_hidden_states=True).hidden_states
        # The last state has the final norm on it, which is not part of the stream.
        for level in range(1, blocks):
            state = states[level][0].double().numpy()
            assert found.last[level, k] == pytest.approx(state[-1], abs=1e-4)
            assert found.mean[level, k] == pytest.approx(state[-plain:].mean(axis=0), abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_push_leaves_the_choice_and_a_push_moves_its_own_option(
    checkpoint: Checkpoints, name: CheckpointName
):
    backend = LocalBackend(checkpoint(name))
    inside = interior_of(CachedBackend(backend, MemoryStore()))
    marked = [_marked(*TEXTS), _marked(*TEXTS[::-1])]
    width = inside.read(TEXTS).last.shape[2]
    pushes = np.stack([np.zeros(width), 3 * np.random.default_rng(0).standard_normal(width)])
    leads = inside.lead(marked, LABELS, 1, pushes)
    choices = asyncio.run(backend.choose([m.conversation for m in marked], LABELS))
    shares = np.array([choice.shares for choice in choices])
    assert leads[0] == pytest.approx(np.log(shares[:, 0] / shares[:, 1]), abs=1e-3)
    assert np.all(np.abs(leads[1] - leads[0]) > 1e-3)


def test_a_marked_text_is_read_in_its_context(checkpoint: Checkpoints):
    """What stands before the option matters, what stands after it does not."""
    inside = interior_of(LocalBackend(checkpoint("qwen2")))
    one, other, moved = (
        inside.read_marked([m]).last[-1, 0]
        for m in (
            _marked(TEXTS[0], TEXTS[1]),
            _marked(TEXTS[0], "nothing"),
            MarkedText(_marked(TEXTS[1], TEXTS[0]).conversation, TEXTS[0]),
        )
    )
    assert one == pytest.approx(other, abs=1e-4)
    assert np.abs(one - moved).max() > 1e-3


def test_an_untrained_copy_is_another_model_and_repeats(checkpoint: Checkpoints):
    inside = interior_of(LocalBackend(checkpoint("llama")))
    before = torch.random.get_rng_state()
    copies = [inside.untrained(seed).read(TEXTS).last for seed in (5, 5, 6)]
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.array_equal(copies[0], copies[1])
    assert np.abs(copies[0] - copies[2]).max() > 1e-3
    assert np.abs(copies[0] - inside.read(TEXTS).last).max() > 1e-3


def test_what_cannot_be_read_is_said(checkpoint: Checkpoints):
    planted = PlantedBackend(PlantedWorld(utilities={"a": 0.0, "b": 1.0}))
    with pytest.raises(BackendError, match="use a model on this machine"):
        interior_of(CachedBackend(planted, MemoryStore()))
    inside = interior_of(LocalBackend(checkpoint("llama")))
    with pytest.raises(BackendError, match="is not in"):
        inside.read_marked([MarkedText(_marked(*TEXTS).conversation, "another text")])
    with pytest.raises(BackendError, match="several tokens"):
        inside.lead([_marked(*TEXTS)], ("the town", "a clinic"), 1, np.zeros((1, 8)))
