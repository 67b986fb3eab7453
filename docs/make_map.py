"""The map of the code, made from the docstrings of folders and files: python docs/make_map.py.

Only what stands between the two marks of docs/map.md is made; a test fails where it is out of date.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("census_data", "personas", "assembly", "evaluation", "alignment", "plenary")
PAGE = ROOT / "docs" / "map.md"
BEGIN, END = "<!-- made by docs/make_map.py -->", "<!-- end -->"


def made() -> str:
    """The floors, and every folder with its files and what each is for."""
    return "\n".join([BEGIN, "", *_floors(), *_folders(), END])


def page() -> str:
    """The whole page, with the made part renewed."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return before + made() + rest.partition(END)[2]


def _floors() -> Iterator[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    yield "## Floors"
    yield ""
    yield "Each imports only from below itself; a contract in `pyproject.toml` holds it."
    yield ""
    yield "```"
    yield from next(c for c in contracts if c["name"] == "Floors")["layers"]
    yield "```"
    yield ""


def _folders() -> Iterator[str]:
    for package in PACKAGES:
        folders = {path.parent for path in (ROOT / package).rglob("*.py")}
        for folder in sorted(folders):
            yield f"## `{folder.relative_to(ROOT).as_posix()}/`"
            yield ""
            yield first_line(folder / "__init__.py")
            yield ""
            files = [path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
            if files:
                yield "| File | What it is for |"
                yield "|---|---|"
                yield from (f"| `{path.name}` | {first_line(path)} |" for path in files)
                yield ""


def first_line(path: Path) -> str:
    """The first sentence of a file's docstring, as a cell of a table."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
