"""One real server of another project: `transformers serve` on the model that ships."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plenary.embedded import model_path
from plenary.models.base import Message, Sampling
from plenary.models.langchain import LangchainBackend

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    pytest.importorskip("fastapi", reason="transformers serve needs fastapi and uvicorn")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).parent / "transformers", "serve", str(model_path()),
               "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]  # fmt: skip
    (tmp_path / "hub").mkdir()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")}
    log = (tmp_path / "log.txt").open("w")
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 300
        while server.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        assert server.poll() is None, (tmp_path / "log.txt").read_text()
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(timeout=30)
        log.close()


def test_a_served_model_votes_and_speaks(address: str) -> None:
    backend = LangchainBackend(f"openai:{model_path()}", base_url=address)
    question = "Which do you prefer?\nOption A: a clinic opens\nOption B: a road is built"
    asked = [(Message("system", "You are 44 years old."), Message("user", question))] * 2
    choices = asyncio.run(backend.choose(asked, ("A", "B"), samples=4, seed=1))
    # It gives no log-probabilities, so answers are counted.
    assert [choice.asked for choice in choices] == [4, 4]
    assert all(choice.valid + choice.invalid == 4 and choice.mass is None for choice in choices)
    assert all(choice.prompt_tokens > 0 for choice in choices)
    replies = asyncio.run(backend.generate(asked, Sampling(max_tokens=8)))
    assert all(reply.text or reply.failure for reply in replies)
    assert any(reply.text for reply in replies)
