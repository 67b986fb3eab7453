"""Text that somebody else wrote: the worst it can do is to be refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from plenary.errors import PlenaryError

MOST_ALIASES, LONGEST_VALUE = 32, 120
M = TypeVar("M", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Plain values only, and few aliases: nested ones make gigabytes of a short file."""

    aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node; YAMLError beyond MOST_ALIASES."""
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > MOST_ALIASES:
                raise yaml.YAMLError(f"more than {MOST_ALIASES} aliases")
        return super().compose_node(parent, index)


def yaml_tree(text: str) -> object:
    """The values in YAML text; YAMLError for whatever is wrong with it."""
    try:
        return yaml.load(text, _Loader)
    except (ValueError, TypeError, AttributeError, IndexError, RecursionError) as error:
        # PyYAML lets through what int, date and deep nesting raise.
        raise yaml.YAMLError(f"{type(error).__name__}: {str(error)[:200]}") from error


def read_file(model: type[M], path: Path, name: str, refusal: type[PlenaryError]) -> M:
    """A `model` in a YAML or JSON file; `refusal`, with the file's `name`, for any other."""
    try:
        return model.model_validate(yaml_tree(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise refusal(
            f"cannot read {name} {str(path)!r}: {error.strerror}; check the path"
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise refusal(f"{name} {str(path)!r} is not YAML: {error}; mend the file") from error
    except ValidationError as error:
        raise refusal(f"{name} {str(path)!r} {first_fault(error)}; mend the file") from error


def first_fault(error: ValidationError) -> str:
    """The first of what is wrong, as "has VALUE at 'PLACE': reason"."""
    first = error.errors()[0]
    value = repr(first.get("input"))
    if len(value) > LONGEST_VALUE:
        value = f"{value[:LONGEST_VALUE]}..."
    place = ".".join(map(str, first["loc"]))
    return f"has {value}{f' at {place!r}' if place else ''}: {first['msg']}"


def csv_rows(lines: Iterable[str]) -> list[dict[str, str]]:
    """Rows by column name, cells that a row lacks empty; csv.Error for whatever is wrong."""
    rows = list(csv.DictReader(lines, restval=""))
    for number, row in enumerate(rows, 2):
        if None in row:
            raise csv.Error(f"line {number} has more cells than the header")
    return rows


def json_tree(text: str) -> object:
    """The values in JSON text; ValueError for whatever is wrong with it."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
