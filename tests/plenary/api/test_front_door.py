"""What `import plenary` gives before anything is asked of it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import plenary

ROOT = Path(__file__).parents[3]
HEAVY = (
    "numpy", "scipy", "pyarrow", "pandas", "pydantic", "torch", "transformers", "trl", "peft",
    "datasets", "langgraph", "langchain_core", "matplotlib", "asyncio",
)  # fmt: skip


def test_the_import_opens_no_library() -> None:
    code = (
        "import sys, plenary\n"
        f"opened = sorted(set({HEAVY!r}) & set(sys.modules))\n"
        "sys.exit(f'import plenary opens {opened}' if opened else 0)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr


def test_every_name_is_there_and_says_what_it_is() -> None:
    for name in plenary.__all__:
        found = getattr(plenary, name)
        assert name == "__version__" or found.__doc__, name
        assert name in dir(plenary)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(AttributeError, match="hold_assembly"):
        getattr(plenary, "hold_asembly")  # noqa: B009


def test_checkers_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "plenary" / "__init__.pyi").read_text(encoding="utf-8"))
    stubbed = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    real = {name: getattr(plenary, name) for name in plenary.__all__ if name != "__version__"}
    assert stubbed.keys() == real.keys()
    assert stubbed == {name: f"{found.__module__}.{name}" for name, found in real.items()}
