"""Every path, make target and command that the documents name exists."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import get_args

from alignment.experiments.controls import CONTROL_TARGETS
from alignment.training.settings import AlignmentSettings
from assembly.aggregation.rules import RULES
from assembly.deliberation.conditions import CONDITIONS
from assembly.deliberation.probes import PROBES
from personas.prompt import RENDERINGS
from personas.sampling.recruit import METHODS
from plenary.cli.main import app

ROOT = Path(__file__).parents[1]
# Pages that docs/site.py makes from the code.
MADE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def page_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    lost = [
        f"{page_name(page)}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\(([^)#:]+)\)", text_of(page))
        if (target := (page.parent / link).resolve()).parent != MADE and not target.exists()
    ]
    assert not lost


def test_the_glossary_has_every_name_that_one_can_choose() -> None:
    chosen = [
        *CONDITIONS, *PROBES, *CONTROL_TARGETS, *RENDERINGS, *RULES, *METHODS,
        *get_args(AlignmentSettings.model_fields["objective"].annotation),
    ]  # fmt: skip
    glossary = text_of(ROOT / "docs" / "glossary.md")
    assert not [name for name in chosen if f"`{name}`" not in glossary]


def test_named_files_exist() -> None:
    packages = "census_data|personas|assembly|alignment|evaluation|plenary|configs|tests"
    named = re.compile(rf"`((?:{packages})/[^`*{{:]*)(?:::[a-z_0-9]+)?`")
    missing = [
        f"{page_name(page)}: {name}"
        for page in PAGES
        for name in named.findall(text_of(page))
        if not (ROOT / name).exists() and "<" not in name
    ]
    assert not missing


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), flags=re.MULTILINE))
    unknown = [
        f"{page_name(page)}: make {target}"
        for page in PAGES
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", text_of(page), flags=re.MULTILINE)
        if target not in targets
    ]
    assert not unknown


def test_readme_names_every_verb() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    verbs = {command.name for command in app.registered_commands if command.name}
    assert verbs
    assert not [verb for verb in verbs if verb not in text]


def test_documents_do_not_point_outside() -> None:
    outside = [page for page in PAGES if re.search(r"\.\./shared|/work/", text_of(page))]
    assert not outside


def test_the_map_is_made_from_the_code() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "make_map.py"))
    page = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
    assert made["page"]() == page, "run: python docs/make_map.py"


def test_one_votes_way_is_short_and_its_forms_are_classes_of_ours() -> None:
    page = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
    section = page.partition("## One vote's way\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+\.py)` \| .+ \| (`.+`) \|$", section, flags=re.MULTILINE)
    files = [file for file, _ in rows]
    forms = {form for _, named in rows for form in re.findall(r"`(\w+)`", named)}
    assert len(set(files)) == len(files)
    assert 20 <= len(files) <= 25
    assert 8 <= len(forms) <= 10
    packages = ("census_data", "personas", "assembly", "alignment", "plenary")
    code = [path.read_text("utf-8") for name in packages for path in (ROOT / name).rglob("*.py")]
    classes = set(re.findall(r"^class (\w+)", "\n".join(code), flags=re.MULTILINE))
    # A conversation is a tuple of messages, and the last form is torch's.
    assert forms - classes == {"Conversation", "Tensor"}
