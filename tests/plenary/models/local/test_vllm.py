"""The vLLM door against an engine with vLLM's interface: its answers are those of LocalBackend."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from support.checkpoints import CheckpointName
from support.vllm_engine import LLM, install

from evaluation.elicitation.asking import conversations
from plenary.embedded import model_path
from plenary.errors import BackendError, ConfigError
from plenary.models.base import ChatBackend, Choice, Conversation, Message, Sampling
from plenary.models.local.huggingface import LocalBackend
from plenary.models.local.vllm import VllmBackend
from plenary.models.registry import open_backend
from plenary.models.settings import ChatSettings, VllmSettings
from plenary.prompt_templates import prompt_template

EXACT = VllmSettings(dtype="float32")
TEXTS = ("the town plants trees", "a clinic opens in the valley", "rents fall", "buses are free")
PERSONA = "You are a 44-year-old white woman from Ohio in the Midwest."
CheckpointMaker = Callable[[CheckpointName], Path]


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


@pytest.fixture(scope="module")
def embedded() -> LocalBackend:
    return LocalBackend(model_path())


def questions(name: str = "plain") -> list[Conversation]:
    shown = np.array([(a, b) for a in range(4) for b in range(4) if a != b])
    half = len(shown) // 2
    return [
        *conversations(prompt_template(name), TEXTS, shown[:half]),
        *conversations(prompt_template(name), TEXTS, shown[half:], PERSONA),
    ]


def choose(backend: ChatBackend, asked: list[Conversation], labels: tuple[str, ...]) -> list:
    return asyncio.run(backend.choose(asked, labels))


def figures(choices: list[Choice]) -> np.ndarray:
    """Shares and mass [N, labels + 1]."""
    return np.array([(*choice.shares, choice.mass) for choice in choices])


@pytest.mark.parametrize("name", ["plain", "plain+none"])
def test_choices_of_the_model_that_ships_are_those_of_the_local_backend(embedded, name) -> None:
    found = VllmBackend(model_path(), EXACT)
    labels, asked = prompt_template(name).labels, questions(name)
    here, there = (choose(backend, asked, labels) for backend in (embedded, found))
    np.testing.assert_allclose(figures(there), figures(here), atol=1e-5)
    assert figures(here)[:, 0].std() > 0.01
    assert [(c.asked, c.valid, c.prompt_tokens, c.completion_tokens) for c in there] == [
        (c.asked, c.valid, c.prompt_tokens, c.completion_tokens) for c in here
    ]


@pytest.mark.parametrize("labels", [("A", "B"), ("alpha beta", "alpha gamma")])
def test_improbable_labels_and_labels_of_several_tokens_are_exact(
    checkpoint: CheckpointMaker, labels: tuple[str, str]
) -> None:
    """On random weights the labels stand far from the top, and their mass is as small as it is."""
    path, asked = checkpoint("qwen2"), questions()
    found = choose(VllmBackend(path, EXACT), asked, labels)
    np.testing.assert_allclose(
        figures(found), figures(choose(LocalBackend(path), asked, labels)), rtol=1e-3, atol=1e-6
    )
    assert figures(found)[:, -1].max() < 0.5


def test_an_engine_is_opened_safely_and_asked_for_the_labels_alone() -> None:
    backend = VllmBackend(model_path(), EXACT)
    choose(backend, questions(), ("A", "B"))
    engine: LLM = backend._engine
    for parameters in engine.asked:
        assert parameters.max_tokens == 1
        assert len(parameters.logprob_token_ids or ()) == 2
        assert parameters.allowed_token_ids is None
        assert parameters.prompt_logprobs is None


def test_what_does_not_fit_is_an_invalid_answer() -> None:
    backend = VllmBackend(model_path(), EXACT.model_copy(update={"longest": 40}))
    long: Conversation = (Message("user", "the town plants trees " * 20),)
    short: Conversation = (Message("user", "A or B"),)
    first, second = choose(backend, [long, short], ("A", "B"))
    assert (first.valid, first.shares, second.valid) == (0, (), 1)
    assert "does not fit the model's 40 positions" in str(first.failure)
    replies = asyncio.run(backend.generate([long, short], Sampling(max_tokens=4)))
    assert replies[0].text is None
    assert replies[1].completion_tokens <= 4


def test_replies_repeat_by_seed_and_differ_by_sample() -> None:
    backend = VllmBackend(model_path(), EXACT)
    asked = questions()[:3]

    def texts(**changed: int) -> list[str | None]:
        replies = asyncio.run(backend.generate(asked, Sampling(max_tokens=8, **changed)))
        return [reply.text for reply in replies]

    assert texts() == texts()
    assert len({tuple(texts()), tuple(texts(sample=1)), tuple(texts(seed=1))}) == 3
    assert asyncio.run(backend.generate([], Sampling())) == []


def test_an_engine_without_an_answer_gives_invalid_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(LLM):
        def generate(self, prompts, sampling_params, *, use_tqdm=True):
            answers = super().generate(prompts, sampling_params, use_tqdm=use_tqdm)
            answers[0].outputs = []
            return answers

    install(monkeypatch, LLM=Silent)
    backend = VllmBackend(model_path(), EXACT)
    reply, *_ = asyncio.run(backend.generate(questions()[:2], Sampling(max_tokens=2)))
    assert (reply.text, reply.failure) == (None, "failed: the engine gave no reply")
    first, *others = choose(backend, questions(), ("A", "B"))
    assert (first.valid, first.shares) == (0, ())
    assert str(first.failure).startswith("failed")
    assert all(choice.valid for choice in others)


def test_faults_are_errors_that_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = VllmBackend(model_path(), EXACT)
    with pytest.raises(ConfigError, match=r"temperature must be in \[0, 2\]"):
        asyncio.run(backend.generate(questions()[:1], Sampling(temperature=3.0)))
    with pytest.raises(BackendError, match=r"vLLM cannot open .* 'float16'"):
        VllmBackend(model_path(), VllmSettings(dtype="float16"))

    @dataclass
    class Old:
        max_tokens: int = 16

    install(monkeypatch, SamplingParams=Old)
    with pytest.raises(ConfigError, match=r"install vLLM 0\.33 or later"):
        choose(VllmBackend(model_path(), EXACT), questions(), ("A", "B"))
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ConfigError, match="need vLLM"):
        VllmBackend(model_path(), EXACT)


def test_the_registry_opens_it_and_its_name_tells_the_precision() -> None:
    backend = open_backend(f"vllm:{model_path()}", settings=ChatSettings(vllm=EXACT))
    kind, _, rest = LocalBackend(model_path()).name.partition(":")
    assert (kind, backend.name) == ("local", f"vllm:{rest}/float32")
    with pytest.raises(ConfigError, match="cannot load the adapter"):
        open_backend(f"vllm:{model_path()}", adapter=model_path())
