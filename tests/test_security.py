"""What docs/security.md promises: nothing foreign is executed, nothing listens."""

from __future__ import annotations

import ast
import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from support.checkpoints import CheckpointName

from alignment.training.lora import load_base
from alignment.training.settings import AlignmentSettings
from assembly.deliberation.graph import open_table
from plenary.errors import PlenaryError
from plenary.models.local.checkpoints import load_tokenizer
from plenary.models.local.huggingface import LocalBackend
from plenary.outcomes import Outcome

ROOT = Path(__file__).parents[1]
PACKAGES = ("census_data", "personas", "assembly", "alignment", "evaluation", "plenary")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
# Modules that run what they read, and modules that open a port to the outside.
UNPICKLERS = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}
SERVERS = {"uvicorn", "starlette", "fastapi", "flask", "socketserver", "http.server", "aiohttp"}
CALLS = {"eval", "exec", "compile", "yaml.load", "torch.load", "os.system", "pd.read_pickle"}
ALLOWED = {("plenary/untrusted.py", "yaml.load")}  # with a loader of plain values
# Doors: the queue of our own processes lies in a folder that only their user can enter; the viewer
# listens on this machine alone.
DOORS = {
    "plenary/executors/processes.py": {"pickle"},
    "plenary/viewer/web.py": {"starlette", "uvicorn"},
}


def called(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def breaches(name: str, code: str) -> Iterator[str]:
    """What the module of that name does that docs/security.md rules out."""
    tree = ast.parse(code)
    yield from (call for call in called(tree) if call in CALLS and (name, call) not in ALLOWED)
    packages = {module.partition(".")[0] for module in imported(tree)} | set(imported(tree))
    yield from (UNPICKLERS | SERVERS) & packages - DOORS.get(name, set())
    for node in ast.walk(tree):
        trusts = isinstance(node, ast.keyword) and node.arg == "trust_remote_code"
        if trusts and not (isinstance(node.value, ast.Constant) and node.value.value is False):
            yield "trust_remote_code"


def test_no_code_runs_what_it_reads_or_listens() -> None:
    assert FILES
    named = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in FILES}
    found = {name: sorted(breaches(name, code)) for name, code in named.items()}
    assert not {name: what for name, what in found.items() if what}


@pytest.mark.parametrize(
    "line",
    ["import pickle", "from http.server import HTTPServer", "eval('1')", "torch.load('x')",
     "AutoModel.from_pretrained('x', trust_remote_code=trusted)"],
)  # fmt: skip
def test_a_breach_would_be_found(line: str) -> None:
    assert list(breaches("plenary/module.py", line))


@pytest.fixture
def foreign(checkpoint: Callable[[CheckpointName], Path], tmp_path: Path) -> Path:
    """A checkpoint that brings code of its own, which leaves a mark where it runs."""
    folder = shutil.copytree(checkpoint("llama"), tmp_path / "foreign")
    mark = tmp_path / "ran"
    (folder / "evil.py").write_text(
        f"open({str(mark)!r}, 'w')\nclass Config: pass\nclass Model: pass\nclass Tok: pass\n"
    )
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    known = json.loads((folder / "tokenizer_config.json").read_text())
    known |= {"auto_map": {"AutoTokenizer": ["evil.Tok", None]}, "tokenizer_class": "Tok"}
    (folder / "tokenizer_config.json").write_text(json.dumps(known))
    return folder


@pytest.mark.parametrize(
    "load",
    [
        LocalBackend,
        load_tokenizer,
        lambda path: load_base(path, AlignmentSettings(), bf16=False),
    ],
)
def test_code_in_a_checkpoint_is_not_run(foreign: Path, load: Callable[[Path], object]) -> None:
    try:
        load(foreign)
    except PlenaryError as error:
        assert "foreign" in str(error)  # noqa: PT017
    assert not (foreign.parent / "ran").exists()


def test_a_checkpoint_of_the_graph_makes_no_object(tmp_path: Path) -> None:
    outcome = Outcome(id="a", text="b", topic="c", ladder=None, quantity=None, direction=None)
    written = JsonPlusSerializer().dumps_typed(outcome)
    assert isinstance(JsonPlusSerializer().loads_typed(written), Outcome)

    async def read() -> object:
        async with open_table(tmp_path / "checkpoints.sqlite") as table:
            return table.saver.serde.loads_typed(written)

    assert not isinstance(asyncio.run(read()), Outcome)
