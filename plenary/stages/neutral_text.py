"""Choosing the replay text that keeps a run's model unchanged elsewhere while it is trained."""

from __future__ import annotations

import asyncio
from typing import Literal

from alignment.training.replay import NeutralText, read_replay, sample_replay
from plenary.embedded.replay import replay_conversations
from plenary.models.wrappers.cache import CachedBackend
from plenary.runs import filenames
from plenary.runs.models import EMBEDDED, call_store
from plenary.runs.workspace import Workspace
from plenary.seeding import derived_seed

TEXTS = 240


def neutral_text(space: Workspace, purpose: Literal["replay", "rebound"]) -> NeutralText:
    """The user's file; otherwise the shipped model's own dialogues, or what another model says.

    A model is asked for its text once, because the run keeps its calls.
    """
    config, seed = space.config, derived_seed(space.seed, purpose)
    if config.alignment.replay is not None:
        return read_replay(config.alignment.replay)
    if config.model == EMBEDDED:
        made = replay_conversations(seed, TEXTS)
        return NeutralText(made, f"{len(made)} dialogues made for the shipped model")
    with call_store(space.file(filenames.CALLS)) as store:
        return asyncio.run(sample_replay(CachedBackend(space.model(config.model), store), seed))
