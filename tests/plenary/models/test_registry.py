from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.vllm_engine import install

from plenary.errors import BackendError, ConfigError
from plenary.models.base import ChatBackend
from plenary.models.registry import BACKENDS, open_backend
from plenary.models.settings import ChatSettings, VllmSettings


@pytest.mark.parametrize("spec", ["", "local", "local:", "remote:x", "embedded", ":x"])
def test_unknown_specs_are_quoted(spec: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown backend spec '{spec}'; use one of local:..."):
        open_backend(spec)


def test_every_backend_opens(
    checkpoint: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    world = tmp_path / "world.json"
    world.write_text(json.dumps({"utilities": {"x": 0.0, "y": 1.0}}))
    specs = {
        "local": f"local:{checkpoint('llama')}",
        "langchain": "langchain:openai:tiny",
        "planted": f"planted:{world}",
        "vllm": f"vllm:{checkpoint('llama')}",
    }
    assert specs.keys() == BACKENDS.keys()
    settings = ChatSettings(vllm=VllmSettings(dtype="float32"))
    for prefix, spec in specs.items():
        backend = open_backend(spec, base_url="http://127.0.0.1:9/v1", settings=settings)
        assert isinstance(backend, ChatBackend)
        assert backend.name.startswith(f"{prefix}:")


def test_adapters_are_for_local_models(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot load the adapter"):
        open_backend("langchain:openai:tiny", adapter=tmp_path)
    with pytest.raises(BackendError, match="is not a folder"):
        open_backend(f"local:{tmp_path}/none")


def test_the_registry_opens_no_door_by_itself() -> None:
    code = (
        "import sys, plenary.models.registry;"
        "print(sorted({'torch', 'langchain'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
