"""Pages of the site that are made from the code: commands, settings, and the API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer
from pydantic import BaseModel

from plenary.cli.main import app
from plenary.runs.config import PipelineConfig

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[1]
NOT_MEASURED = "# Benchmarks\n\nNot measured in this checkout: `make bench` makes this page."
PACKAGES = ("census_data", "personas", "assembly", "alignment", "evaluation", "plenary")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages to those that are written."""
    from mkdocs.structure.files import File

    pages = {"commands": commands(), "settings": settings()}
    pages |= {package: api(package) for package in PACKAGES}
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    if files.get_file_from_path("benchmarks.md") is None:
        files.append(File.generated(config, "benchmarks.md", content=NOT_MEASURED))
    return files


def commands() -> str:
    """Every command with its help, options and example."""
    root = typer.main.get_command(app)
    lines = [
        "# Commands",
        "",
        "Every command has `--help`; those that print figures have `--json`.",
    ]
    for path, command in _verbs(root, "plenary"):
        lines += ["", f"## {path}", "", command.help or ""]
        if command.epilog:
            lines += ["", f"    {command.epilog.partition(': ')[2]}"]
        lines += ["", "| Option | Meaning |", "|---|---|"]
        lines += [_option(p) for p in command.params if p.name not in ("help", "debug")]
    return "\n".join(lines)


def _verbs(command: Any, path: str) -> list[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        return [(path, command)]
    return [pair for name, child in inner.items() for pair in _verbs(child, f"{path} {name}")]


def _option(parameter: Any) -> str:
    named = parameter.param_type_name == "option"
    name = ", ".join(parameter.opts) if named else (parameter.metavar or str(parameter.name))
    return f"| `{name}` | {_cell(getattr(parameter, 'help', None) or '')} |"


def settings() -> str:
    """Every setting with type, default and description."""
    lines = [
        "# Settings",
        "",
        "Write them in a YAML preset, or change one by `--set group.name=value`. Unknown names are "
        "refused with the nearest known one. Secrets never stand here: they are read from the "
        "environment.",
    ]
    return "\n".join([*lines, *_group(PipelineConfig, "")])


def _group(model: type[BaseModel], prefix: str) -> list[str]:
    inner: list[str] = []
    lines = ["", f"## {prefix.rstrip('.') or 'the run'}", "", (model.__doc__ or "").strip(), ""]
    lines += ["| Setting | Type | Default | Meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            inner += _group(kind, f"{prefix}{name}.")
            continue
        default = "" if field.is_required() else repr(field.get_default(call_default_factory=True))
        lines.append(
            f"| `{prefix}{name}` | {_cell(_kind(kind))} | `{_cell(default)}` "
            f"| {_cell(field.description or '')} |"
        )
    return [*lines, *inner]


def _kind(annotation: object) -> str:
    inner = get_args(annotation)
    if inner and all(isinstance(one, str) for one in inner):
        return ", ".join(f"`{one}`" for one in inner)
    return str(getattr(annotation, "__name__", None) if not inner else annotation).replace(
        "typing.", ""
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def api(package: str) -> str:
    """Every public module of a package."""
    paths = sorted((ROOT / package).rglob("*.py"))
    modules = [path for path in paths if not path.stem.startswith("_") and "app" not in path.parts]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in modules]
    return "\n\n".join([f"# {package}", *(f"::: {name}" for name in names)])
