"""Every example of the front door runs and gives what it says: docstrings and the API's page."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import plenary

ROOT = Path(__file__).parents[3]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = sorted(
    {getattr(plenary, name).__module__ for name in plenary.__all__ if name != "__version__"}
)


@pytest.mark.parametrize("module", MODULES)
def test_docstrings(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module), optionflags=FLAGS)
    assert not found.failed


def test_the_page_of_the_api() -> None:
    page = ROOT / "docs" / "api.md"
    found = doctest.testfile(str(page), module_relative=False, optionflags=FLAGS)
    assert found.attempted > 20
    assert not found.failed


def test_the_page_names_everything() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    functions = [name for name in plenary.__all__ if name[0].islower() and name[0] != "_"]
    twins = [name for name in functions if name[0] == "a" and name[1:] in functions]
    assert not [name for name in functions if f"pl.{name}" not in text and name not in twins]
