"""A backend in a user's own LangChain code and LangGraph graph."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import pytest
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.graph import END, START, StateGraph

from plenary.errors import BackendError
from plenary.models.base import Message, Sampling
from plenary.models.langchain_chat_model import PlenaryChatModel
from plenary.models.local.huggingface import LocalBackend
from plenary.models.planted import PlantedBackend, PlantedWorld

Maker = Callable[[str], Path]
ASKED = [SystemMessage("You are 44 years old."), HumanMessage("Give one short reason.")]
CONVERSATION = (Message("system", ASKED[0].text), Message("user", ASKED[1].text))


@pytest.fixture
def backend(checkpoint: Maker) -> LocalBackend:
    return LocalBackend(checkpoint("llama"))


def test_replies_are_the_backends_own(backend: LocalBackend) -> None:
    model = PlenaryChatModel(backend, max_tokens=8, seed=5)
    truth = asyncio.run(backend.generate([CONVERSATION], Sampling(max_tokens=8, seed=5)))[0]
    answer = model.invoke(ASKED)
    assert answer.text == truth.text
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == truth.prompt_tokens
    assert answer.usage_metadata["output_tokens"] == truth.completion_tokens
    assert answer.response_metadata["model_name"] == backend.name
    other = asyncio.run(backend.generate([CONVERSATION], Sampling(max_tokens=4, seed=6)))[0]
    assert model.bind(max_tokens=4, seed=6).invoke(ASKED).text == other.text
    assert "".join(str(part.text) for part in model.stream(ASKED)) == truth.text


def test_labels_come_with_log_probabilities_in_openais_shape(backend: LocalBackend) -> None:
    truth = asyncio.run(backend.choose([CONVERSATION], ("A", "B")))[0]
    answer = PlenaryChatModel(backend).bind(labels=("A", "B")).invoke(ASKED)
    assert answer.text == ("A" if truth.shares[0] > truth.shares[1] else "B")
    top = answer.response_metadata["logprobs"]["content"][0]["top_logprobs"]
    assert truth.mass is not None
    assert [entry["token"] for entry in top] == ["A", "B"]
    assert [math.exp(entry["logprob"]) for entry in top] == pytest.approx(
        [share * truth.mass for share in truth.shares]
    )


def test_in_a_graph_with_callbacks(backend: LocalBackend) -> None:
    class State(TypedDict):
        said: list[str]

    model = PlenaryChatModel(backend, max_tokens=6)

    async def speak(state: State) -> State:
        answers = await model.abatch([ASKED] * 5)
        return {"said": [answer.text for answer in answers]}

    graph = StateGraph(State)
    graph.add_node("speak", speak)
    graph.add_edge(START, "speak")
    graph.add_edge("speak", END)
    usage = UsageMetadataCallbackHandler()
    found = asyncio.run(graph.compile().ainvoke({"said": []}, {"callbacks": [usage]}))
    assert len(set(found["said"])) == 1
    assert len(found["said"]) == 5
    assert usage.usage_metadata[backend.name]["output_tokens"] > 0


def test_stop_words_end_a_reply(backend: LocalBackend) -> None:
    model = PlenaryChatModel(backend, max_tokens=12)
    whole = model.invoke(ASKED).text
    cut = whole[len(whole) // 2]
    assert model.invoke(ASKED, stop=[cut]).text == whole[: whole.index(cut)]


def test_what_cannot_be_answered_is_an_error(backend: LocalBackend) -> None:
    model = PlenaryChatModel(backend)
    with pytest.raises(BackendError, match="cannot read a 'tool' message"):
        model.invoke([ToolMessage("x", tool_call_id="1")])
    with pytest.raises(BackendError, match="has no parameter 'tools'"):
        model.bind(tools=[]).invoke(ASKED)
    mute = PlenaryChatModel(
        PlantedBackend(PlantedWorld(utilities={"a": 1.0, "b": 0.0}, invalid=0.99))
    )
    answers = asyncio.run(
        mute.abatch([[HumanMessage(f"Speak, {k}.")] for k in range(12)], return_exceptions=True)
    )
    failed = [answer for answer in answers if isinstance(answer, BackendError)]
    assert len(failed) > 6
    assert all(isinstance(answer, BackendError | AIMessage) for answer in answers)
