"""What every test runs under: one thread, no network beyond loopback, shared checkpoints."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["LANGSMITH_TRACING"] = "false"
sys.path.insert(0, str(Path(__file__).parent))

from support.checkpoints import CheckpointName, make_checkpoint

CheckpointMaker = Callable[[CheckpointName], Path]
TESTS = Path(__file__).parent
# What a shell starts in the background ignores an interrupt, and so does all that it starts: the
# tests that interrupt a run of plenary would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


# What loads a model, runs a command or a stage, or holds an assembly is slow without a mark.
HEAVY_FIXTURES = {"bench", "checkpoint", "tiny", "world", "world_of"}
HEAVY_FOLDERS = [TESTS / "plenary" / name for name in ("api", "commands", "executors", "stages")]


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark what is slow before any is left out, then put the longest first."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if HEAVY_FIXTURES & fixtures or item.path.parent in HEAVY_FOLDERS:
            item.add_marker("slow")
    yield

    def turn(item: pytest.Item) -> tuple[bool, bool, bool]:
        marked = [item.get_closest_marker(name) is not None for name in ("exhaustive", "slow")]
        return not marked[0], not marked[1], item.path.parent != TESTS

    items.sort(key=turn)


def _is_loopback(host: object) -> bool:
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Refuse every connection that leaves this machine."""
    kept = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex")}

    def guarded(name: str) -> Callable[[socket.socket, object], object]:
        def call(self: socket.socket, address: object) -> object:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                host = address[0] if isinstance(address, tuple) else address
                if not _is_loopback(host):
                    raise RuntimeError(f"a test tried to reach {host!r}; tests run without network")
            return kept[name](self, address)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in kept:
            patch.setattr(socket.socket, name, guarded(name))
        yield


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> CheckpointMaker:
    """`checkpoint("qwen2")` is the folder of a tiny random-weight model, made once a session."""
    made: dict[str, Path] = {}

    def make(name: CheckpointName) -> Path:
        if name not in made:
            made[name] = make_checkpoint(name, tmp_path_factory.mktemp(name))
        return made[name]

    return make
