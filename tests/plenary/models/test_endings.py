"""Replies that end before they have settled on anything."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest
from langchain_core.messages import AIMessage
from support.server import serve

from plenary.errors import ConfigError
from plenary.models.base import Message, Sampling
from plenary.models.endings import Ending, controls
from plenary.models.langchain import LangchainBackend
from plenary.models.parse_label import settled_label
from plenary.models.reply_text import said_aloud
from plenary.models.settings import EndpointSettings
from plenary.models.wrappers.budget import CountingBackend

# All but OpenAI's leave their clients to the collector, which runs after each test here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
AB = ("A", "B")
ASKED = (Message("user", "Which one? Answer with A or B only.\nOption A: x\nOption B: y"),)
SHORT = EndpointSettings(retries=0, answer_tokens=16)

UNFINISHED = [
    "<think> Okay, let me look at option A first. It says",
    "<think>I choose A.",
    "<think>A</think><think>B",
    "Sure. <thinking>Answer: A",
    "<reasoning>A",
    "<thought>\nFinal answer: A",
    "<seed:think>A is better",
    "<THINK>A",
    "[THINK]I choose A",
    "\u25c1think\u25b7I choose A",
    "<|START_THINKING|>A is better.",
    "<|begin_of_thought|>\n\nA",
    "<unused94>thought\nA is better",
    "<|channel>thought\nI choose A",
    "<|channel|>analysis<|message|>I choose A.",
    "<|channel|>analysis<|message|>A.<|end|><|start|>assistant<|channel|>analysis<|message|>A",
    "<|start|>assistant<|channel|>commentary<|message|>A",
    "analysisWe need to choose. A",
    "Here is my thought process: A is better",
    "<thi",
    "<think",
    "<|chan",
]
FINISHED = [
    ("<think>A</think>B", "B"),
    ("<think></think>\n\nB", "B"),
    ("Okay, A it is. I choose A.\n</think>\n\nB", "B"),
    ("<thinking>A</thinking>B", "B"),
    ("[THINK]A[/THINK]B", "B"),
    ("\u25c1think\u25b7A\u25c1/think\u25b7B", "B"),
    ("<|START_THINKING|>A<|END_THINKING|><|START_RESPONSE|>B<|END_RESPONSE|>", "B"),
    ("<unused94>thought\nA<unused95>B", "B"),
    ("<|channel>thought\nA<channel|>B", "B"),
    ("<|channel|>analysis<|message|>A<|end|><|start|>assistant<|channel|>final<|message|>B", "B"),
    ("<|channel|>final<|message|>B<|return|>", "B"),
    ("analysisI choose A.assistantfinal B", "B"),
    ("Here is my thought process: A\n\nHere is my response: B", "B"),
    ("B", "B"),
    ("I <b>like</b> x < y", "I <b>like</b> x < y"),
]


@pytest.mark.parametrize("text", UNFINISHED)
def test_reasoning_that_does_not_end_says_nothing_aloud(text: str) -> None:
    assert said_aloud(text) is None
    said = Ending(AIMessage(text))
    assert (said.text, (said.failure or "")[:24]) == ("", "cut short while reasoning"[:24])


@pytest.mark.parametrize(("text", "aloud"), FINISHED)
def test_what_follows_reasoning_is_said_aloud(text: str, aloud: str) -> None:
    assert (said_aloud(text) or "").strip() == aloud


@pytest.mark.parametrize(
    "ending",
    [
        *({"finish_reason": "length"}, {"finish_reason": "MAX_TOKENS"}, {"done_reason": "length"}),
        *({"stop_reason": "max_tokens"}, {"finish_reason": "model_length"}),
        {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
    ],
)
def test_every_provider_tells_that_the_room_was_used_up(ending: dict[str, object]) -> None:
    said = Ending(AIMessage("Okay, so I have to choose.", response_metadata=ending))
    assert said.full
    assert said.unsettled.startswith("cut short")
    nothing = Ending(AIMessage("", response_metadata=ending))
    assert (nothing.failure or "").startswith("cut short while reasoning")


def test_reasoning_in_blocks_of_its_own_is_not_the_answer() -> None:
    blocks = [{"type": "thinking", "thinking": "I choose A."}, {"type": "text", "text": "B"}]
    assert Ending(AIMessage(blocks)).text == "B"  # type: ignore[arg-type]
    only = Ending(AIMessage([{"type": "reasoning", "reasoning": "I choose A."}]))
    assert (only.failure or "").startswith("cut short while reasoning")
    beside = AIMessage("", additional_kwargs={"reasoning_content": "I choose A."})
    assert (Ending(beside).failure or "").startswith("cut short while reasoning")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        *(("B", "B"), ("**B**", "B"), ("B\n\nBecause it helps", "B"), ("Answer: B", "B")),
        *(("Answer: B\nIt helps many", "B"), ("The answer is B.\n\nA is", "B")),
        *(("I thought of A.\nFinal answer: B\nIt", "B"), ("\\boxed{B}\nas", "B")),
        *(("Okay, I choose A", None), ("I choose A because it", None), ("A is better", None)),
        *(("Option A: ten people get", None), ("A. Ten people get food", None)),
        *(("So A. But then", None), ("I choose A.\nHmm, or", None), ("Final answer: A", "A")),
        ("Okay, so I have to choose. Option A sounds useful, but let me look at the other", None),
    ],
)
def test_a_reply_that_was_cut_counts_only_where_it_had_settled(
    text: str, label: str | None
) -> None:
    assert settled_label(text, AB) == label


PROVIDERS = (
    "openai",
    *(pytest.param(p, marks=pytest.mark.slow) for p in ("anthropic", "google_genai", "ollama")),
)


def opened(provider: str, url: str, settings: EndpointSettings) -> CountingBackend:
    base = url if provider == "openai" else url.removesuffix("/v1")
    return CountingBackend(LangchainBackend(f"{provider}:tiny", base_url=base, settings=settings))


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OPENAI", "ANTHROPIC", "GOOGLE", "MISTRAL"):
        monkeypatch.setenv(f"{name}_API_KEY", "none")
    yield
    gc.collect()


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("mood", "reason"), [("thinking", "cut short while reasoning"), ("pondering", "cut short")]
)
def test_a_model_cut_short_while_reasoning_has_no_vote(
    provider: str, mood: str, reason: str
) -> None:
    with serve(mood) as server:  # type: ignore[arg-type]
        backend = opened(provider, server.url, SHORT)
        choice = asyncio.run(backend.choose([ASKED], AB, samples=3))[0]
        assert (choice.asked, choice.valid, choice.cut) == (3, 0, 3)
        assert (choice.failure or "").startswith(reason)
        assert backend.counts.cut_share == 1.0
        roomy = opened(provider, server.url, SHORT.model_copy(update={"reasoning_tokens": 100}))
        choice = asyncio.run(roomy.choose([ASKED], AB, samples=3))[0]
        assert choice.valid == (3 if mood == "thinking" else 0)
        assert roomy.name != backend.name


def test_reasoning_is_not_heard_in_the_room() -> None:
    with serve("thinking") as server:
        backend = opened("openai", server.url, SHORT)
        (reply,) = asyncio.run(backend.generate([ASKED], Sampling(max_tokens=20)))
        assert reply.text is None
        assert reply.cut == 1
        assert backend.counts.cut == 1
        (reply,) = asyncio.run(backend.generate([ASKED], Sampling(max_tokens=200)))
        assert reply.text == "B"


def test_reasoning_is_asked_for_in_each_providers_words() -> None:
    assert controls("openai", "low") == {"reasoning_effort": "low"}
    assert controls("anthropic", "none") == {"thinking": {"type": "disabled"}}
    assert controls("google_genai", "none") == {"thinking_budget": 0}
    assert controls("ollama", None) == {}
    with pytest.raises(
        ConfigError, match=r"'mistralai' does not accept chat\.endpoint\.reasoning='low'"
    ):
        controls("mistralai", "low")
