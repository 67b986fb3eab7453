"""The house rules that a machine can check."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast

from pydantic import BaseModel
from support.setting_reads import attribute_reads

from plenary.runs.config import PipelineConfig, known_settings

ROOT = Path(__file__).parents[1]
PACKAGES = ("census_data", "personas", "assembly", "alignment", "evaluation", "plenary")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "util", "helpers", "common", "core", "misc"}
# Heavy or volatile library -> where it may be imported.
DOORS = {
    "census": ("census_data/sources/api.py",),
    "faker": ("personas/names.py", "personas/build_names.py"),
    "langgraph": ("assembly/deliberation/graph.py",),
    "langchain": ("plenary/models/",),
    "langchain_core": ("plenary/models/", "assembly/deliberation/graph.py"),
    "langchain_openai": ("plenary/models/",),
    "torch": ("plenary/models/", "plenary/embedded/", "alignment/"),
    "transformers": ("plenary/models/", "plenary/embedded/", "alignment/"),
    "trl": ("alignment/",),
    "peft": ("alignment/", "plenary/models/"),
    "datasets": ("alignment/", "assembly/dataset/rows.py"),
    "huggingface_hub": ("alignment/publish/", "assembly/dataset/card.py", "plenary/models/"),
    "lm_eval": ("alignment/retention/lm_eval_harness.py",),
    "sentence_transformers": ("personas/diversity.py", "plenary/embedded/"),
    "duckdb": ("assembly/aggregation/streaming.py", "plenary/viewer/"),
    "psycopg": ("assembly/record/postgres.py",),
    "ray": ("plenary/executors/ray.py",),
    "rich": ("plenary/cli/",),
    "typer": ("plenary/cli/",),
    "starlette": ("plenary/viewer/",),
    "vllm": ("plenary/models/local/vllm.py",),
    "uvicorn": ("plenary/viewer/",),
    "jinja2": ("plenary/report/", "plenary/viewer/", "plenary/models/local/chat_template.py"),
}
HEAVY = (*DOORS, "numpy", "scipy", "pyarrow", "pandas", "pydantic")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imported(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import):
            yield from (alias.name for alias in inner.names)
        elif isinstance(inner, ast.ImportFrom) and inner.module:
            yield inner.module


def line_count(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_import_order_is_kept() -> None:
    answer = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout


def test_files_are_short_and_plainly_named() -> None:
    long = {name_of(path): lines for path in FILES if (lines := line_count(path)) > 600}
    assert not long, "600 lines at most"
    vague = [name_of(p) for p in FILES if FORBIDDEN_NAMES & {p.stem, *p.relative_to(ROOT).parts}]
    assert not vague


def test_no_folder_is_crowded() -> None:
    held = Counter(path.parent.relative_to(ROOT).as_posix() for path in FILES)
    assert not {folder: count for folder, count in held.items() if count > 17}, "16 and __init__"
    assert not (ROOT / "plenary" / "app").exists()
    assert not (ROOT / "plenary" / "chat").exists()


def test_no_function_is_long() -> None:
    long = [
        f"{name_of(path)}:{function.lineno} {function.name}: {length(function)} lines"
        for path in FILES
        for function in functions(path)
        if length(function) > 60
    ]
    assert not long, "60 lines at most"


def test_a_public_class_name_stands_for_one_concept() -> None:
    """Two classes of one name are one class, imported, or two that each say what they are."""
    places: dict[str, list[str]] = {}
    for path in FILES:
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name_of(path))
    assert not {name: where for name, where in places.items() if len(where) > 1}


def test_libraries_are_opened_at_their_door() -> None:
    past_the_door = [
        f"{name_of(path)}: {module}"
        for path in FILES
        for module in imported(tree_of(path))
        if not name_of(path).startswith(DOORS.get(module.partition(".")[0], ("",)))
    ]
    assert not past_the_door


def test_own_modules_are_imported_at_the_top() -> None:
    inner = [
        f"{name_of(path)}:{function.lineno} {module}"
        for path in FILES
        if not name_of(path).startswith("plenary/cli/")
        for function in functions(path)
        for module in imported(function)
        if module.partition(".")[0] in PACKAGES
    ]
    assert not inner


def test_random_numbers_come_from_seeding() -> None:
    made = [
        f"{name_of(path)}:{node.lineno} {node.attr}"
        for path in FILES
        if name_of(path) != "plenary/seeding.py"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute)
        and node.attr in ("default_rng", "RandomState", "SeedSequence")
    ]
    assert not made


def test_packages_are_typed() -> None:
    assert not [package for package in PACKAGES if not (ROOT / package / "py.typed").is_file()]


def test_tests_hold_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


@cache
def reads() -> set[tuple[str, str]]:
    return attribute_reads(map(tree_of, FILES))


def owner_of(setting: str) -> type[BaseModel]:
    """The settings model that a setting such as assembly.rounds belongs to."""
    owner: type[BaseModel] = PipelineConfig
    for group in setting.split(".")[:-1]:
        owner = cast("type[BaseModel]", owner.model_fields[group].annotation)
    return owner


def test_every_setting_is_read() -> None:
    settings = list(known_settings())
    assert settings
    read = reads()
    assert not [s for s in settings if (owner_of(s).__name__, s.rpartition(".")[2]) not in read]


def test_a_setting_that_nothing_reads_would_be_found() -> None:
    """A name that another group's code reads does not stand for a setting of this one."""
    owners = {owner_of(setting) for setting in known_settings()}
    names = {name for owner in owners for name in owner.model_fields}
    absent = [(o.__name__, name) for o in owners for name in names - o.model_fields.keys()]
    assert len(reads() & set(absent)) < 0.02 * len(absent)


def test_every_group_is_read() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "plenary").rglob("*.py"))
    groups = PipelineConfig.model_fields
    assert not [g for g in groups if f"config.{g}" not in text and f"c.{g}" not in text]


def test_help_opens_no_door_and_reads_few_modules() -> None:
    """What takes time is importing: 170 modules are read in a fifth of a second, torch in five."""
    code = (
        "import sys\nfrom plenary.cli import main as cli\nsys.argv = ['plenary', '--help']\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        f"opened = sorted(set({HEAVY!r}) & set(sys.modules) - {{'typer', 'rich'}})\n"
        "read = len(sys.modules)\n"
        "sys.exit(f'help imports {opened} of {read} modules' if opened or read > 300 else 0)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "recruit" in answer.stdout
