"""A small assembly's targets and the trainer on a tiny checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from alignment.experiments.controls import ControlEvidence
from alignment.experiments.experiment import ExperimentContext
from alignment.retention.retention import RetentionMargins
from alignment.retention.sets import Document, RetentionItem, RetentionSet
from alignment.training.batches import encode_replay
from alignment.training.lora import load_base, lora_config
from alignment.training.settings import AlignmentSettings
from alignment.training.trainer import (
    Replay,
    SoftLabelTrainer,
    training_arguments,
    without_library_warnings,
)
from evaluation.comparison.compare import ComparisonSettings
from plenary.models.base import Conversation, Message
from plenary.models.local.chat_template import ChatRenderer
from plenary.models.local.checkpoints import load_tokenizer
from plenary.preferences import Targets
from plenary.prompt_templates import PROMPT_TEMPLATES
from plenary.training_rows import SoftRow, rows_toward, training_templates

LONGEST = 1024
TrainerMaker = Callable[[Path, AlignmentSettings], SoftLabelTrainer]


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
def rows(texts: tuple[str, ...], targets: Targets) -> list[SoftRow]:
    """The targets as rows in the plain template: 30."""
    return rows_toward(texts, targets, training_templates(("plain",)))


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
    def make(path: Path, settings: AlignmentSettings) -> SoftLabelTrainer:
        rows = rows_toward(texts, targets, training_templates(settings.templates))
        kept = encode_replay(ChatRenderer(load_tokenizer(path)), replay, LONGEST)
        with without_library_warnings():
            return SoftLabelTrainer(
                load_base(path, settings, bf16=False),
                training_arguments(settings, len(rows), tmp_path / "trainer", 0),
                rows,
                processing_class=load_tokenizer(path),
                peft_config=lora_config(settings, settings.rank),
                settings=settings,
                replay=Replay(kept, settings.replay_weight, 8, seed=0),
            )

    return make


@pytest.fixture
def kept() -> RetentionSet:
    """Three items and two texts in words that the tiny tokenizers know."""
    questions = ("Which one saves lives?", "What opens in the valley?", "What is planted?")
    options = (("a clinic", "four trees"), ("trees", "a clinic", "the town"), ("a reason", "trees"))
    return RetentionSet(
        name="tiny",
        note="for tests",
        items=tuple(
            RetentionItem(question=question, options=some, answer=k % 2)
            for k, (question, some) in enumerate(zip(questions, options, strict=True))
        ),
        documents=(
            Document(prompt="Speak.", text="it keeps people safe and free"),
            Document(prompt="Give one reason.", text="a clinic opens in the valley"),
        ),
    )


@pytest.fixture
def lab(
    checkpoint: Callable[[str], Path],
    texts: tuple[str, ...],
    targets: Targets,
    kept: RetentionSet,
    tmp_path: Path,
) -> ExperimentContext:
    """An experiment judged on the very pairs trained on: a tiny model can learn, not transfer."""
    path = Path(shutil.copytree(checkpoint("llama"), tmp_path / "decisive"))
    tensors = load_file(path / "model.safetensors")
    tensors["model.norm.weight"] *= 4
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    return ExperimentContext(
        model_path=path,
        evidence=ControlEvidence(texts, targets, targets, targets, targets.p[None], np.ones(1)),
        held_out=targets,
        wordings=(PROMPT_TEMPLATES["plain"], PROMPT_TEMPLATES["pb-03"]),
        settings=AlignmentSettings(epochs=60, learning_rate=1e-2, batch=15, replay_weight=0),
        comparison=ComparisonSettings(bootstrap=100),
        replay=(),
        kept=kept,
        margins=RetentionMargins(),
        untouched=np.array([[0, 1], [2, 3]]),
        folder=tmp_path / "control_experiment",
    )
