"""A small assembly's targets and the trainer on a tiny checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alignment.encoding import encode_answers, encode_replay
from alignment.examples import examples, training_frames
from alignment.lora import load_base, lora_config
from alignment.settings import AlignmentSettings
from alignment.trainer import (
    AnswerTrainer,
    Replay,
    TrainingRows,
    training_arguments,
    without_library_warnings,
)
from plenary.chat.base import Conversation, Message
from plenary.chat.local import load_tokenizer
from plenary.chat.rendering import ChatRenderer
from plenary.preferences import Targets

LONGEST = 1024
TrainerMaker = Callable[[Path, AlignmentSettings], AnswerTrainer]


@pytest.fixture
def texts() -> tuple[str, ...]:
    return (
        "the town plants four hundred trees",
        "a clinic opens in the valley",
        "the household income is sixty two dollars",
        "it keeps people safe and free for one year in a large metropolitan area",
        "one short reason",
        "it saves lives",
    )


@pytest.fixture
def targets(texts: tuple[str, ...]) -> Targets:
    """All 15 pairs; p follows a planted utility, weights differ."""
    utility = np.array([1.2, -0.4, 0.3, -1.1, 0.8, -0.8])
    pairs = np.array([(a, b) for a in range(len(texts)) for b in range(a)])
    p = 1 / (1 + np.exp(-2 * (utility[pairs[:, 0]] - utility[pairs[:, 1]])))
    return Targets(pairs, p, np.linspace(10.0, 50.0, len(pairs)))


@pytest.fixture
def replay() -> list[Conversation]:
    ask = Message("user", "You speak at your table. Give one short reason.")
    system = Message("system", "You are a 44-year-old white woman from Ohio.")
    return [
        (ask, Message("assistant", "it saves lives and keeps people safe")),
        (system, ask, Message("assistant", "a clinic opens")),
        (system, ask),
    ]


@pytest.fixture
def make_trainer(
    tmp_path: Path, texts: tuple[str, ...], targets: Targets, replay: list[Conversation]
) -> TrainerMaker:
    def make(path: Path, settings: AlignmentSettings) -> AnswerTrainer:
        renderer = ChatRenderer(load_tokenizer(path))
        frames = training_frames(settings.frames)
        rows = encode_answers(renderer, examples(texts, targets, frames), LONGEST)
        kept = encode_replay(renderer, replay, LONGEST)
        with without_library_warnings():
            return AnswerTrainer(
                model=load_base(path, settings, bf16=False),
                tokenizer=load_tokenizer(path),
                rows=TrainingRows(rows, [], Replay(kept, settings.replay_weight, 8, seed=0)),
                settings=settings,
                args=training_arguments(settings, len(rows), tmp_path / "trainer", 0),
                peft_config=lora_config(settings, settings.rank),
            )

    return make
