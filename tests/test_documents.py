"""Every path, make target and command that the documents name exists."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from plenary.cli.main import app

ROOT = Path(__file__).parents[1]
# Pages that docs/site.py makes from the code.
MADE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def page_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
    targets = [(path.parent / link).resolve() for link in links]
    assert not [target for target in targets if target.parent != MADE and not target.exists()]


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_named_files_exist(path: Path) -> None:
    named = re.findall(
        r"`((?:census_data|personas|assembly|alignment|evaluation|plenary|configs|tests)/[^`*{:]*)(?:::[a-z_0-9]+)?`",
        path.read_text(encoding="utf-8"),
    )
    missing = [name for name in named if not (ROOT / name).exists() and "<" not in name]
    assert not missing


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_make_targets_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", text, flags=re.MULTILINE))
    assert named <= targets


def test_readme_names_every_verb() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    verbs = {command.name for command in app.registered_commands if command.name}
    assert verbs
    assert not [verb for verb in verbs if verb not in text]


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_documents_do_not_point_outside(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "../shared" not in text
    assert "/work/" not in text


def test_the_map_is_made_from_the_code() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "make_map.py"))
    page = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
    assert made["page"]() == page, "run: python docs/make_map.py"
