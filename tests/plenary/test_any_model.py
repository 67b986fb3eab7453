"""A model may be given as almost anything; what is none says what to give."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_openai import ChatOpenAI
from support.server import serve

from plenary.any_model import Model, load_model
from plenary.errors import BackendError, ConfigError
from plenary.models.base import Choice, Message
from plenary.models.local.huggingface import LocalBackend
from plenary.models.local.huggingface import load_model as read_weights
from plenary.models.planted import PlantedBackend, PlantedWorld

ASKED = (Message("user", "Which one?\nOption A: a clinic opens\nOption B: trees\nAnswer A or B."),)
Maker = Callable[[str], Path]


def choice(model: Model, samples: int = 1) -> Choice:
    return asyncio.run(model.backend.choose([ASKED], ("A", "B"), samples=samples))[0]


def test_a_folder_a_spec_and_weights_in_memory_are_one_model(checkpoint: Maker) -> None:
    folder = checkpoint("qwen2")
    known = asyncio.run(LocalBackend(folder).choose([ASKED], ("A", "B")))[0].shares
    given = [folder, str(folder), f"local:{folder}", read_weights(folder)]
    for one in given:
        model = load_model(one)
        assert choice(model).shares == known
        assert model.weights is not None
        assert load_model(model) is model
    assert "million parameters" in repr(load_model(folder))


def test_the_model_that_ships_is_known_by_its_word() -> None:
    model = load_model("embedded")
    assert model.is_embedded
    assert choice(model).mass > 0.5  # type: ignore[operator]


def test_an_adapter_names_its_base(checkpoint: Maker, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    from alignment.training.trainer import without_library_warnings

    folder = checkpoint("llama")
    with without_library_warnings():
        adapter = LoraConfig(target_modules="all-linear", init_lora_weights=False)
        wrapped = get_peft_model(read_weights(folder), adapter)
        wrapped.save_pretrained(str(tmp_path / "adapter"))
    config = tmp_path / "adapter" / "adapter_config.json"
    told = json.loads(config.read_text()) | {"base_model_name_or_path": str(folder)}
    config.write_text(json.dumps(told))
    worn = load_model(tmp_path / "adapter")
    assert worn.folder == folder
    assert worn.name == load_model(folder, adapter=tmp_path / "adapter").name
    assert choice(worn).shares != choice(load_model(folder)).shares
    assert choice(worn).shares == pytest.approx(choice(load_model(wrapped)).shares, abs=1e-5)
    config.write_text(json.dumps(told | {"base_model_name_or_path": None}))
    with pytest.raises(BackendError, match="adapter="):
        load_model(tmp_path / "adapter")


def test_a_chat_model_of_langchain_with_its_own_address() -> None:
    with serve("logprobs", p=0.7) as server:
        chat = ChatOpenAI(model="tiny", base_url=server.url, api_key="none", max_retries=0)
        found = choice(load_model(chat))
        named = choice(load_model("openai:tiny", base_url=server.url))
    assert found.shares == pytest.approx((0.7, 0.3))
    assert named.shares == pytest.approx((0.7, 0.3))


def test_a_chat_model_without_probabilities_is_sampled() -> None:
    found = choice(load_model(FakeListChatModel(responses=["A", "A", "B"])), samples=3)
    assert found.mass is None
    assert found.asked == 3


def test_a_backend_goes_through_and_a_function_replies() -> None:
    backend = PlantedBackend(PlantedWorld(utilities={"a clinic opens": 1.0, "trees": 0.0}))
    assert load_model(backend).backend is backend
    assert choice(load_model(lambda messages: "B")).shares == (0.0, 1.0)


def test_what_is_no_model_says_what_to_give(tmp_path: Path) -> None:
    for wrong, told in (
        ("nowhere", "OWNER/NAME"),
        (str(tmp_path), "safetensors"),
        ("./owner/gone", "folder"),
    ):
        with pytest.raises(BackendError, match=told):
            load_model(wrong)
    with pytest.raises(ConfigError, match="function"):
        load_model(3)
    with pytest.raises(ConfigError, match="adapter"):
        load_model("openai:tiny", adapter=tmp_path)


def test_a_hub_that_is_out_of_reach_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendError, match="give a folder"):
        load_model("nobody/no-such-model")
